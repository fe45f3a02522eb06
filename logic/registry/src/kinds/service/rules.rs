//! Rules of Services (A3; upstream: ValidateService). Addresses and families are in `addresses`.

use super::addresses::{self, is_headless};
use super::defaults::externally_accessible;
use super::normalize::needs_health_check;
use crate::ip;
use crate::metadata::{self, checked};
use crate::pod_spec::probes;
use crate::walk::{int, items, present, text, texts};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::Value;
use std::collections::BTreeSet;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// Rules of one Service alone.
pub fn validate(service: &Object) -> Vec<FieldError> {
    validate_knowing(service, &[])
}

fn validate_knowing(service: &Object, stored: &[&str]) -> Vec<FieldError> {
    // A1.7: since 1.36 a name may start with a digit.
    let mut errors = metadata::validate(service, true, names::dns1123_label);
    let (spec, path) = (&service["spec"], Path::new("spec"));
    annotations(service, &mut errors);
    kind_of_service(spec, &path, &mut errors);
    errors.extend(metadata::labels(&spec["selector"], &path.child("selector")));
    affinity(spec, &path, &mut errors);
    addresses::validate(spec, stored, &path, &mut errors);
    external_ips(spec, stored, &path, &mut errors);
    required_one_of(spec, "type", &TYPES, &path, &mut errors);
    ports(spec, &path, &mut errors);
    load_balancer(service, &path, &mut errors);
    external_policy(spec, &path, &mut errors);
    internal_policy(spec, &path, &mut errors);
    one_of(spec, "trafficDistribution", &DISTRIBUTIONS, &path, &mut errors);
    errors
}

fn one_of(spec: &Value, field: &str, values: &[&'static str], path: &Path, errors: &mut Vec<FieldError>) {
    let given = text(&spec[field]);
    if !given.is_empty() && !values.contains(&given) {
        errors.push(FieldError::not_supported(&path.child(field), given, values.iter().copied()));
    }
}

fn required_one_of(
    spec: &Value,
    field: &str,
    values: &[&'static str],
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    crate::pod_spec::spec::supported(spec, field, values, path, errors);
}

/// A3.30.
fn annotations(service: &Object, errors: &mut Vec<FieldError>) {
    let (hints, mode) = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode");
    if let (Some(old), Some(new)) = (meta::annotation(service, hints), meta::annotation(service, mode))
        && old != new
    {
        let detail = format!("must match annotations[{hints}] when both are specified");
        errors.push(FieldError::invalid(&Path::new("metadata.annotations").key(mode), new, detail));
    }
}

/// A3.1 to A3.4: what the type asks for.
fn kind_of_service(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let kind = text(&spec["type"]);
    if !present(&spec["ports"]) && !is_headless(spec) && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), "None", detail));
        }
        "ExternalName" => {
            let name = text(&spec["externalName"]);
            let at = path.child("externalName");
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.push(FieldError::required(&at, "")),
                plain => errors.extend(checked(&at, name, names::dns1123_subdomain(plain))),
            }
        }
        _ => {}
    }
}

/// A3.13, A3.14.
fn affinity(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    required_one_of(spec, "sessionAffinity", &["ClientIP", "None"], path, errors);
    let (kind, config) = (text(&spec["sessionAffinity"]), &spec["sessionAffinityConfig"]);
    let at = path.child("sessionAffinityConfig");
    if kind == "None" && !config.is_null() {
        errors.push(FieldError::forbidden(&at, "must not be set when session affinity is None"));
    }
    if kind == "ClientIP" {
        let seconds = &config["clientIP"]["timeoutSeconds"];
        let at = at.child("clientIP").child("timeoutSeconds");
        match seconds.as_i64() {
            None => errors
                .push(FieldError::required(&at, "must not be nil when session affinity type is ClientIP")),
            Some(seconds) if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) => {
                let detail = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                errors.push(FieldError::invalid(&at, seconds, detail));
            }
            Some(_) => {}
        }
    }
}

