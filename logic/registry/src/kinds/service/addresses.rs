//! Rules of clusterIPs and IP families, and what they say about a Service.

use crate::ip;
use crate::walk::{items, present, text, texts};
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];

/// Whether the spec asks for no cluster IP.
pub fn is_headless(spec: &Value) -> bool {
    text(&spec["clusterIPs"][0]) == "None" || text(&spec["clusterIP"]) == "None"
}

/// Types that have a cluster IP (or are headless).
pub fn needs_cluster_ip(spec: &Value) -> bool {
    matches!(text(&spec["type"]), "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// A3.3, A3.15 to A3.19; `stored` are addresses that were legal before.
pub fn validate(spec: &Value, stored: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    if !needs_cluster_ip(spec) {
        forbid(spec, path, errors);
        return;
    }
    families(spec, path, errors);
    match_singular(spec, path, errors);
    cluster_ips(spec, stored, &path.child("clusterIPs"), errors);
}

fn forbid(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for field in
        ["clusterIPs", "ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| present(&spec[*field]))
    {
        errors.push(FieldError::forbidden(&path.child(field), "may not be set for ExternalName services"));
    }
}

fn families(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let families = texts(&spec["ipFamilies"]);
    for (index, family) in families.iter().enumerate() {
        let at = path.child("ipFamilies").index(index);
        if !FAMILIES.contains(family) {
            errors.push(FieldError::not_supported(&at, *family, FAMILIES));
        }
        if families[..index].contains(family) {
            errors.push(FieldError::duplicate(&at, *family));
        }
    }
    let policy = text(&spec["ipFamilyPolicy"]);
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported(&path.child("ipFamilyPolicy"), policy, POLICIES));
    }
}

fn match_singular(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (one, all) = (text(&spec["clusterIP"]), &spec["clusterIPs"]);
    let path = path.child("clusterIPs");
    if one.is_empty() {
        if present(all) {
            errors.push(FieldError::invalid(
                &path,
                all.clone(),
                "must be empty when `clusterIP` is not specified",
            ));
        }
    } else if !present(all) {
        errors.push(FieldError::required(&path, ""));
    } else if text(&all[0]) != one {
        errors.push(FieldError::invalid(&path, all.clone(), "first value must match `clusterIP`"));
    }
}

fn cluster_ips(spec: &Value, stored: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    let addresses = items(&spec["clusterIPs"]);
    let list = &spec["clusterIPs"];
    let listed = texts(list);
    if listed.len() > 1 && listed.contains(&"None") {
        errors.push(FieldError::invalid(path, list.clone(), "'None' must be the first and only value"));
    }
    if addresses.len() > 2 {
        errors.push(FieldError::invalid(path, list.clone(), "may only hold up to 2 values"));
    }
    let mut seen = Vec::new();
    for (index, address) in listed.iter().enumerate().filter(|(_, address)| **address != "None") {
        let at = path.index(index);
        errors.extend(ip::validate_unless_stored(address, stored, &at));
        let Some(family) = family_of(address) else { continue };
        let asked = text(&spec["ipFamilies"][index]);
        if FAMILIES.contains(&asked) && asked != family {
            let detail = format!("expected an {asked} value as indicated by `ipFamilies[{index}]`");
            errors.push(FieldError::invalid(&at, *address, detail));
        }
        seen.push(family);
    }
    if seen.len() == 2 && seen[0] == seen[1] {
        errors.push(FieldError::invalid(
            path,
            list.clone(),
            "may specify no more than one IP for each IP family",
        ));
    }
}

/// `IPv4` or `IPv6`.
pub fn family_of(address: &str) -> Option<&'static str> {
    ip::parse_sloppy(address).map(|ip| if ip.is_ipv4() { "IPv4" } else { "IPv6" })
}

/// A3.32, A3.33: what may not change once set; not when either side is ExternalName.
pub fn validate_update(new: &Value, old: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if !needs_cluster_ip(new) || !needs_cluster_ip(old) {
        return;
    }
    primary(new, old, "clusterIPs", "primary clusterIP can not be unset", path, errors);
    secondary(new, old, "clusterIPs", "clusterIP", path, errors);
    let headless = is_headless(new) || is_headless(old);
    if !headless {
        primary(new, old, "ipFamilies", "primary ipFamily can not be unset", path, errors);
        secondary(new, old, "ipFamilies", "ipFamily", path, errors);
    }
}

fn primary(new: &Value, old: &Value, field: &str, unset: &str, path: &Path, errors: &mut Vec<FieldError>) {
    let (before, after) = (&old[field], &new[field]);
    if !present(before) {
        return;
    }
    let at = path.child(field);
    if !present(after) {
        errors.push(FieldError::invalid(&at.index(0), after.clone(), unset));
    } else if before[0] != after[0] {
        errors.push(FieldError::invalid(&at.index(0), after.clone(), "may not change once set"));
    }
}

fn secondary(new: &Value, old: &Value, field: &str, what: &str, path: &Path, errors: &mut Vec<FieldError>) {
    let (before, after) = (items(&old[field]), items(&new[field]));
    if before.len() < 2 {
        return;
    }
    let policy = text(&new["ipFamilyPolicy"]);
    match after.len() {
        2 if before[1] != after[1] => {
            let detail = "may not change once set";
            errors.push(FieldError::invalid(&path.child(field).index(1), new[field].clone(), detail));
        }
        1 if policy != "SingleStack" => {
            let detail = format!("must be set to 'SingleStack' when releasing the secondary {what}");
            errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), policy, detail));
        }
        _ => {}
    }
}
