//! POST `pods/<name>/eviction`: a deletion that disruption budgets may refuse.
//!
//! Invariant: an eviction that a budget covers spends one of its allowed disruptions before the pod is deleted, in a write
//! that conflicts with every other that does so. Pods that have ended or not begun are deleted without asking.

mod budget;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use kelson_machinery::status::{Reason, Status};
use kelson_machinery::{Object, meta, time};
use kelson_store::Entry;
use serde_json::{Value, json};

use crate::admission;
use crate::authz;
use crate::body;
use crate::bootstrap;
use crate::objects;
use crate::response::{self, Reply};
use crate::state::Call;
use crate::verbs::delete::{DeleteOptions, Preconditions, delete_object};
use crate::verbs::get;
use crate::verbs::update::{Mode, change};
use budget::Word;

/// How often an eviction is decided anew because the pod changed meanwhile.
const TRIES: usize = 16;

/// Evicts the pod the path names.
pub(crate) async fn evict(call: &Call, headers: &HeaderMap, bytes: &[u8]) -> Reply {
    let eviction: Object = body::parse(bytes, body::form(headers)?).map_err(Status::bad_request)?;
    let given = meta::name(&eviction);
    if !given.is_empty() && given != call.name() {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = match eviction.get("deleteOptions") {
        None | Some(Value::Null) => DeleteOptions::parse(headers, b"", &call.query)?,
        Some(options) => {
            DeleteOptions::parse(&HeaderMap::new(), options.to_string().as_bytes(), &call.query)?
        }
    };
    carry_out(call, &options).await?;
    let done =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(response::object(StatusCode::CREATED, call.accept.encoding, &done))
}

async fn carry_out(call: &Call, options: &DeleteOptions) -> Result<(), Status> {
    for _ in 0..TRIES {
        let (entry, pod) = pod(call).await?;
        if authz::node_name(&call.user).is_some() {
            admission::node::may_evict(call, &pod)?;
        }
        if !asks_nobody(&pod) {
            return ask(call, &pod, options).await;
        }
        // A pod that has not begun may become ready meanwhile, and then budgets count.
        let settled = meta::get_str(&pod, &["status", "phase"]) != "Pending"
            || meta::deletion_timestamp(&pod).is_some()
            || states_version(options);
        let options = if settled { options.clone() } else { unchanged(options, &entry) };
        match delete_object(call, call.name(), &options).await {
            Err(status) if status.reason == Reason::Conflict && !settled => {}
            other => return other.map(drop),
        }
    }
    Err(Status::modified(&objects::resource(call.kind), call.name()))
}

/// Asks the budget that covers the pod, and deletes the pod if it may go.
async fn ask(call: &Call, pod: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let word = budget::ask(call, pod, options.is_dry_run()).await?;
    if !options.is_dry_run() {
        tell_pod(call).await?;
    }
    let Word::Unhealthy { budget } = word else {
        return delete_object(call, call.name(), options).await.map(drop);
    };
    if options.is_dry_run() || states_version(options) {
        return delete_object(call, call.name(), options).await.map(drop);
    }
    // Granted because the pod is not ready: it must still be so.
    let (now, again) = self::pod(call).await?;
    if budget::is_ready(&again) || meta::uid(&again) != meta::uid(pod) {
        return Err(budget::in_progress(&budget));
    }
    match delete_object(call, call.name(), &unchanged(options, &now)).await {
        Err(status) if status.reason == Reason::Conflict => Err(budget::in_progress(&budget)),
        other => other.map(drop),
    }
}

async fn pod(call: &Call) -> Result<(Arc<Entry>, Object), Status> {
    let entry = get::entry(&call.core, call.kind, call.namespace(), call.name()).await?;
    let pod = objects::decode(&entry)?;
    Ok((entry, pod))
}

/// Pods whose end disrupts nothing.
fn asks_nobody(pod: &Object) -> bool {
    let phase = meta::get_str(pod, &["status", "phase"]);
    matches!(phase, "Succeeded" | "Failed" | "Pending") || meta::deletion_timestamp(pod).is_some()
}

fn states_version(options: &DeleteOptions) -> bool {
    options.preconditions.as_ref().is_some_and(|it| it.resource_version.is_some())
}

/// The deletion of exactly what was looked at.
fn unchanged(options: &DeleteOptions, entry: &Entry) -> DeleteOptions {
    let given = options.preconditions.clone().unwrap_or_default();
    let version = Some(entry.mod_revision.to_string());
    DeleteOptions {
        preconditions: Some(Preconditions { resource_version: version, ..given }),
        ..options.clone()
    }
}

/// The condition by which the pod's owner knows why it went.
async fn tell_pod(call: &Call) -> Result<(), Status> {
    let own = bootstrap::call(&call.core, "pods", call.namespace(), call.name())?;
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": time::seconds(call.now)});
    let told = change(&own, Mode::Internal, false, |old| {
        let mut pod = old.clone();
        let conditions = meta::entry(&mut pod, &["status", "conditions"]);
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        if let Some(list) = conditions.as_array_mut()
            && !list.iter().any(|it| it["type"] == "DisruptionTarget" && it["status"] == "True")
        {
            list.retain(|it| it["type"] != "DisruptionTarget");
            list.push(condition.clone());
        }
        Ok(pod)
    });
    told.await.map(drop)
}
