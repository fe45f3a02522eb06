//! Rules of containers: names, images, ports, mounts (upstream: validateContainers and what it calls).

use super::spec::supported;
use super::{environment, probes, resources};
use crate::metadata::checked;
use crate::walk::{entries, flag, int, items, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;
use std::collections::BTreeSet;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// All containers of a spec; `volumes` are the names mounts may refer to.
pub fn validate(spec: &Value, path: &Path, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    let host_network = flag(&spec["hostNetwork"]);
    if !present(&spec["containers"]) {
        errors.push(FieldError::required(&path.child("containers"), ""));
    }
    for (list, init) in [("containers", false), ("initContainers", true)] {
        for (index, container) in items(&spec[list]).iter().enumerate() {
            let at = path.child(list).index(index);
            validate_one(container, &at, volumes, &mut names, errors);
            let sidecar = text(&container["restartPolicy"]) == "Always";
            probes::validate(container, &at, init && !sidecar, errors);
            restart_policy(container, init, &at, errors);
            if host_network {
                host_network_ports(container, &at, errors);
            }
        }
        host_port_conflicts(&spec[list], &path.child(list), errors);
    }
    ephemeral(spec, path, volumes, &mut names, errors);
}

/// What an ephemeral container may say; it is no part of the pod's work.
const EPHEMERAL_FIELDS: [&str; 17] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "securityContext",
    "stdin",
    "stdinOnce",
    "targetContainerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

fn ephemeral<'a>(
    spec: &'a Value,
    path: &Path,
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    errors: &mut Vec<FieldError>,
) {
    const DETAIL: &str = "cannot be set for an Ephemeral Container";
    let targets = names.clone();
    for (index, container) in items(&spec["ephemeralContainers"]).iter().enumerate() {
        let at = path.child("ephemeralContainers").index(index);
        validate_one(container, &at, volumes, names, errors);
        let target = text(&container["targetContainerName"]);
        if !target.is_empty() && !targets.contains(target) {
            errors.push(FieldError::not_found(&at.child("targetContainerName"), target));
        }
        for (field, value) in entries(container) {
            if !EPHEMERAL_FIELDS.contains(&field) && present(value) {
                errors.push(FieldError::forbidden(&at.child(field), DETAIL));
            }
        }
        for (number, mount) in items(&container["volumeMounts"]).iter().enumerate() {
            for field in ["subPath", "subPathExpr"].into_iter().filter(|field| present(&mount[*field])) {
                let place = at.child("volumeMounts").index(number).child(field);
                errors.push(FieldError::forbidden(&place, DETAIL));
            }
        }
    }
}

fn validate_one<'a>(
    container: &'a Value,
    at: &Path,
    volumes: &BTreeSet<&str>,
    taken: &mut BTreeSet<&'a str>,
    errors: &mut Vec<FieldError>,
) {
    name(container, at, taken, errors);
    image(container, at, errors);
    let termination = text(&container["terminationMessagePolicy"]);
    if !["File", "FallbackToLogsOnError"].contains(&termination) {
        let detail = "must be 'File' or 'FallbackToLogsOnError'";
        errors.push(FieldError::invalid(&at.child("terminationMessagePolicy"), termination, detail));
    }
    ports(&container["ports"], &at.child("ports"), errors);
    environment::validate(container, at, errors);
    mounts(&container["volumeMounts"], &at.child("volumeMounts"), volumes, errors);
    supported(container, "imagePullPolicy", &PULL_POLICIES, at, errors);
    resources::validate(&container["resources"], &at.child("resources"), errors);
    security(&container["securityContext"], &at.child("securityContext"), errors);
}

