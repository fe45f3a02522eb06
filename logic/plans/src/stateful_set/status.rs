//! What a StatefulSet says of itself (H4.9). Pure leaf.
//!
//! Invariant: counts that are zero are left out, as the API writes them; an unchanged world gives an unchanged status.

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};

use super::{Sight, Spec as _, identity, is_running_and_available};
use crate::plan::{Action, Step};
use crate::replica_set::count;
use crate::{pod, revisions};

pub(super) fn write(sight: &Sight) -> Vec<Step> {
    replace(sight.set, status(sight))
}

fn replace(set: &StatefulSet, status: StatefulSetStatus) -> Vec<Step> {
    let after = StatefulSet { status: Some(status), ..set.clone() };
    Action::patch_status(set, &after).map(Step::from).into_iter().collect()
}

fn status(sight: &Sight) -> StatefulSetStatus {
    let Sight { set, pods, current, update, now, .. } = sight;
    let counted = |holds: &dyn Fn(&k8s_openapi::api::core::v1::Pod) -> bool| {
        pods.iter().filter(|pod| holds(pod)).count()
    };
    let at = |wanted: &str| counted(&|pod| !pod::is_deleting(pod) && identity::revision(pod) == Some(wanted));
    let (current, update) = (revisions::name(current), revisions::name(update));
    let before = set.status.clone().unwrap_or_default();
    let mut status = StatefulSetStatus {
        observed_generation: set.metadata.generation,
        replicas: count(pods.len()).unwrap_or(0),
        ready_replicas: count(counted(&|pod| pod::phase(pod) == "Running" && pod::is_ready(pod))),
        available_replicas: count(counted(&|pod| is_running_and_available(pod, set, *now))),
        current_replicas: count(at(current)),
        updated_replicas: count(at(update)),
        current_revision: Some(current.to_owned()),
        update_revision: Some(update.to_owned()),
        collision_count: Some(before.collision_count.unwrap_or(0)),
        conditions: before.conditions,
    };
    if !set.updates_on_delete() && is_complete(set, &status) {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
    status
}

/// Every replica there, ready, and of the new revision.
fn is_complete(set: &StatefulSet, status: &StatefulSetStatus) -> bool {
    let counts = [status.updated_replicas, status.ready_replicas, Some(status.replicas)];
    counts.iter().all(|count| count.unwrap_or(0) == set.wanted())
}

/// Somebody else's revision has the name.
pub(super) fn collided(set: &StatefulSet) -> Vec<Step> {
    let mut status = set.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
    replace(set, status)
}

/// When the next ready pod becomes available, if one is still to.
pub(super) fn next_available(sight: &Sight) -> Option<SignedDuration> {
    let seconds = sight.set.min_ready_seconds();
    let waits = sight.pods.iter().filter_map(|pod| pod::available_in(pod, seconds, sight.now));
    waits.filter(|wait| wait.is_positive()).min()
}
