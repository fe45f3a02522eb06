//! What nodes may make, change and delete (upstream's NodeRestriction): their Node but for its taints and others' labels,
//! their lease, the status of the pods bound to them, pods that mirror their own files.
//!
//! Sees the objects, which authorization does not. Concerns nobody but nodes.

use kelson_machinery::status::Status;
use kelson_machinery::text::quote;
use kelson_machinery::{Object, meta};
use serde_json::Value;

use super::node_labels;
use crate::authz::node_name;
use crate::objects;
use crate::state::Call;
use crate::verbs::get;
use crate::verbs::update::Mode;

/// What marks the API's image of a pod that a node runs by a file of its own.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A creation: the Node and the lease it is, and pods that mirror a file on the node.
pub(super) async fn may_create(call: &Call, object: &Object) -> Result<(), Status> {
    let Some(node) = node_name(&call.user) else { return Ok(()) };
    match (call.kind.group, call.kind.plural) {
        ("", "nodes") => may_register(call, node, object),
        ("", "pods") => may_mirror(call, node, object).await,
        ("", "persistentvolumeclaims") => forbidden(call, object, "may only update PVC status"),
        ("coordination.k8s.io", "leases") if meta::name(object) != node => {
            forbidden(call, object, "can only access node lease with the same name as the requesting node")
        }
        _ => Ok(()),
    }
}

/// A change of `old` to `new`.
pub(crate) fn may_change(call: &Call, mode: Mode, new: &Object, old: &Object) -> Result<(), Status> {
    let Some(node) = node_name(&call.user).filter(|_| call.kind.group.is_empty()) else { return Ok(()) };
    match call.kind.plural {
        "pods" => may_report(call, node, new, old),
        "nodes" => may_alter(call, node, new, old),
        "persistentvolumeclaims" if mode == Mode::Status => may_resize(call, node, new, old),
        "persistentvolumeclaims" => forbidden(call, old, "may only update PVC status"),
        _ => Ok(()),
    }
}

/// A deletion.
pub(crate) fn may_delete(call: &Call, object: &Object) -> Result<(), Status> {
    let own = of_pod(call).is_none_or(|node| is_bound(object, node));
    let node = quote(node_name(&call.user).unwrap_or_default());
    let why = || format!("node {node} can only delete pods with spec.nodeName set to itself");
    if own { Ok(()) } else { forbidden(call, object, &why()) }
}

/// An eviction of a pod.
pub(crate) fn may_evict(call: &Call, pod: &Object) -> Result<(), Status> {
    match of_pod(call).filter(|node| !is_bound(pod, node)) {
        None => Ok(()),
        Some(node) => {
            let why = format!("node {node} can only evict pods with spec.nodeName set to itself");
            forbidden(call, pod, &why)
        }
    }
}

fn of_pod(call: &Call) -> Option<&str> {
    node_name(&call.user).filter(|_| call.kind.group.is_empty() && call.kind.plural == "pods")
}

fn is_bound(pod: &Object, node: &str) -> bool {
    meta::get_str(pod, &["spec", "nodeName"]) == node
}

fn may_register(call: &Call, node: &str, object: &Object) -> Result<(), Status> {
    may_name(call, node, object)?;
    match node_labels::forbidden(&meta::labels(object), &Default::default()) {
        labels if labels.is_empty() => Ok(()),
        labels => {
            let node = quote(node);
            let why =
                format!("node {node} is not allowed to set the following labels: {}", labels.join(", "));
            forbidden(call, object, &why)
        }
    }
}

fn may_alter(call: &Call, node: &str, new: &Object, old: &Object) -> Result<(), Status> {
    may_name(call, node, old)?;
    let taints = |object| meta::get_list(object, &["spec", "taints"]);
    if taints(new) != taints(old) {
        return forbidden(call, old, &format!("node {} is not allowed to modify taints", quote(node)));
    }
    match node_labels::forbidden(&meta::labels(new), &meta::labels(old)) {
        labels if labels.is_empty() => Ok(()),
        labels => forbidden(call, old, &format!("is not allowed to modify labels: {}", labels.join(", "))),
    }
}

fn may_name(call: &Call, node: &str, object: &Object) -> Result<(), Status> {
    if meta::name(object) == node {
        return Ok(());
    }
    let other = quote(meta::name(object));
    forbidden(call, object, &format!("node {} is not allowed to modify node {other}", quote(node)))
}

