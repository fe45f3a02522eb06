//! POST `pods/<name>/binding`: the scheduler's word on where a pod runs.
//!
//! Invariant: a pod is bound once. A pod that is being deleted is not bound.

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta, time};
use serde_json::{Value, json};

use crate::body;
use crate::incoming::Options;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::update::{Mode, change};

/// Binds the pod to the node the body names.
pub(crate) async fn bind(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let options = Options::parse(&call.query, "CreateOptions")?;
    let binding = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
    check(call, &binding)?;
    let node = meta::get_str(&binding, &["target", "name"]).to_owned();
    let annotations = meta::annotations(&binding);
    change(call, Mode::Internal, options.dry_run, |old| {
        let mut pod = old.clone();
        refuse_bound(call, old)?;
        meta::set(&mut pod, &["spec", "nodeName"], node.as_str());
        for (key, value) in &annotations {
            meta::set_annotation(&mut pod, key, value);
        }
        set_scheduled(&mut pod, &time::seconds(call.now));
        Ok(pod)
    })
    .await?;
    let done =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(response::object(StatusCode::CREATED, call.accept.encoding, &done))
}

fn check(call: &Call, binding: &Object) -> Result<(), Status> {
    let mut errors = Vec::new();
    let target = Path::new("target");
    let kind = meta::get_str(binding, &["target", "kind"]);
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&target.child("kind"), kind, ["Node", "<empty>"]));
    }
    if meta::get_str(binding, &["target", "name"]).is_empty() {
        errors.push(FieldError::required(&target.child("name"), ""));
    }
    if !errors.is_empty() {
        return Err(Status::invalid(&GroupName::new("", "Binding"), call.name(), errors));
    }
    let given = meta::name(binding);
    if !given.is_empty() && given != call.name() {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    Ok(())
}

fn refuse_bound(call: &Call, pod: &Object) -> Result<(), Status> {
    let conflict =
        |why: String| Err(Status::conflict(&GroupName::new("", "pods/binding"), call.name(), &why));
    let name = call.name();
    if meta::deletion_timestamp(pod).is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    match meta::get_str(pod, &["spec", "nodeName"]) {
        "" => Ok(()),
        node => conflict(format!("pod {name} is already assigned to node \"{node}\"")),
    }
}

/// Sets the condition `PodScheduled` to true.
fn set_scheduled(pod: &mut Object, now: &str) {
    let condition =
        json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    let conditions = meta::entry(pod, &["status", "conditions"]);
    if !conditions.is_array() {
        *conditions = Value::Array(Vec::new());
    }
    if let Some(list) = conditions.as_array_mut() {
        list.retain(|known| known.get("type").and_then(Value::as_str) != Some("PodScheduled"));
        list.push(condition);
    }
}
