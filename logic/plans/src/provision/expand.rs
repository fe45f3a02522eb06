//! A claim of our own class that asks for more gets it: a directory has no size of its own, so only the objects grow.
//!
//! Two looks, as upstream's resizer takes them: first the claim says that it is being resized and the volume grows, then
//! the claim says what it has. The API has let only claims through whose class allows it; the class is asked again,
//! because it may have changed its mind.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimCondition, PersistentVolumeClaimStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;

use crate::key::Key;
use crate::plan::{Action, Plan, Reason, Step};
use crate::storage::{self, annotation};
use crate::view::View;

const SIZE: &str = "storage";
const RESIZING: &str = "Resizing";

/// The next step for a claim that wants to grow; nothing for others.
pub(super) fn plan(view: &View, claim: &PersistentVolumeClaim, now: Timestamp) -> Plan {
    let Some(volume) = volume(view, claim) else { return Plan::default() };
    let wanted = storage::bytes(storage::requested(claim));
    let (given, known) = (storage::bytes(storage::capacity(volume)), storage::bytes(capacity(claim)));
    if wanted > given {
        return if allows(view, claim) { begin(claim, volume, now) } else { Plan::default() };
    }
    // Before it is bound a claim knows of no size, and the binding tells it.
    if known == 0 || known >= given {
        return Plan::default();
    }
    end(claim, volume)
}

/// The volume of a bound claim, if we made it.
fn volume<'a>(view: &'a View, claim: &PersistentVolumeClaim) -> Option<&'a PersistentVolume> {
    let name = storage::volume_name(claim).filter(|_| storage::is_bound(claim))?;
    let volume = view.persistent_volumes.get(&Key::cluster(name))?;
    let ours = annotation(&volume.metadata, storage::PROVISIONED_BY) == Some(storage::LOCAL_PROVISIONER);
    let going = claim.metadata.deletion_timestamp.is_some() || volume.metadata.deletion_timestamp.is_some();
    (ours && !going && storage::is_for(volume, claim)).then_some(volume.as_ref())
}

fn allows(view: &View, claim: &PersistentVolumeClaim) -> bool {
    let class = storage::class_of_claim(claim).and_then(|name| view.storage_classes.get(&Key::cluster(name)));
    class.is_some_and(|class| class.allow_volume_expansion == Some(true))
}

fn capacity(
    claim: &PersistentVolumeClaim,
) -> Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity> {
    claim.status.as_ref()?.capacity.as_ref()?.get(SIZE)
}

fn begin(claim: &PersistentVolumeClaim, volume: &PersistentVolume, now: Timestamp) -> Plan {
    let Some(size) = storage::requested(claim).cloned() else { return Plan::default() };
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let message = format!("External resizer is resizing volume {name}");
    let mut told = claim.clone();
    let status = told.status.get_or_insert_default();
    status.allocated_resources = Some(BTreeMap::from([(SIZE.to_owned(), size.clone())]));
    without_condition(status).push(PersistentVolumeClaimCondition {
        type_: RESIZING.to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some(Time(now)),
        ..PersistentVolumeClaimCondition::default()
    });
    let telling = Action::patch_status(claim, &told).map(Step::from);
    let mut larger = volume.clone();
    let capacity = larger.spec.get_or_insert_default().capacity.get_or_insert_default();
    capacity.insert(SIZE.to_owned(), size);
    let mut plan = Plan::default();
    let done = Reason::normal(claim, RESIZING, message);
    plan.stage(telling.map(|step| step.done(done)).into_iter().collect());
    plan.stage(Action::patch(volume, &larger).map(Step::from).into_iter().collect());
    plan
}

fn end(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Plan {
    let mut told = claim.clone();
    let status = told.status.get_or_insert_default();
    if without_condition(status).is_empty() {
        status.conditions = None;
    }
    if let Some(size) = storage::capacity(volume) {
        status.capacity.get_or_insert_default().insert(SIZE.to_owned(), size.clone());
    }
    let done = Reason::normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded");
    Plan::of(
        Action::patch_status(claim, &told).map(|action| Step::from(action).done(done)).into_iter().collect(),
    )
}

/// The claim's conditions but the one that says that it is being resized.
fn without_condition(status: &mut PersistentVolumeClaimStatus) -> &mut Vec<PersistentVolumeClaimCondition> {
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != RESIZING);
    conditions
}