/// A3.20.
fn external_ips(spec: &Value, stored: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    for (index, address) in texts(&spec["externalIPs"]).into_iter().enumerate() {
        let at = path.child("externalIPs").index(index);
        let wrong = ip::validate_unless_stored(address, stored, &at);
        match wrong.is_empty() {
            true => errors.extend(ip::validate_not_special(address, &at)),
            false => errors.extend(wrong),
        }
    }
}

/// A3.5 to A3.12.
fn ports(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let list = items(&spec["ports"]);
    let (mut names, mut places, mut node_ports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, port) in list.iter().enumerate() {
        let at = path.child("ports").index(index);
        port_name(port, list.len() > 1, &mut names, &at, errors);
        let number = int(&port["port"]);
        errors.extend(checked(&at.child("port"), number, names::port_number(number)));
        required_one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &at, errors);
        errors.extend(probes::port(&port["targetPort"], &at.child("targetPort")));
        let protocol = text(&port["appProtocol"]);
        if !port["appProtocol"].is_null() {
            errors.extend(checked(&at.child("appProtocol"), protocol, names::qualified_name(protocol)));
        }
        node_port(spec, port, &mut node_ports, &at, errors);
        if number != 0 && !places.insert((text(&port["protocol"]), number)) {
            errors.push(FieldError::duplicate(
                &at,
                serde_json::json!({"port": number, "protocol": port["protocol"]}),
            ));
        }
    }
}

fn port_name<'a>(
    port: &'a Value,
    required: bool,
    taken: &mut BTreeSet<&'a str>,
    at: &Path,
    errors: &mut Vec<FieldError>,
) {
    let at = at.child("name");
    let name = text(&port["name"]);
    if name.is_empty() {
        if required {
            errors.push(FieldError::required(&at, ""));
        }
        return;
    }
    errors.extend(checked(&at, name, names::dns1123_label(name)));
    if !taken.insert(name) {
        errors.push(FieldError::duplicate(&at, name));
    }
}

fn node_port<'a>(
    spec: &Value,
    port: &'a Value,
    taken: &mut BTreeSet<(&'a str, i64)>,
    at: &Path,
    errors: &mut Vec<FieldError>,
) {
    let number = int(&port["nodePort"]);
    let at = at.child("nodePort");
    if number == 0 {
        return;
    }
    if text(&spec["type"]) == "ClusterIP" {
        errors.push(FieldError::forbidden(&at, "may not be used when `type` is 'ClusterIP'"));
    }
    if !taken.insert((text(&port["protocol"]), number)) {
        errors.push(FieldError::duplicate(&at, number));
    }
}

/// A3.21 to A3.24.
fn load_balancer(service: &Object, path: &Path, errors: &mut Vec<FieldError>) {
    let spec = &service["spec"];
    let balanced = text(&spec["type"]) == "LoadBalancer";
    source_ranges(service, balanced, path, errors);
    let at = path.child("allocateLoadBalancerNodePorts");
    match (balanced, spec["allocateLoadBalancerNodePorts"].is_null()) {
        (true, true) => errors.push(FieldError::required(&at, "")),
        (false, false) => errors.push(FieldError::forbidden(&at, ONLY_LOAD_BALANCER)),
        _ => {}
    }
    let class = &spec["loadBalancerClass"];
    if !class.is_null() {
        let at = path.child("loadBalancerClass");
        match balanced {
            true => errors.extend(checked(&at, text(class), names::qualified_name(text(class)))),
            false => errors.push(FieldError::forbidden(&at, ONLY_LOAD_BALANCER)),
        }
    }
}

