//! What a Service's author is told without being refused (A4).

use super::addresses::is_headless;
use crate::ip;
use crate::walk::{present, text, texts};
use kelson_machinery::{Object, meta};
use serde_json::Value;

/// All texts, in upstream's order.
pub fn of(new: &Object, _old: Option<&Object>) -> Vec<String> {
    let spec = &new["spec"];
    let mut warnings = Vec::new();
    let hints = "service.kubernetes.io/topology-aware-hints";
    if meta::annotation(new, hints).is_some() {
        warnings.push(format!(
            "annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead"
        ));
    }
    if is_headless(spec) {
        headless(spec, &mut warnings);
    }
    external_ips(spec, &mut warnings);
    if text(&spec["type"]) != "ExternalName" && present(&spec["externalName"]) {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(&spec["trafficDistribution"]) == "PreferClose" {
        warnings.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
        );
    }
    spellings(spec, &mut warnings);
    warnings
}

fn headless(spec: &Value, warnings: &mut Vec<String>) {
    for field in ["loadBalancerIP", "externalIPs"].into_iter().filter(|field| present(&spec[*field])) {
        warnings.push(format!("spec.{field} is ignored for headless services"));
    }
    if text(&spec["sessionAffinity"]) != "None" {
        warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
    }
}

fn external_ips(spec: &Value, warnings: &mut Vec<String>) {
    if !present(&spec["externalIPs"]) {
        return;
    }
    if text(&spec["type"]) == "ExternalName" {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    } else if !is_headless(spec) {
        warnings.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned(),
        );
    }
}

/// A4.7: addresses that are valid but not in canonical form.
fn spellings(spec: &Value, warnings: &mut Vec<String>) {
    for list in ["clusterIPs", "externalIPs"] {
        for (index, address) in texts(&spec[list]).into_iter().enumerate() {
            warnings.extend(ip::warnings(address, &format!("spec.{list}[{index}]")));
        }
    }
    warnings.extend(ip::warnings(text(&spec["loadBalancerIP"]), "spec.loadBalancerIP"));
    for (index, range) in texts(&spec["loadBalancerSourceRanges"]).into_iter().enumerate() {
        warnings.extend(ip::cidr_warnings(range.trim(), &format!("spec.loadBalancerSourceRanges[{index}]")));
    }
}