fn may_report(call: &Call, node: &str, new: &Object, old: &Object) -> Result<(), Status> {
    if !is_bound(old, node) {
        let node = quote(node);
        let why = format!("node {node} can only update pod status for pods with spec.nodeName set to itself");
        return forbidden(call, old, &why);
    }
    if meta::labels(new) != meta::labels(old) {
        let why = format!("node {} cannot update labels through pod status", quote(node));
        return forbidden(call, old, &why);
    }
    Ok(())
}

/// Of a claim's status a node tells the size and how resizing goes.
fn may_resize(call: &Call, node: &str, new: &Object, old: &Object) -> Result<(), Status> {
    let rest = |object: &Object| {
        let mut object = object.clone();
        for field in ["resourceVersion", "managedFields"] {
            meta::remove(&mut object, &["metadata", field]);
        }
        for field in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
            meta::remove(&mut object, &["status", field]);
        }
        object
    };
    if rest(new) == rest(old) {
        return Ok(());
    }
    let only = "update fields other than status.capacity and status.conditions";
    forbidden(call, old, &format!("node {} is not allowed to {only}", quote(node)))
}

async fn may_mirror(call: &Call, node: &str, pod: &Object) -> Result<(), Status> {
    let quoted = quote(node);
    if meta::annotation(pod, MIRROR).is_none() {
        let missing = format!("pod does not have {} annotation", quote(MIRROR));
        return forbidden(call, pod, &format!("{missing}, node {quoted} can only create mirror pods"));
    }
    if !is_bound(pod, node) {
        let why = format!("node {quoted} can only create pods with spec.nodeName set to itself");
        return forbidden(call, pod, &why);
    }
    may_own(call, node, pod).await?;
    if let Some(kind) = refers_to(pod) {
        return forbidden(call, pod, &format!("node {quoted} can not create pods that reference {kind}"));
    }
    Ok(())
}

/// The node that mirrors a pod owns it.
async fn may_own(call: &Call, node: &str, pod: &Object) -> Result<(), Status> {
    let quoted = quote(node);
    let [owner] = meta::get_list(pod, &["metadata", "ownerReferences"]) else {
        let several = meta::get_list(pod, &["metadata", "ownerReferences"]).len() > 1;
        let a = if several { "a single" } else { "an" };
        return forbidden(
            call,
            pod,
            &format!("node {quoted} can only create pods with {a} owner reference set to itself"),
        );
    };
    let text = |field: &str| meta::get_str(owner, &[field]);
    if (text("apiVersion"), text("kind"), text("name")) != ("v1", "Node", node) {
        let why = format!("node {quoted} can only create pods with an owner reference set to itself");
        return forbidden(call, pod, &why);
    }
    if owner["controller"] != Value::Bool(true) {
        let own = "can only create pods with a controller owner reference set to itself";
        return forbidden(call, pod, &format!("node {quoted} {own}"));
    }
    if owner["blockOwnerDeletion"] == Value::Bool(true) {
        let why = format!("node {quoted} must not set blockOwnerDeletion on an owner reference");
        return forbidden(call, pod, &why);
    }
    let (nodes, _) = kelson_registry::resolve("", "v1", "nodes").ok_or_else(Status::no_such_resource)?;
    let entry = get::entry(&call.core, nodes, "", node).await?;
    let stored = objects::decode(&entry)?;
    match (text("uid"), meta::uid(&stored)) {
        (given, current) if given == current => Ok(()),
        (given, current) => {
            forbidden(call, pod, &format!("node {node} UID mismatch: expected {given} got {current}"))
        }
    }
}

/// What of the API a pod refers to, first kind first.
fn refers_to(pod: &Object) -> Option<&'static str> {
    use kelson_rbac::node::{Thing, references};
    let found = references(pod);
    let has = |thing: Thing| found.iter().any(|(known, ..)| *known == thing);
    [
        (Thing::ServiceAccount, "a service account"),
        (Thing::Secret, "secrets"),
        (Thing::ConfigMap, "configmaps"),
        (Thing::Claim, "persistentvolumeclaims"),
    ]
    .into_iter()
    .find_map(|(thing, words)| has(thing).then_some(words))
}

fn forbidden(call: &Call, object: &Object, why: &str) -> Result<(), Status> {
    Err(Status::forbidden(&objects::resource(call.kind), meta::name(object), why))
}
