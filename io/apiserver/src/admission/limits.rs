//! LimitRanges at a write (upstream's admission plugin LimitRanger): what new pods are given, and what they and claims may
//! ask for.
//!
//! Reads the namespace's LimitRanges, changes only the pod being made.

use k8s_openapi::api::core::v1::{LimitRange, PersistentVolumeClaim, Pod};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_quota::limits;
use serde::Deserialize;

use crate::objects;
use crate::state::Call;

/// Gives a new pod's containers what they leave open.
pub(super) async fn complete_pod(call: &Call, pod: &mut Object) -> Result<(), Status> {
    let ranges = ranges(call).await?;
    if !ranges.is_empty() {
        // A limit that stands alone is the request, too: that goes before what is given.
        (call.kind.default)(pod);
        limits::complete(&ranges, pod);
    }
    Ok(())
}

/// Refuses a new pod or claim, or a claim that grows or shrinks, that is not within the limits.
pub(crate) async fn check(call: &Call, new: &Object, old: Option<&Object>) -> Result<(), Status> {
    let of_pods = call.kind.plural == "pods";
    let concerned = call.kind.group.is_empty()
        && (of_pods && old.is_none() || call.kind.plural == "persistentvolumeclaims")
        && old.is_none_or(|old| meta::deletion_timestamp(old).is_none());
    if !concerned {
        return Ok(());
    }
    let ranges = ranges(call).await?;
    if ranges.is_empty() {
        return Ok(());
    }
    let held = match of_pods {
        true => limits::check_pod(&ranges, &Pod::deserialize(new).map_err(|error| unreadable(&error))?),
        false => {
            let claim = |object: &Object| {
                PersistentVolumeClaim::deserialize(object).map_err(|error| unreadable(&error))
            };
            limits::check_claim(&ranges, &claim(new)?, old.map(claim).transpose()?.as_ref())
        }
    };
    held.map_err(|why| Status::forbidden(&objects::resource(call.kind), meta::name(new), &why))
}

async fn ranges(call: &Call) -> Result<Vec<LimitRange>, Status> {
    let (kind, _) =
        kelson_registry::resolve("", "v1", "limitranges").expect("the registry declares LimitRange");
    let prefix = objects::prefix(kind, Some(call.namespace()));
    let listed = call.core.store.list(&prefix, None, 0).await.map_err(objects::store_failure)?;
    let read = listed.entries.iter().map(|entry| serde_json::from_slice(&entry.value));
    read.collect::<Result<_, _>>().map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Status {
    Status::internal(&format!("unable to read what a LimitRange is about: {error}"))
}
