//! Ingress: HTTP hosts and paths to Services (G1).

use crate::base::base;
use crate::cells;
use crate::ip;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata::{self, checked};
use crate::older;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{self, int, items, present, text, texts};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["ing"],
    subresources: &[Subresource::Status],
    older: older::INGRESS,
    columns: &[
        NAME,
        Column::text(
            "Class",
            "The name of the IngressClass resource that should be used for additional configuration",
        ),
        Column::text("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
        Column::text("Address", "Address is a list containing ingress points for the load-balancer"),
        Column::text("Ports", "Ports of TLS configurations that open"),
        AGE,
    ],
    cells: print,
    prepare_create: |ingress| {
        walk::put(ingress, "status", json!({"loadBalancer": {}}));
        meta::set_generation(ingress, 1);
    },
    prepare_update: strategy::update_with_status,
    validate,
    generation: true,
    ..base::<Ingress>("ingress")
};

const HOSTS_MAX: usize = 3;
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const NOT_IN_PATHS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_THE_END: [&str; 2] = ["/..", "/."];

fn print(ingress: &Object, now: Timestamp) -> Vec<Value> {
    let spec = &ingress["spec"];
    let ports = if present(&spec["tls"]) { "80, 443" } else { "80" };
    vec![
        cells::name(ingress),
        cells::or_none(&spec["ingressClassName"]),
        hosts(spec).into(),
        cells::balancer_addresses(ingress).into(),
        ports.into(),
        cells::aged(ingress, now),
    ]
}

fn hosts(spec: &Value) -> String {
    let rules = items(&spec["rules"]).iter().map(|rule| text(&rule["host"]));
    let hosts: Vec<String> = rules.filter(|host| !host.is_empty()).map(str::to_owned).collect();
    if hosts.is_empty() { "*".to_owned() } else { cells::joined_up_to(&hosts, HOSTS_MAX) }
}

fn validate(ingress: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(ingress);
    let (spec, path) = (&ingress["spec"], Path::new("spec"));
    if !present(&spec["rules"]) && spec["defaultBackend"].is_null() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid(&path, spec.clone(), detail));
    }
    for (index, tls) in items(&spec["tls"]).iter().enumerate() {
        for (number, host) in texts(&tls["hosts"]).into_iter().enumerate() {
            errors.extend(host_name(host, &path.child("tls").index(index).child("hosts").index(number)));
        }
    }
    for (index, rule) in items(&spec["rules"]).iter().enumerate() {
        validate_rule(rule, &path.child("rules").index(index), &mut errors);
    }
    if !spec["defaultBackend"].is_null() {
        validate_backend(&spec["defaultBackend"], &path.child("defaultBackend"), &mut errors);
    }
    let class = text(&spec["ingressClassName"]);
    if !spec["ingressClassName"].is_null() {
        errors.extend(checked(&path.child("ingressClassName"), class, names::dns1123_subdomain(class)));
    }
    errors
}

fn host_name(host: &str, at: &Path) -> Vec<FieldError> {
    match host.contains('*') {
        true => checked(at, host, names::wildcard_dns1123_subdomain(host)),
        false => checked(at, host, names::dns1123_subdomain(host)),
    }
}

fn validate_rule(rule: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let host = text(&rule["host"]);
    if !host.is_empty() {
        if ip::parse_sloppy(host).is_some() {
            errors.push(FieldError::invalid(
                &at.child("host"),
                host,
                "must be a DNS name, not an IP address",
            ));
        }
        errors.extend(host_name(host, &at.child("host")));
    }
    if rule["http"].is_null() {
        return;
    }
    let paths = at.child("http").child("paths");
    if !present(&rule["http"]["paths"]) {
        errors.push(FieldError::required(&paths, ""));
    }
    for (index, path) in items(&rule["http"]["paths"]).iter().enumerate() {
        validate_path(path, &paths.index(index), errors);
    }
}

fn validate_path(path: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let (kind, given, here) = (text(&path["pathType"]), text(&path["path"]), at.child("path"));
    match kind {
        "" => errors.push(FieldError::required(&at.child("pathType"), "pathType must be specified")),
        "ImplementationSpecific" if given.is_empty() => {}
        "ImplementationSpecific" | "Exact" | "Prefix" if !given.starts_with('/') => {
            errors.push(FieldError::invalid(&here, given, "must be an absolute path"));
        }
        "Exact" | "Prefix" => {
            for part in NOT_IN_PATHS.into_iter().filter(|part| given.contains(part)) {
                errors.push(FieldError::invalid(&here, given, format!("must not contain '{part}'")));
            }
            for part in NOT_AT_THE_END.into_iter().filter(|part| given.ends_with(part)) {
                errors.push(FieldError::invalid(&here, given, format!("cannot end with '{part}'")));
            }
        }
        "ImplementationSpecific" => {}
        _ => supported(path, "pathType", &PATH_TYPES, at, errors),
    }
    validate_backend(&path["backend"], &at.child("backend"), errors);
}

fn validate_backend(backend: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let service = &backend["service"];
    match (service.is_null(), backend["resource"].is_null()) {
        (false, false) => {
            errors.push(FieldError::invalid(at, "", "cannot set both resource and service backends"));
            return;
        }
        (true, true) => {
            errors.push(FieldError::required(at, "resource or service backend is required"));
            return;
        }
        (true, false) => return,
        (false, true) => {}
    }
    let (name, here) = (text(&service["name"]), at.child("service").child("name"));
    match name {
        "" => errors.push(FieldError::required(&here, "")),
        _ => errors.extend(checked(&here, name, names::dns1123_label(name))),
    }
    let (port, here) = (&service["port"], at.child("service").child("port"));
    match (text(&port["name"]), int(&port["number"])) {
        ("", 0) => errors.push(FieldError::required(&here, "port name or number is required")),
        ("", number) => errors.extend(checked(&here.child("number"), number, names::port_number(number))),
        (name, 0) => errors.extend(checked(&here.child("name"), name, names::port_name(name))),
        _ => errors.push(FieldError::invalid(&here, "", "cannot set both port name & port number")),
    }
}
