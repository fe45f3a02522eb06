//! Objects that many tests need, as plain JSON.

use serde_json::{Value, json};

use super::time;

pub(crate) fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

pub(crate) fn pod(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "web"}]},
    })
}

/// A pod that runs on node `n`, ready since the world began.
pub(crate) fn running(name: &str, labels: Value, ip: &str) -> Value {
    let mut pod = pod(name, labels);
    pod["spec"]["nodeName"] = "n".into();
    pod["status"] = json!({
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time(0)}],
    });
    pod
}

pub(crate) fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    for (field, value) in
        [("clusterIP", json!("10.96.0.7")), ("ipFamilies", json!(["IPv4"])), ("type", json!("ClusterIP"))]
    {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default", "labels": {"team": "a"}}, "spec": spec})
}

pub(crate) fn deployment(name: &str, replicas: i32, image: &str, strategy: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "strategy": strategy,
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}
