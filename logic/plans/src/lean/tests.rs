//! What goes into a view of an object, and what does not.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn check<K: Kept + DeserializeOwned + Serialize>(object: Value, expected: Value) {
    let object: K = serde_json::from_value(object).unwrap();
    let expected: K = serde_json::from_value(expected).unwrap();
    assert_eq!(serde_json::to_value(lean(object)).unwrap(), serde_json::to_value(expected).unwrap());
}

#[test]
fn of_a_pod_there_is_what_it_takes_up_and_how_it_is_found() {
    let kept = json!({"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}],
        "resources": {"requests": {"cpu": "1"}}, "restartPolicy": "Always"});
    let mut container = kept.clone();
    container["env"] = json!([{"name": "A", "value": "b"}]);
    container["args"] = json!(["a"]);
    container["livenessProbe"] = json!({"httpGet": {"port": 1}});
    container["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    let claimed =
        json!([{"name": "p", "persistentVolumeClaim": {"claimName": "x"}}, {"name": "e", "ephemeral": {}}]);
    let mut volumes = claimed.clone();
    volumes.as_array_mut().unwrap().insert(1, json!({"name": "s", "secret": {"secretName": "s"}}));
    let metadata = json!({"name": "a", "annotations": {"a": "b"}, "labels": {"l": "m"}});
    let mut annotated = metadata.clone();
    annotated["annotations"][LAST_APPLIED] = json!("{}");
    let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    check::<Pod>(
        json!({"metadata": annotated, "status": status, "spec": {"nodeName": "n", "volumes": volumes,
            "containers": [container], "initContainers": [container], "ephemeralContainers": [{"name": "d"}],
            "securityContext": {"runAsUser": 1}, "dnsConfig": {}, "tolerations": [{"key": "k"}]}}),
        json!({"metadata": metadata, "status": status, "spec": {"nodeName": "n", "volumes": claimed,
            "containers": [kept], "initContainers": [kept], "tolerations": [{"key": "k"}]}}),
    );
    check::<Pod>(json!({"metadata": {"name": "a"}}), json!({"metadata": {"name": "a"}}));
}

#[test]
fn contents_of_config_maps_are_let_go_but_for_the_root_certificates() {
    let map =
        |name: &str| json!({"metadata": {"name": name}, "data": {"k": "v"}, "binaryData": {"b": "YQ=="}});
    check::<ConfigMap>(map("mine"), json!({"metadata": {"name": "mine"}}));
    check::<ConfigMap>(map(ROOT_CA), map(ROOT_CA));
}
