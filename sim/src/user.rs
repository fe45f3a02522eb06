//! What users do: make, change, scale and delete workloads and Services; delete pods; close nodes.
//!
//! A refusal is an answer, not a failure: users ask for much that the API will not have.

use kelson_machinery::meta;
use kelson_plans::Key;
use kelson_plans::plan::Propagation;
use serde_json::{Value, json};

use crate::api::{Api, Deletion, Part, Place};
use crate::random::Random;
use crate::world::resource;

const APPS: [&str; 4] = ["web", "shop", "cart", "mail"];
const NAMESPACES: [&str; 2] = ["default", "shop"];

/// One request of a user.
pub(crate) fn act(api: &mut Api, random: &mut Random) {
    if !random.once_in(6) {
        return;
    }
    let namespace = NAMESPACES[random.below(NAMESPACES.len())];
    let app = APPS[random.below(APPS.len())];
    match random.below(17) {
        0 | 1 => drop(api.create(deployment(namespace, app, random))),
        2 | 3 => drop(api.create(service(namespace, app, random))),
        4 => edit(api, "deployments", namespace, app, |object| {
            object["spec"]["replicas"] = random.below(6).into();
        }),
        5 => edit(api, "deployments", namespace, app, |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] =
                format!("web:{}", random.below(4)).into();
        }),
        6 => {
            let wanted = service(namespace, app, random)["spec"].clone();
            edit(api, "services", namespace, app, |object| reshape(object, &wanted));
        }
        7 => delete(api, "services", namespace, app, random),
        8 => delete(api, "deployments", namespace, app, random),
        9 | 10 => delete_some_pod(api, random),
        11 => cordon(api, random),
        12 => edit(api, "deployments", namespace, app, |object| {
            object["spec"]["paused"] = random.once_in(3).into();
        }),
        13 => drop(api.create(stateful_set(namespace, app, random))),
        14 => edit(api, "statefulsets", namespace, &format!("{app}-set"), |object| {
            object["spec"]["replicas"] = random.below(4).into();
            object["spec"]["template"]["spec"]["containers"][0]["image"] =
                format!("web:{}", random.below(3)).into();
        }),
        15 => drop(api.create(daemon_set(namespace, app))),
        _ => drop(api.create(bare_endpoints(namespace, app, random))),
    }
}

fn deployment(namespace: &str, app: &str, random: &mut Random) -> Value {
    let strategy = match random.below(3) {
        0 => json!({"type": "Recreate"}),
        1 => json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        _ => json!({"type": "RollingUpdate"}),
    };
    let probe = json!({"httpGet": {"port": "http"}, "periodSeconds": 10});
    let mut container =
        json!({"name": "c", "image": "web:0", "ports": [{"name": "http", "containerPort": 8080}]});
    if random.once_in(2) {
        container["readinessProbe"] = probe;
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app, "namespace": namespace},
        "spec": {
            "replicas": random.below(5), "selector": {"matchLabels": {"app": app}}, "strategy": strategy,
            "minReadySeconds": random.below(3),
            "template": {
                "metadata": {"labels": {"app": app, "tier": (if random.once_in(2) { "a" } else { "b" })}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 30},
            },
        },
    })
}

/// Its pods bear the same label as the Deployment's, so that one Service leads to both.
fn stateful_set(namespace: &str, app: &str, random: &mut Random) -> Value {
    let policy = if random.once_in(2) { "Parallel" } else { "OrderedReady" };
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": format!("{app}-set"), "namespace": namespace},
        "spec": {
            "replicas": random.below(4), "serviceName": app, "podManagementPolicy": policy,
            "selector": {"matchLabels": {"app": app, "set": "true"}}, "template": template(app, "set"),
        },
    })
}

fn daemon_set(namespace: &str, app: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": format!("{app}-everywhere"), "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": app, "everywhere": "true"}}, "template": template(app, "everywhere"),
        },
    })
}

fn template(app: &str, mark: &str) -> Value {
    let ports = json!([{"name": "http", "containerPort": 8080}]);
    json!({
        "metadata": {"labels": {"app": app, mark: "true"}},
        "spec": {"containers": [{"name": "c", "image": "web:0", "ports": ports}]},
    })
}

fn service(namespace: &str, app: &str, random: &mut Random) -> Value {
    let selector = match random.below(4) {
        0 => json!({"tier": "a"}),
        _ => json!({"app": app}),
    };
    let target = if random.once_in(2) { json!("http") } else { json!(8080) };
    let mut spec = json!({"selector": selector, "ports": [{"port": 80, "targetPort": target}]});
    match random.below(5) {
        0 => spec["clusterIP"] = "None".into(),
        1 => spec["type"] = "NodePort".into(),
        2 => spec["publishNotReadyAddresses"] = true.into(),
        _ => {}
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app, "namespace": namespace}, "spec": spec})
}

/// Takes over what may change of a Service; its address stays.
fn reshape(object: &mut Value, wanted: &Value) {
    for field in ["selector", "ports", "publishNotReadyAddresses"] {
        object["spec"][field] = wanted[field].clone();
    }
    if object["spec"]["clusterIP"] != "None" {
        object["spec"]["type"] = wanted.get("type").cloned().unwrap_or_else(|| "ClusterIP".into());
    }
}

/// Endpoints made by hand for a Service without selector, which may or may not be there.
fn bare_endpoints(namespace: &str, app: &str, random: &mut Random) -> Value {
    let name = format!("{app}-outside");
    if random.once_in(2) {
        let spec = json!({"ports": [{"port": 80, "targetPort": 9000}]});
        let metadata = json!({"name": name, "namespace": namespace});
        return json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    }
    let subset = json!({"addresses": [{"ip": format!("203.0.113.{}", 1 + random.below(9))}], "ports": [{"port": 9000}]});
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]})
}

fn place(plural: &str, namespace: &str, name: &str) -> Place {
    Place { resource: resource(plural), key: Key::new(namespace, name) }
}

fn edit(api: &mut Api, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let _ = api.edit(&place(plural, namespace, name), Part::Main, change);
}

fn delete(api: &mut Api, plural: &str, namespace: &str, name: &str, random: &mut Random) {
    let propagation = match random.below(4) {
        0 => Some(Propagation::Foreground),
        1 => Some(Propagation::Orphan),
        _ => Some(Propagation::Background),
    };
    let how = Deletion { propagation, ..Deletion::default() };
    let _ = api.delete(&place(plural, namespace, name), &how);
}

fn delete_some_pod(api: &mut Api, random: &mut Random) {
    let pods: Vec<Key> = api.all(&resource("pods")).map(|(key, _)| key.clone()).collect();
    let Some(key) = random.of(&pods) else { return };
    let grace_seconds = match random.below(4) {
        0 => Some(0),
        1 => Some(1 + random.below(10) as i64),
        _ => None,
    };
    let how = Deletion { grace_seconds, ..Deletion::default() };
    let _ = api.delete(&Place { resource: resource("pods"), key: key.clone() }, &how);
}

fn cordon(api: &mut Api, random: &mut Random) {
    let nodes: Vec<Key> = api.all(&resource("nodes")).map(|(key, _)| key.clone()).collect();
    // The first stays open, so that there is always room.
    let Some(key) = nodes.get(1 + random.below(nodes.len())) else { return };
    let closed = random.once_in(2);
    let place = Place { resource: resource("nodes"), key: key.clone() };
    let _ = api.edit(&place, Part::Main, |node| match closed {
        true => meta::set(node, &["spec", "unschedulable"], true),
        false => drop(meta::remove(node, &["spec", "unschedulable"])),
    });
}
