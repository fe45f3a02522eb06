//! Rules of probes and lifecycle hooks.

use crate::metadata::{NOT_NEGATIVE, checked};
use crate::walk::{int, items, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const SECONDS: [&str; 5] =
    ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// Probes and hooks of one container; `plain_init` containers may have neither.
pub fn validate(container: &Value, at: &Path, plain_init: bool, errors: &mut Vec<FieldError>) {
    for (name, once) in [("livenessProbe", true), ("readinessProbe", false), ("startupProbe", true)] {
        let given = &container[name];
        if given.is_null() {
            continue;
        }
        match plain_init {
            true => errors.push(FieldError::forbidden(&at.child(name), NOT_FOR_INIT)),
            false => probe(given, &at.child(name), once, errors),
        }
    }
    if container["lifecycle"].is_object() && plain_init {
        errors.push(FieldError::forbidden(&at.child("lifecycle"), NOT_FOR_INIT));
    } else {
        for hook in
            ["postStart", "preStop"].into_iter().filter(|hook| !container["lifecycle"][*hook].is_null())
        {
            handler(&container["lifecycle"][hook], &at.child("lifecycle").child(hook), errors);
        }
    }
}

const NOT_FOR_INIT: &str = "may not be set for init containers without restartPolicy=Always";

fn probe(probe: &Value, at: &Path, once: bool, errors: &mut Vec<FieldError>) {
    handler(probe, at, errors);
    for field in SECONDS {
        let value = int(&probe[field]);
        if value < 0 {
            errors.push(FieldError::invalid(&at.child(field), value, NOT_NEGATIVE));
        }
    }
    if let Some(grace) = probe["terminationGracePeriodSeconds"].as_i64().filter(|grace| *grace <= 0) {
        errors.push(FieldError::invalid(
            &at.child("terminationGracePeriodSeconds"),
            grace,
            "must be greater than 0",
        ));
    }
    let threshold = int(&probe["successThreshold"]);
    if once && threshold != 1 {
        errors.push(FieldError::invalid(&at.child("successThreshold"), threshold, "must be 1"));
    }
}

fn handler(handler: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = HANDLERS.into_iter().filter(|name| !handler[*name].is_null()).collect();
    if given.is_empty() {
        errors.push(FieldError::required(at, "must specify a handler type"));
    }
    for (index, name) in given.iter().enumerate() {
        let here = at.child(name);
        if index > 0 {
            errors.push(FieldError::forbidden(&here, "may not specify more than 1 handler type"));
            continue;
        }
        match *name {
            "exec" if !present(&handler["exec"]["command"]) => {
                errors.push(FieldError::required(&here.child("command"), ""));
            }
            "httpGet" => http_get(&handler["httpGet"], &here, errors),
            "tcpSocket" => errors.extend(port(&handler["tcpSocket"]["port"], &here.child("port"))),
            "grpc" => errors.extend(port(&handler["grpc"]["port"], &here.child("port"))),
            _ => {}
        }
    }
}

fn http_get(get: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    if !present(&get["path"]) {
        errors.push(FieldError::required(&at.child("path"), ""));
    }
    errors.extend(port(&get["port"], &at.child("port")));
    let scheme = text(&get["scheme"]);
    if !["HTTP", "HTTPS"].contains(&scheme) {
        errors.push(FieldError::not_supported(&at.child("scheme"), scheme, ["HTTP", "HTTPS"]));
    }
    for header in items(&get["httpHeaders"]) {
        let name = text(&header["name"]);
        errors.extend(checked(&at.child("httpHeaders"), name, names::http_header_name(name)));
    }
}

/// A port by number or by name.
pub fn port(port: &Value, at: &Path) -> Vec<FieldError> {
    match port.as_str() {
        Some(name) => checked(at, name, names::port_name(name)),
        None => checked(at, int(port), names::port_number(int(port))),
    }
}
