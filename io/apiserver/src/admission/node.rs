//! What nodes may do to pods (upstream's NodeRestriction): report, delete and create those bound to themselves.
//!
//! Sees the stored pod, which authorization does not. Concerns nobody but nodes.

use kelson_machinery::status::Status;
use kelson_machinery::text::quote;
use kelson_machinery::{Object, meta};

use crate::authz::node_name;
use crate::objects;
use crate::state::Call;

/// A change or deletion of `pod`; `doing` is upstream's words for it.
pub(crate) fn may_touch(call: &Call, pod: &Object, doing: &str) -> Result<(), Status> {
    let Some(node) = node_of(call) else { return Ok(()) };
    if meta::get_str(pod, &["spec", "nodeName"]) == node {
        return Ok(());
    }
    let node = quote(node);
    forbidden(call, pod, &format!("node {node} can only {doing} pods with spec.nodeName set to itself"))
}

/// A creation: of pods that mirror a file on the node, and of the Node it is.
pub(super) fn may_create(call: &Call, object: &Object) -> Result<(), Status> {
    let Some(node) = node_name(&call.user).filter(|_| call.kind.group.is_empty()) else { return Ok(()) };
    match call.kind.plural {
        "nodes" if meta::name(object) != node => {
            let other = quote(meta::name(object));
            forbidden(call, object, &format!("node {} is not allowed to modify node {other}", quote(node)))
        }
        "pods" if meta::annotation(object, "kubernetes.io/config.mirror").is_none() => {
            let missing = "pod does not have \"kubernetes.io/config.mirror\" annotation";
            forbidden(call, object, &format!("{missing}, node {} can only create mirror pods", quote(node)))
        }
        "pods" => may_touch(call, object, "create"),
        _ => Ok(()),
    }
}

fn node_of(call: &Call) -> Option<&str> {
    node_name(&call.user).filter(|_| call.kind.group.is_empty() && call.kind.plural == "pods")
}

fn forbidden(call: &Call, object: &Object, why: &str) -> Result<(), Status> {
    Err(Status::forbidden(&objects::resource(call.kind), meta::name(object), why))
}
