//! Defaults of pod specs (upstream: pkg/apis/core/v1/defaults.go).
//!
//! Invariant: idempotent. `template` is what a workload's template gets; `pod` adds what only a Pod itself gets.

use crate::walk::{self, default_to, entries, flag, items, items_mut, member, present, text};
use serde_json::{Value, json};

const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Defaults of the pod spec in a template.
pub fn template(spec: &mut Value) {
    default_to(spec, "restartPolicy", "Always");
    default_to(spec, "dnsPolicy", "ClusterFirst");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_to(spec, "schedulerName", "default-scheduler");
    default_to(spec, "securityContext", json!({}));
    service_account(spec);
    for list in CONTAINER_LISTS {
        items_mut(spec, list).for_each(container);
    }
    items_mut(spec, "volumes").for_each(volume);
}

/// Defaults of a Pod's own spec.
pub fn pod(spec: &mut Value) {
    template(spec);
    default_to(spec, "enableServiceLinks", true);
    let host_network = flag(&spec["hostNetwork"]);
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            requests_from_limits(container);
            if host_network {
                items_mut(container, "ports").for_each(host_port);
            }
        }
    }
}

/// The old name of the field is written beside the new one.
fn service_account(spec: &mut Value) {
    let name = match text(&spec["serviceAccountName"]) {
        "" => text(&spec["serviceAccount"]).to_owned(),
        name => name.to_owned(),
    };
    let value = if name.is_empty() { Value::Null } else { Value::from(name) };
    walk::put(spec, "serviceAccountName", value.clone());
    walk::put(spec, "serviceAccount", value);
}

fn container(container: &mut Value) {
    let policy = pull_policy(text(&container["image"]));
    default_to(container, "imagePullPolicy", policy);
    default_to(container, "terminationMessagePath", "/dev/termination-log");
    default_to(container, "terminationMessagePolicy", "File");
    default_to(container, "resources", json!({}));
    for port in items_mut(container, "ports") {
        default_to(port, "protocol", "TCP");
    }
    for variable in items_mut(container, "env") {
        env_source(variable);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = member(container, name) {
            self::probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = walk::at(container, &["lifecycle", hook, "httpGet"]) {
            http_get(get);
        }
    }
}

/// `Always` for the tag `latest`, also when it is only implied; else `IfNotPresent`.
pub fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    let (name, digest) = match last.split_once('@') {
        Some((name, _)) => (name, true),
        None => (last, false),
    };
    match name.split_once(':') {
        Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
        None if digest => "IfNotPresent",
        None => "Always",
    }
}

fn env_source(variable: &mut Value) {
    if let Some(field) = walk::at(variable, &["valueFrom", "fieldRef"]) {
        default_to(field, "apiVersion", "v1");
    }
    if let Some(amount) = walk::at(variable, &["valueFrom", "resourceFieldRef"]) {
        default_to(amount, "divisor", "0");
    }
}

fn probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        default_to(probe, field, value);
    }
    if let Some(get) = member(probe, "httpGet") {
        http_get(get);
    }
    if let Some(grpc) = member(probe, "grpc") {
        default_to(grpc, "service", "");
    }
}

fn http_get(get: &mut Value) {
    default_to(get, "path", "/");
    default_to(get, "scheme", "HTTP");
    let scheme = text(&get["scheme"]).to_uppercase();
    walk::put(get, "scheme", scheme);
}

fn requests_from_limits(container: &mut Value) {
    let limits = container["resources"]["limits"].clone();
    if !present(&limits) {
        return;
    }
    let requests = walk::object(walk::object(container, "resources"), "requests");
    for (name, limit) in entries(&limits) {
        default_to(requests, name, limit.clone());
    }
}

fn host_port(port: &mut Value) {
    let number = port["containerPort"].clone();
    default_to(port, "hostPort", number);
}

fn volume(volume: &mut Value) {
    if walk::size(volume) <= 1 && present(&volume["name"]) {
        walk::put(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = member(volume, source) {
            default_to(source, "defaultMode", 420);
        }
    }
    if let Some(path) = member(volume, "hostPath") {
        default_to(path, "type", "");
    }
    if let Some(downward) = member(volume, "downwardAPI") {
        items_mut(downward, "items").for_each(downward_item);
    }
    if let Some(projected) = member(volume, "projected") {
        for source in items_mut(projected, "sources") {
            if let Some(token) = member(source, "serviceAccountToken") {
                default_to(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = member(source, "downwardAPI") {
                items_mut(downward, "items").for_each(downward_item);
            }
        }
    }
}

fn downward_item(item: &mut Value) {
    if let Some(field) = member(item, "fieldRef") {
        default_to(field, "apiVersion", "v1");
    }
}

/// What admission adds to a new Pod: the namespace's default service account, priority, tolerations for five minutes.
pub fn admission(spec: &mut Value) {
    default_to(spec, "serviceAccountName", "default");
    service_account(spec);
    let priority = match text(&spec["priorityClassName"]) {
        "system-node-critical" => 2_000_001_000,
        "system-cluster-critical" => 2_000_000_000,
        _ => 0,
    };
    default_to(spec, "priority", priority);
    default_to(spec, "preemptionPolicy", "PreemptLowerPriority");
    default_to(spec, "tolerations", json!([]));
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        tolerate(spec, key);
    }
}

fn tolerate(spec: &mut Value, key: &str) {
    let covered = items(&spec["tolerations"]).iter().any(|toleration| {
        ["", key].contains(&text(&toleration["key"]))
            && ["", "NoExecute"].contains(&text(&toleration["effect"]))
    });
    let Some(tolerations) = member(spec, "tolerations").and_then(Value::as_array_mut).filter(|_| !covered)
    else {
        return;
    };
    tolerations
        .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
}
