//! Which volume suits a claim best: the smallest that is large enough, of those the one with the fewest access modes.

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use std::sync::Arc;

use crate::select;
use crate::storage;
use crate::view::View;

/// The volume for a claim. One that names the claim comes first; others are for sale only if they are Available, and
/// for a claim that waits for its first pod (`node` is none and `delayed`) not at all.
pub(crate) fn best<'a>(
    view: &'a View,
    claim: &PersistentVolumeClaim,
    node: Option<&Node>,
    delayed: bool,
) -> Option<&'a Arc<PersistentVolume>> {
    let volumes = || view.persistent_volumes.iter().map(|(_, volume)| volume);
    let promised =
        volumes().find(|volume| storage::is_for(volume, claim) && fits(volume, claim) && here(volume, node));
    if promised.is_some() || (node.is_none() && delayed) {
        return promised;
    }
    let open = volumes().filter(|volume| is_free(volume) && suits(volume, claim) && here(volume, node));
    open.min_by_key(|volume| {
        let modes = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_ref()).map_or(0, Vec::len);
        (storage::bytes(storage::capacity(volume)), modes, volume.metadata.name.clone())
    })
}

fn here(volume: &PersistentVolume, node: Option<&Node>) -> bool {
    node.is_none_or(|node| storage::reaches(volume, node))
}

fn is_free(volume: &PersistentVolume) -> bool {
    storage::phase(volume) == "Available"
        && storage::claim_ref(volume).is_none()
        && volume.metadata.deletion_timestamp.is_none()
}

/// Large enough, and of the same mode: what even a volume that names the claim must be.
fn fits(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let mode = |mode: Option<&String>| mode.map_or("Filesystem", String::as_str).to_owned();
    let wanted = mode(claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref()));
    let given = mode(volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref()));
    wanted == given && storage::bytes(storage::capacity(volume)) >= storage::bytes(storage::requested(claim))
}

/// Everything a user may ask of a volume that is for sale.
fn suits(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    fits(volume, claim)
        && mismatch(volume, claim).is_none()
        && selector.is_none_or(|selector| select::matches(selector, volume.metadata.labels.as_ref()))
}

/// Why a volume that a claim asks for by name will not do, in upstream's words.
pub(super) fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<&'static str> {
    let modes = |modes: Option<&Vec<String>>| modes.cloned().unwrap_or_default();
    let given = modes(volume.spec.as_ref().and_then(|spec| spec.access_modes.as_ref()));
    let wanted = modes(claim.spec.as_ref().and_then(|spec| spec.access_modes.as_ref()));
    if storage::bytes(storage::capacity(volume)) < storage::bytes(storage::requested(claim)) {
        return Some("requested PV is too small");
    }
    if storage::class_of_volume(volume) != storage::class_of_claim(claim).unwrap_or_default() {
        return Some("storageClassName does not match");
    }
    if !fits(volume, claim) {
        return Some("incompatible volumeMode");
    }
    (!wanted.iter().all(|mode| given.contains(mode))).then_some("incompatible accessMode")
}