fn name<'a>(container: &'a Value, at: &Path, taken: &mut BTreeSet<&'a str>, errors: &mut Vec<FieldError>) {
    let at = at.child("name");
    let name = text(&container["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    errors.extend(checked(&at, name, names::dns1123_label(name)));
    if !taken.insert(name) {
        errors.push(FieldError::duplicate(&at, name));
    }
}

fn image(container: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let at = at.child("image");
    let image = text(&container["image"]);
    if image.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else if image != image.trim() {
        errors.push(FieldError::invalid(&at, image, "must not have leading or trailing whitespace"));
    }
}

fn ports(list: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for (index, port) in items(list).iter().enumerate() {
        let at = path.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let wrong = checked(&at.child("name"), name, names::port_name(name));
            if wrong.is_empty() && !taken.insert(name) {
                errors.push(FieldError::duplicate(&at.child("name"), name));
            }
            errors.extend(wrong);
        }
        match int(&port["containerPort"]) {
            0 => errors.push(FieldError::required(&at.child("containerPort"), "")),
            number => errors.extend(checked(&at.child("containerPort"), number, names::port_number(number))),
        }
        if let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) {
            errors.extend(checked(&at.child("hostPort"), number, names::port_number(number)));
        }
        supported(port, "protocol", &["SCTP", "TCP", "UDP"], &at, errors);
    }
}

fn host_network_ports(container: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let number = int(&port["containerPort"]);
        if ![0, number].contains(&int(&port["hostPort"])) {
            let at = at.child("ports").index(index).child("containerPort");
            errors.push(FieldError::invalid(&at, number, "must match `hostPort` when `hostNetwork` is true"));
        }
    }
}

fn host_port_conflicts(list: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for (index, container) in items(list).iter().enumerate() {
        for (number, port) in items(&container["ports"]).iter().enumerate() {
            let host = int(&port["hostPort"]);
            let key = format!("{}/{}/{host}", text(&port["protocol"]), text(&port["hostIP"]));
            if host != 0 && !taken.insert(key.clone()) {
                let at = path.index(index).child("ports").index(number).child("hostPort");
                errors.push(FieldError::duplicate(&at, key));
            }
        }
    }
}

fn mounts(list: &Value, path: &Path, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut places = BTreeSet::new();
    for (index, mount) in items(list).iter().enumerate() {
        let at = path.index(index);
        let (name, place) = (text(&mount["name"]), text(&mount["mountPath"]));
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        }
        if !volumes.contains(name) {
            errors.push(FieldError::not_found(&at.child("name"), name));
        }
        if place.is_empty() {
            errors.push(FieldError::required(&at.child("mountPath"), ""));
        }
        if !places.insert(place) {
            errors.push(FieldError::invalid(&at.child("mountPath"), place, "must be unique"));
        }
        if present(&mount["subPath"]) && present(&mount["subPathExpr"]) {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(&at.child("subPathExpr"), text(&mount["subPathExpr"]), detail));
        }
        for field in ["subPath", "subPathExpr"] {
            errors.extend(local_path(text(&mount[field]), &at.child(field)));
        }
    }
}

/// A path that stays below where it starts.
pub fn local_path(path: &str, at: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if path.starts_with('/') {
        errors.push(FieldError::invalid(at, path, "must be a relative path"));
    }
    if path.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(at, path, "must not contain '..'"));
    }
    errors
}

fn restart_policy(container: &Value, init: bool, at: &Path, errors: &mut Vec<FieldError>) {
    let policy = text(&container["restartPolicy"]);
    if policy.is_empty() {
        return;
    }
    let at = at.child("restartPolicy");
    let allowed = if init { vec!["Always"] } else { super::spec::RESTART_POLICIES.to_vec() };
    if !allowed.contains(&policy) {
        errors.push(FieldError::not_supported(&at, policy, allowed));
    }
}

fn security(context: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup"] {
        if let Some(id) = context[field].as_i64() {
            errors.extend(checked(&path.child(field), id, names::in_range(id, 0, i64::from(i32::MAX))));
        }
    }
    if context["allowPrivilegeEscalation"] == false && flag(&context["privileged"]) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(FieldError::invalid(path, context.clone(), detail));
    }
}