fn source_ranges(service: &Object, balanced: bool, path: &Path, errors: &mut Vec<FieldError>) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let field = texts(&service["spec"]["loadBalancerSourceRanges"]);
    // Upstream spells this path with a capital.
    let at = path.child("LoadBalancerSourceRanges");
    if !field.is_empty() {
        if !balanced {
            errors.push(FieldError::forbidden(&at, ONLY_LOAD_BALANCER));
        }
        for (index, range) in field.into_iter().enumerate() {
            errors.extend(ip::validate_cidr(range.trim(), &at.index(index)));
        }
    } else if let Some(ranges) = meta::annotation(service, ANNOTATION) {
        let at = Path::new("metadata.annotations").key(ANNOTATION);
        if !balanced {
            errors.push(FieldError::forbidden(&at, ONLY_LOAD_BALANCER));
        }
        let wrong = |range: &str| ip::parse_cidr(range.trim()).is_none();
        if !ranges.trim().is_empty() && ranges.split(',').any(wrong) {
            let detail = "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24";
            errors.push(FieldError::invalid(&at, ranges, detail));
        }
    }
}

/// A3.25, A3.26.
fn external_policy(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let policy = text(&spec["externalTrafficPolicy"]);
    let at = path.child("externalTrafficPolicy");
    if !externally_accessible(spec) {
        if !policy.is_empty() {
            let detail = "may only be set for externally-accessible services";
            errors.push(FieldError::invalid(&at, policy, detail));
        }
    } else {
        required_one_of(spec, "externalTrafficPolicy", &POLICIES, path, errors);
    }
    let port = int(&spec["healthCheckNodePort"]);
    if !needs_health_check(spec) && port != 0 {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid(&path.child("healthCheckNodePort"), port, detail));
    }
}

/// A3.28.
fn internal_policy(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if addresses::needs_cluster_ip(spec) {
        required_one_of(spec, "internalTrafficPolicy", &POLICIES, path, errors);
    }
}

/// A3.24, A3.27, A3.32, A3.33.
pub fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let (after, before, path) = (&new["spec"], &old["spec"], Path::new("spec"));
    addresses::validate_update(after, before, &path, &mut errors);
    if needs_health_check(after) && needs_health_check(before) {
        let field = "healthCheckNodePort";
        if int(&after[field]) != int(&before[field]) {
            errors.push(FieldError::forbidden(&path.child(field), "field is immutable"));
        }
    }
    let balanced = |spec: &Value| text(&spec["type"]) == "LoadBalancer";
    let (class, was) = (&after["loadBalancerClass"], &before["loadBalancerClass"]);
    if balanced(after) && balanced(before) && class != was {
        let at = path.child("loadBalancerClass");
        errors.push(FieldError::invalid(&at, class.clone(), "may not change once set"));
    }
    errors
}

/// A3.35.
pub fn validate_status_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let path = Path::new("status.loadBalancer.ingress");
    let ingress = items(&new["status"]["loadBalancer"]["ingress"]);
    let changed = new["status"]["loadBalancer"] != old["status"]["loadBalancer"];
    if text(&new["spec"]["type"]) != "LoadBalancer" && !ingress.is_empty() && changed {
        errors.push(FieldError::forbidden(&path, "may only be used when `spec.type` is \"LoadBalancer\""));
    }
    for (index, entry) in ingress.iter().enumerate() {
        ingress_entry(entry, &path.index(index), &mut errors);
    }
    errors
}

fn ingress_entry(entry: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let (address, host, mode) = (text(&entry["ip"]), text(&entry["hostname"]), text(&entry["ipMode"]));
    if !address.is_empty() {
        errors.extend(ip::validate(address, &at.child("ip")));
        if mode.is_empty() {
            errors.push(FieldError::required(&at.child("ipMode"), "must be specified when `ip` is set"));
        }
    } else if !mode.is_empty() {
        errors.push(FieldError::forbidden(&at.child("ipMode"), "may not be specified when `ip` is not set"));
    }
    if !mode.is_empty() && !["Proxy", "VIP"].contains(&mode) {
        errors.push(FieldError::not_supported(&at.child("ipMode"), mode, ["Proxy", "VIP"]));
    }
    if !host.is_empty() {
        errors.extend(checked(&at.child("hostname"), host, names::dns1123_subdomain(host)));
        if ip::parse_sloppy(host).is_some() {
            errors.push(FieldError::invalid(
                &at.child("hostname"),
                host,
                "must be a DNS name, not an IP address",
            ));
        }
    }
}
