//! How often daemon pods failed on a node lately, and so how long the next failed one is left alone there (H5.4).
//!
//! Kept in the `View` from the changes it folds: an object does not tell how many failed before it. As upstream keeps it:
//! for each set, generation and node, from a second doubled to a quarter of an hour, forgotten with the process.
//! Invariant: bounded by sets times nodes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;

use crate::key::Key;
use crate::kinds::{Any, Kinds};
use crate::owners::controller_of;
use crate::pod;
use crate::view::Changed;

const FIRST: SignedDuration = SignedDuration::from_secs(1);
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// The failures of every set on every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures {
    by_place: BTreeMap<(String, String), Failure>,
}

/// The last pod that failed and was taken away.
#[derive(Clone, Debug, PartialEq)]
struct Failure {
    generation: Option<i64>,
    since: Timestamp,
    wait: SignedDuration,
}

impl Failures {
    /// Takes in what a change tells: a failed pod that goes, a set or a node that is gone.
    pub(crate) fn remember(&mut self, kinds: &Kinds, changed: &Changed, now: Timestamp) {
        match (&changed.old, &changed.new) {
            (Some(Any::Pod(old)), new) if is_failed(old) && goes(new.as_ref()) => self.count(kinds, old, now),
            (Some(Any::DaemonSet(old)), None) => {
                let uid = old.metadata.uid.as_deref().unwrap_or_default();
                self.by_place.retain(|(set, _), _| set != uid);
            }
            (Some(Any::Node(_)), None) => self.by_place.retain(|(_, node), _| *node != changed.key.name),
            _ => {}
        }
    }

    fn count(&mut self, kinds: &Kinds, pod: &Pod, now: Timestamp) {
        let Some((owner, node)) = controller_of(&pod.metadata).zip(pod::node(pod)) else { return };
        let key = Key::new(pod.metadata.namespace.as_deref().unwrap_or_default(), &owner.name);
        let set = kinds.daemon_sets.get(&key);
        let Some(set) = set.filter(|set| set.metadata.uid.as_deref() == Some(&owner.uid)) else { return };
        let place = (owner.uid.clone(), node.to_owned());
        let generation = observed(set);
        let before = self.by_place.get(&place).filter(|before| before.counts(generation, now));
        let wait = before.map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        self.by_place.insert(place, Failure { generation, since: now, wait });
    }

    /// How long a pod that failed on the node is still left alone.
    pub(super) fn wait(&self, set: &DaemonSet, node: &str, now: Timestamp) -> Option<SignedDuration> {
        let place = (set.metadata.uid.clone().unwrap_or_default(), node.to_owned());
        let last = self.by_place.get(&place).filter(|last| last.counts(observed(set), now))?;
        let left = last.wait - now.duration_since(last.since);
        left.is_positive().then_some(left)
    }
}

impl Failure {
    /// Another template begins anew, and so does a set that had peace for long.
    fn counts(&self, generation: Option<i64>, now: Timestamp) -> bool {
        self.generation == generation && now.duration_since(self.since) <= LONGEST * 2
    }
}

fn observed(set: &DaemonSet) -> Option<i64> {
    set.status.as_ref().and_then(|status| status.observed_generation)
}

fn is_failed(pod: &Pod) -> bool {
    pod::phase(pod) == "Failed" && !pod::is_deleting(pod)
}

fn goes(new: Option<&Any>) -> bool {
    match new {
        Some(Any::Pod(new)) => pod::is_deleting(new),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
