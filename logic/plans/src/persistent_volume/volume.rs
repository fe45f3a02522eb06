//! One volume: free, bound, or left by its claim; kept as it is, given up to the node that removes its data, or failed.

use k8s_openapi::api::core::v1::PersistentVolume;

use crate::plan::{Action, Plan, Reason, Step};
use crate::storage::{self, annotation};
use crate::view::View;

/// What the claim reference of a volume comes to.
enum Standing {
    Free,
    Bound,
    /// Its claim is there and has yet to name it.
    Promised,
    /// Its claim named another volume.
    Spurned,
    Left,
}

pub(super) fn plan(view: &View, volume: &PersistentVolume) -> Plan {
    if volume.metadata.deletion_timestamp.is_some() {
        return Plan::of(let_go(view, volume).map(Step::from).into_iter().collect());
    }
    let step = match standing(view, volume) {
        Standing::Free => become_(volume, "Available", None),
        Standing::Bound => become_(volume, "Bound", None),
        Standing::Promised => None,
        Standing::Spurned => unbind(volume).map(Step::from),
        Standing::Left => left(volume),
    };
    Plan::of(step.into_iter().collect())
}

fn standing(view: &View, volume: &PersistentVolume) -> Standing {
    let Some(reference) = storage::claim_ref(volume) else { return Standing::Free };
    if reference.uid.as_deref().unwrap_or_default().is_empty() {
        return Standing::Free;
    }
    let claim = view.persistent_volume_claims.get(&storage::key_of(reference));
    let Some(claim) = claim.filter(|claim| claim.metadata.uid == reference.uid) else {
        return Standing::Left;
    };
    match storage::volume_name(claim) {
        None => Standing::Promised,
        name if name == volume.metadata.name.as_deref() => Standing::Bound,
        Some(_) if is_made_for_it(volume) => Standing::Left,
        Some(_) => Standing::Spurned,
    }
}

/// Whether it was made for its claim and is worth nothing without it.
fn is_made_for_it(volume: &PersistentVolume) -> bool {
    annotation(&volume.metadata, storage::PROVISIONED_BY).is_some() && policy(volume) == "Delete"
}

fn policy(volume: &PersistentVolume) -> &str {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy.unwrap_or("Retain")
}

/// The claim is gone. A volume that its provisioner made is its provisioner's to remove.
fn left(volume: &PersistentVolume) -> Option<Step> {
    let ours = annotation(&volume.metadata, storage::PROVISIONED_BY).is_some();
    match (storage::phase(volume), policy(volume)) {
        ("Failed", _) => None,
        ("Released", "Delete") if !ours => fail(
            volume,
            "VolumeFailedDelete",
            &format!(
                "error getting deleter volume plugin for volume \"{}\": no deletable volume plugin matched",
                volume.metadata.name.as_deref().unwrap_or_default()
            ),
        ),
        ("Released", "Recycle") => {
            fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
        }
        _ => become_(volume, "Released", None),
    }
}

fn fail(volume: &PersistentVolume, reason: &'static str, message: &str) -> Option<Step> {
    let step = become_(volume, "Failed", Some(message));
    step.map(|step| step.done(Reason::warning(volume, reason, message)))
}

fn become_(volume: &PersistentVolume, phase: &str, message: Option<&str>) -> Option<Step> {
    if storage::phase(volume) == phase {
        return None;
    }
    let mut after = volume.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    status.message = message.map(str::to_owned);
    Action::patch_status(volume, &after).map(Step::from)
}

/// Takes the reference back: all of it if a controller made it, else what the user did not write.
fn unbind(volume: &PersistentVolume) -> Option<Action> {
    let mut after = volume.clone();
    let by_controller = annotation(&volume.metadata, storage::BOUND_BY_CONTROLLER).is_some();
    let spec = after.spec.get_or_insert_default();
    match by_controller {
        true => spec.claim_ref = None,
        false => {
            if let Some(reference) = &mut spec.claim_ref {
                (reference.uid, reference.resource_version) = (None, None);
            }
        }
    }
    if let Some(annotations) = &mut after.metadata.annotations {
        annotations.remove(storage::BOUND_BY_CONTROLLER);
    }
    Action::patch(volume, &after)
}

/// The finalizer goes once no claim has the volume.
fn let_go(view: &View, volume: &PersistentVolume) -> Option<Action> {
    if matches!(standing(view, volume), Standing::Bound | Standing::Promised) {
        return None;
    }
    let mut after = volume.clone();
    let finalizers = after.metadata.finalizers.get_or_insert_default();
    finalizers.retain(|it| it != storage::VOLUME_IN_USE);
    Action::patch(volume, &after)
}
