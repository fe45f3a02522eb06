//! Which IP families a Service has (A9; upstream: initIPFamilyFields).
//!
//! Invariant: afterwards `ipFamilies` and `ipFamilyPolicy` are set, and every family is one the cluster has, except for
//! headless Services without a selector, whose endpoints are somebody else's affair.

use super::Ranges;
use super::ranges::family;
use crate::ip;
use crate::kinds::service::{is_headless, needs_cluster_ip};
use crate::walk::{self, default_to, present, text, texts};
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;

/// Fills the two fields of a validated spec.
pub fn fill(spec: &mut Value, ranges: &Ranges) -> Result<(), Vec<FieldError>> {
    if !needs_cluster_ip(spec) {
        return Ok(());
    }
    let mut families = infer(spec, ranges)?;
    if is_headless(spec) && !present(&spec["selector"]) {
        default_to(spec, "ipFamilyPolicy", "RequireDualStack");
        extend(spec, &mut families, ranges.default_family(), true);
    } else {
        check(spec, &families, ranges)?;
        default_to(spec, "ipFamilyPolicy", "SingleStack");
        extend(spec, &mut families, ranges.default_family(), ranges.service_cidrs.len() > 1);
    }
    walk::put(spec, "ipFamilies", families);
    Ok(())
}

/// A9.5, and A9.3 for families that come from addresses.
fn infer(spec: &Value, ranges: &Ranges) -> Result<Vec<String>, Vec<FieldError>> {
    let mut families: Vec<String> = texts(&spec["ipFamilies"]).into_iter().map(str::to_owned).collect();
    let mut errors = Vec::new();
    for (index, address) in texts(&spec["clusterIPs"]).into_iter().enumerate() {
        let Some(ip) = ip::parse_sloppy(address).filter(|_| index >= families.len()) else { continue };
        let name = family(ip.is_ipv6());
        match ranges.cidr(ip.is_ipv6()) {
            Some(_) => families.push(name.to_owned()),
            None => {
                let at = Path::new("spec.clusterIPs").index(index);
                let detail = format!("{name} is not configured on this cluster");
                errors.push(FieldError::invalid(&at, spec["clusterIPs"].clone(), detail));
            }
        }
    }
    if errors.is_empty() { Ok(families) } else { Err(errors) }
}

/// A9.1 to A9.3.
fn check(spec: &Value, families: &[String], ranges: &Ranges) -> Result<(), Vec<FieldError>> {
    let (policy, at) = (text(&spec["ipFamilyPolicy"]), Path::new("spec.ipFamilyPolicy"));
    let mut errors = Vec::new();
    if policy == "SingleStack" || policy.is_empty() {
        let what = [("ipFamilies", "IP families"), ("clusterIPs", "cluster IPs")];
        for (_, what) in what.into_iter().filter(|(field, _)| texts(&spec[*field]).len() > 1) {
            let detail =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            let shown = if policy.is_empty() { Value::Null } else { policy.into() };
            errors.push(FieldError::invalid(&at, shown, detail));
        }
    }
    if policy == "RequireDualStack" && ranges.service_cidrs.len() < 2 {
        let detail = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(&at, policy, detail));
    }
    for (index, name) in families.iter().enumerate() {
        if ranges.cidr(name == "IPv6").is_none() {
            let at = Path::new("spec.ipFamilies").index(index);
            errors.push(FieldError::invalid(&at, name.as_str(), "not configured on this cluster"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A9.2, A9.4: the default family first, the other one for dual policies where it is to be had.
fn extend(spec: &Value, families: &mut Vec<String>, default: &str, both: bool) {
    if families.is_empty() {
        families.push(default.to_owned());
    }
    if both && families.len() == 1 && text(&spec["ipFamilyPolicy"]) != "SingleStack" {
        families.push(family(families[0] == "IPv4").to_owned());
    }
}
