//! Worlds for the tests: a small cluster that works, and the means to break it. Objects are written as a user's manifests
//! are, and read as the API's are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::question::{Asker, PortAsked, Question, Target};
use crate::step::Explanation;
use crate::world::{Workload, World};
use crate::{explain, text};

pub fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// A world with the namespaces default, shop and kube-system, two nodes, cluster DNS and a client.
pub fn world() -> World {
    let namespace = |name: &str| object::<Namespace>(json!({ "metadata": { "name": name } }));
    let node = |name: &str, last: u8| {
        object::<Node>(json!({
            "metadata": { "name": name },
            "spec": { "podCIDR": format!("10.244.{last}.0/24") },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": format!("192.0.2.{last}") }],
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }))
    };
    World {
        domain: "cluster.local".to_owned(),
        namespaces: ["default", "shop", "kube-system"].map(namespace).into(),
        nodes: vec![node("node-1", 1), node("node-2", 2)],
        services: vec![service("kube-system", "kube-dns", json!({ "clusterIP": "10.96.0.10" }))],
        pods: vec![pod("client", json!({ "run": "client" }), "10.244.1.9", json!({}))],
        ..World::default()
    }
}

/// A Service: type ClusterIP at 10.96.0.80, port 80 to target port 8080 of app=web, unless `spec` says otherwise.
pub fn service(namespace: &str, name: &str, spec: Value) -> Service {
    let mut whole = json!({
        "clusterIP": "10.96.0.80", "type": "ClusterIP",
        "ports": [{ "port": 80, "targetPort": 8080, "protocol": "TCP" }],
        "selector": { "app": "web" },
    });
    merge(&mut whole, spec);
    whole["clusterIPs"] = json!([whole["clusterIP"]]);
    if whole["type"] == "ExternalName" {
        whole["clusterIP"] = Value::Null;
        whole["clusterIPs"] = Value::Null;
    }
    object(json!({ "metadata": { "namespace": namespace, "name": name, "generation": 1 }, "spec": whole }))
}

/// A ready pod of namespace default on node-1 (10.244.1.x) or node-2; `more` is merged over it.
pub fn pod(name: &str, labels: Value, address: &str, more: Value) -> Pod {
    let node = if address.starts_with("10.244.2.") { "node-2" } else { "node-1" };
    let mut whole = json!({
        "metadata": { "namespace": "default", "name": name, "labels": labels },
        "spec": { "nodeName": node, "containers": [{ "name": "app", "image": "app:1", "ports": [{ "name": "http", "containerPort": 8080 }] }] },
        "status": {
            "phase": "Running", "podIP": address,
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "app", "ready": true, "started": true, "restartCount": 0, "image": "app:1", "imageID": "", "state": { "running": {} } }],
        },
    });
    merge(&mut whole, more);
    object(whole)
}

/// A pod of the Service web that is not ready, its one container in `state`.
pub fn broken_pod(state: Value, last_state: Value, restarts: u32) -> Pod {
    let container = json!({
        "name": "app", "ready": false, "started": false, "restartCount": restarts, "image": "app:1", "imageID": "",
        "state": state, "lastState": last_state,
    });
    let status = json!({
        "conditions": [{ "type": "Ready", "status": "False" }], "containerStatuses": [container],
    });
    pod("web-1", json!({ "app": "web" }), "10.244.1.1", json!({ "status": status }))
}

/// The EndpointSlice of a Service's unnamed port: each endpoint its pod, address and whether it is ready.
pub fn slice(namespace: &str, service: &str, port: u16, endpoints: &[(&str, &str, bool)]) -> EndpointSlice {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(pod, address, ready)| {
            let node = if address.starts_with("10.244.2.") { "node-2" } else { "node-1" };
            json!({
                "addresses": [address], "conditions": { "ready": ready, "serving": ready, "terminating": false },
                "nodeName": node, "targetRef": { "kind": "Pod", "namespace": namespace, "name": pod },
            })
        })
        .collect();
    object(json!({
        "metadata": {
            "namespace": namespace, "name": format!("{service}-1"),
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{ "name": "", "port": port, "protocol": "TCP" }],
    }))
}

/// The world with the Service web in default, two ready pods and their endpoints: everything works.
pub fn healthy() -> World {
    let mut world = world();
    world.services.push(service("default", "web", json!({})));
    world.pods.push(pod("web-1", json!({ "app": "web" }), "10.244.1.1", json!({})));
    world.pods.push(pod("web-2", json!({ "app": "web" }), "10.244.2.2", json!({})));
    world.slices.push(slice(
        "default",
        "web",
        8080,
        &[("web-1", "10.244.1.1", true), ("web-2", "10.244.2.2", true)],
    ));
    world
}

/// The world with the Service web whose only pod is `pod`, and no ready endpoint.
pub fn with_pod(pod: Pod) -> World {
    let mut world = world();
    world.services.push(service("default", "web", json!({})));
    world.pods.push(pod);
    world
}

/// The world with the Service web of this spec over [`healthy`].
pub fn with_spec(spec: Value) -> World {
    let mut world = healthy();
    world.services.retain(|service| service.metadata.name.as_deref() != Some("web"));
    world.services.push(service("default", "web", spec));
    world
}

pub fn workload(kind: &'static str, name: &str, replicas: i32, labels: &[(&str, &str)]) -> Workload {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Workload {
        kind,
        namespace: "default".to_owned(),
        name: name.to_owned(),
        replicas: Some(replicas),
        labels,
        trouble: None,
    }
}

pub fn warning(pod: &str, message: &str, at: &str) -> Event {
    object(json!({
        "metadata": { "namespace": "default", "name": format!("{pod}.{at}") }, "type": "Warning",
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": pod },
        "message": message, "lastTimestamp": at,
    }))
}

/// Asks with a command line's words: the target, then `from=…`, `port=…`, `n=…`.
pub fn ask(world: &World, words: &str) -> Explanation {
    let mut words = words.split_whitespace();
    let target = Target::parse(words.next().expect("a target")).unwrap();
    let mut question = Question { target, namespace: "default".to_owned(), from: None, port: None };
    for word in words {
        match word.split_once('=').expect("key=value") {
            ("n", namespace) => namespace.clone_into(&mut question.namespace),
            ("from", from) => question.from = Some(Asker::parse(from, "default").unwrap()),
            ("port", port) => question.port = Some(PortAsked::parse(port).unwrap()),
            (key, _) => panic!("{key}"),
        }
    }
    explain(world, &question)
}

/// The text of an explanation, to be shown when a test fails.
pub fn shown(explanation: &Explanation) -> String {
    text(explanation, text::Colour::Never)
}

/// JSON merge patch.
fn merge(to: &mut Value, patch: Value) {
    match patch {
        Value::Object(patch) => {
            for (key, value) in patch {
                if value.is_null() {
                    to.as_object_mut().expect("merged into an object").remove(&key);
                } else {
                    if !to[&key].is_object() {
                        to[&key] = json!({});
                    }
                    merge(&mut to[&key], value);
                }
            }
        }
        other => *to = other,
    }
}
