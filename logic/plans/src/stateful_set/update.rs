//! RollingUpdate: pods of another revision are deleted, the highest ordinal first, and come back as the new (H4.5–H4.7).
//!
//! Asked only when every replica is there and none is too many. Invariant: no more than `maxUnavailable` pods are away
//! by the update's doing.

use k8s_openapi::api::apps::v1::StatefulSet;

use super::replicas::{Replica, Replicas, delete};
use super::{Sight, Spec as _, identity, is_available};
use crate::deployment::scaled;
use crate::plan::Step;
use crate::{pod, revisions};

pub(super) fn steps(sight: &Sight, replicas: &Replicas) -> Vec<Step> {
    let set = sight.set;
    if set.updates_on_delete() {
        return Vec::new();
    }
    let least = set.first_ordinal().saturating_add(set.partition());
    let mut budget = budget(sight, replicas, least);
    let mut steps = Vec::new();
    for place in replicas.places.iter().rev().take_while(|place| place.ordinal >= least) {
        if budget == 0 {
            break;
        }
        let old = place.pod.filter(|pod| is_old(sight, pod) && !pod::is_deleting(pod));
        if let Some(pod) = old {
            steps.push(delete(set, pod));
        }
        if old.is_some() || is_away(sight, place) {
            budget -= 1;
        }
    }
    steps
}

/// How many may be away; pods below the partition count only where more than one may be.
fn budget(sight: &Sight, replicas: &Replicas, least: i32) -> usize {
    let most = max_unavailable(sight.set);
    if most == 1 {
        return 1;
    }
    let below = replicas.places.iter().filter(|place| place.ordinal < least && is_away(sight, place));
    most.saturating_sub(below.count())
}

fn is_away(sight: &Sight, place: &Replica) -> bool {
    !place.pod.is_some_and(|pod| is_available(pod, sight.set, sight.now))
}

fn is_old(sight: &Sight, pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    identity::revision(pod) != Some(revisions::name(&sight.update))
}

/// A percentage is rounded up, and at least one may be away.
fn max_unavailable(set: &StatefulSet) -> usize {
    let strategy = set.spec.update_strategy.as_ref();
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let given = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let number = given.map_or(1, |value| scaled(value, set.wanted(), true));
    usize::try_from(number.max(1)).unwrap_or(1)
}
