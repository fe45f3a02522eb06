//! Rules of a pod spec as a whole (upstream: ValidatePodSpec). Parts have their own files beside this one.

use super::{containers, volumes};
use crate::ip;
use crate::metadata::{self, NOT_NEGATIVE, checked};
use crate::walk::{entries, flag, int, items, present, text, texts};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;

pub const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARACTERS_MAX: usize = 2048;

/// A pod template's metadata and spec, where `path` is `….template`.
pub fn validate_template(template: &Value, path: &Path) -> Vec<FieldError> {
    let at = path.child("metadata");
    let mut errors = metadata::labels(&template["metadata"]["labels"], &path.child("labels"));
    for (key, _) in entries(&template["metadata"]["annotations"]) {
        errors.extend(checked(&at.child("annotations"), key, names::qualified_name(&key.to_lowercase())));
    }
    errors.extend(validate(&template["spec"], &path.child("spec")));
    if present(&template["spec"]["ephemeralContainers"]) {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&path.child("spec").child("ephemeralContainers"), detail));
    }
    errors
}

/// The spec; `path` is where it stands.
pub fn validate(spec: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let known = volumes::validate(&spec["volumes"], &path.child("volumes"), &mut errors);
    containers::validate(spec, path, &known, &mut errors);
    supported(spec, "restartPolicy", &RESTART_POLICIES, path, &mut errors);
    supported(spec, "dnsPolicy", &DNS_POLICIES, path, &mut errors);
    names_of_parts(spec, path, &mut errors);
    numbers(spec, path, &mut errors);
    errors.extend(metadata::labels(&spec["nodeSelector"], &path.child("nodeSelector")));
    tolerations(&spec["tolerations"], &path.child("tolerations"), &mut errors);
    dns_config(spec, path, &mut errors);
    host_aliases(&spec["hostAliases"], &path.child("hostAliases"), &mut errors);
    host_users(spec, path, &mut errors);
    errors
}

/// Required, and one of the supported values.
pub fn supported(
    value: &Value,
    field: &str,
    values: &[&'static str],
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let at = path.child(field);
    match text(&value[field]) {
        "" => errors.push(FieldError::required(&at, "")),
        given if !values.contains(&given) => {
            errors.push(FieldError::not_supported(&at, given, values.iter().copied()))
        }
        _ => {}
    }
}

fn names_of_parts(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let rules: [(&str, metadata::NameRule); 6] = [
        ("serviceAccountName", names::dns1123_subdomain),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
    ];
    for (field, rule) in rules {
        let given = text(&spec[field]);
        if !given.is_empty() {
            errors.extend(checked(&path.child(field), given, rule(given)));
        }
    }
    for (index, gate) in items(&spec["readinessGates"]).iter().enumerate() {
        let kind = text(&gate["conditionType"]);
        let at = path.child("readinessGates").index(index).child("conditionType");
        errors.extend(checked(&at, kind, names::qualified_name(kind)));
    }
}

fn numbers(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let grace = int(&spec["terminationGracePeriodSeconds"]);
    if grace < 0 {
        errors.push(FieldError::invalid(&path.child("terminationGracePeriodSeconds"), grace, NOT_NEGATIVE));
    }
    if let Some(deadline) = spec["activeDeadlineSeconds"].as_i64() {
        let verdict = names::in_range(deadline, 1, i64::from(i32::MAX));
        errors.extend(checked(&path.child("activeDeadlineSeconds"), deadline, verdict));
    }
}

fn tolerations(list: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for (index, toleration) in items(list).iter().enumerate() {
        let at = path.index(index);
        let (key, operator) = (text(&toleration["key"]), text(&toleration["operator"]));
        let (value, effect) = (text(&toleration["value"]), text(&toleration["effect"]));
        if !key.is_empty() {
            errors.extend(checked(&at.child("key"), key, names::qualified_name(key)));
        } else if operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(&at.child("operator"), operator, detail));
        }
        if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(&at.child("effect"), effect, detail));
        }
        match operator {
            "" | "Equal" => errors.extend(checked(&at.child("operator"), value, names::label_value(value))),
            "Exists" if !value.is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(&at, toleration.clone(), detail));
            }
            "Exists" => {}
            other => {
                errors.push(FieldError::not_supported(&at.child("operator"), other, ["Equal", "Exists"]))
            }
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.push(FieldError::not_supported(&at.child("effect"), effect, EFFECTS));
        }
    }
}

fn dns_config(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (config, at) = (&spec["dnsConfig"], path.child("dnsConfig"));
    if text(&spec["dnsPolicy"]) == "None" {
        if config.is_null() {
            errors.push(FieldError::required(&at, "must provide `dnsConfig` when `dnsPolicy` is None"));
        } else if !present(&config["nameservers"]) {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(FieldError::required(&at.child("nameservers"), detail));
        }
    }
    let servers = texts(&config["nameservers"]);
    if servers.len() > NAMESERVERS_MAX {
        let detail = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        errors.push(FieldError::invalid(&at.child("nameservers"), config["nameservers"].clone(), detail));
    }
    for (index, server) in servers.iter().enumerate() {
        errors.extend(ip::validate(server, &at.child("nameservers").index(index)));
    }
    searches(config, &at.child("searches"), errors);
    for (index, option) in items(&config["options"]).iter().enumerate() {
        if !present(&option["name"]) {
            errors.push(FieldError::required(&at.child("options").index(index), "must not be empty"));
        }
    }
}

fn searches(config: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let searches = texts(&config["searches"]);
    if searches.len() > SEARCHES_MAX {
        let detail = format!("must not have more than {SEARCHES_MAX} search paths");
        errors.push(FieldError::invalid(path, config["searches"].clone(), detail));
    }
    if searches.join(" ").len() > SEARCH_CHARACTERS_MAX {
        let detail = format!(
            "must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        );
        errors.push(FieldError::invalid(path, config["searches"].clone(), detail));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| **search != ".") {
        // Underscores are fine in search domains (KEP-4427), and one trailing dot.
        let plain = search.strip_suffix('.').unwrap_or(search).replace('_', "a");
        errors.extend(checked(&path.index(index), *search, names::dns1123_subdomain(&plain)));
    }
}

fn host_aliases(list: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for (index, alias) in items(list).iter().enumerate() {
        let at = path.index(index);
        errors.extend(ip::validate(text(&alias["ip"]), &at.child("ip")));
        for (number, host) in texts(&alias["hostnames"]).into_iter().enumerate() {
            errors.extend(checked(
                &at.child("hostnames").index(number),
                host,
                names::dns1123_subdomain(host),
            ));
        }
    }
}

/// A pod of the host's network, processes or IPC cannot have users of its own.
fn host_users(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if spec["hostUsers"] != false {
        return;
    }
    for field in ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| flag(&spec[*field])) {
        errors.push(FieldError::forbidden(&path.child(field), "when `pod.Spec.HostUsers` is false"));
    }
}
