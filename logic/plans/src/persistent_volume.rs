//! Volumes and claims find each other, are let go, and are held while they are in use.
//!
//! View → one half of a binding at a time, phases, finalizers. A key with a namespace is a claim, one without a volume.
//! The binding is two references: first the volume names the claim (with its uid), then the claim the volume; so two
//! claims never share a volume, whatever is stale. Data is never removed here: the node that has it does that, and
//! asks the API whether the claim is really gone.

mod claim;
mod matching;
mod volume;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::key::Key;
use crate::kinds::{Any, claim_mark};
use crate::plan::Plan;
use crate::pod;
use crate::storage;
use crate::view::{Changed, View};
pub(crate) use claim::promise;
pub(crate) use matching::best;

/// A claim that waits says so again after this long, as upstream's resync makes it.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// The next step for one claim or one volume.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    match key.namespace.is_empty() {
        false => view.persistent_volume_claims.get(key).map(|claim| claim::plan(view, claim)),
        true => view.persistent_volumes.get(key).map(|volume| volume::plan(view, volume)),
    }
    .unwrap_or_default()
}

/// The claims and volumes that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::PersistentVolumeClaim(claim) => of_claim(view, &changed.key, claim, &mut keys),
            Any::PersistentVolume(volume) => {
                keys.push(changed.key.clone());
                keys.extend(storage::claim_ref(volume).map(storage::key_of));
            }
            Any::Pod(pod) if changed.new.is_none() || pod::is_terminal(pod) => {
                let namespace = &changed.key.namespace;
                keys.extend(storage::claims_of(pod).into_iter().map(|(name, _)| Key::new(namespace, name)));
            }
            _ => {}
        }
    }
    if offers(changed) {
        let open = view.persistent_volume_claims.iter().filter(|(_, claim)| !storage::is_bound(claim));
        keys.extend(open.map(|(key, _)| key.clone()));
    }
    keys.sort();
    keys.dedup();
    keys
}

fn of_claim(view: &View, key: &Key, claim: &PersistentVolumeClaim, keys: &mut Vec<Key>) {
    keys.push(key.clone());
    keys.extend(storage::volume_name(claim).map(Key::cluster));
    let mark = claim_mark(&key.namespace, &key.name);
    let volumes = view.persistent_volumes.marked(&mark);
    keys.extend(volumes.map(|volume| Key::of(&volume.metadata)));
}

/// Whether the change may give an open claim what it waits for: a volume that became free, a class.
fn offers(changed: &Changed) -> bool {
    let free = |any: &Any| match any {
        Any::PersistentVolume(volume) => storage::phase(volume) == "Available",
        _ => false,
    };
    match (&changed.old, &changed.new) {
        (_, Some(Any::StorageClass(_))) => true,
        (old, Some(new)) => free(new) && !old.as_ref().is_some_and(free),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
