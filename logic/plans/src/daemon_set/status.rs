//! What a DaemonSet says of itself (H5.6). Pure leaf.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::Sight;
use super::place::Place;
use crate::plan::{Action, Plan, Reason, Step};
use crate::pod;
use crate::replica_set::count;

pub(super) fn write(sight: &Sight, places: &[Place]) -> Vec<Step> {
    replace(sight.set, status(sight, places))
}

fn replace(set: &DaemonSet, status: DaemonSetStatus) -> Vec<Step> {
    let after = DaemonSet { status: Some(status), ..set.clone() };
    Action::patch_status(set, &after).map(Step::from).into_iter().collect()
}

/// A node counts by its oldest pod.
fn status(sight: &Sight, places: &[Place]) -> DaemonSetStatus {
    let before = sight.set.status.clone().unwrap_or_default();
    let counted = |holds: &dyn Fn(&Place) -> bool| places.iter().filter(|place| holds(place)).count();
    let of_first = |holds: &dyn Fn(&Pod) -> bool| {
        counted(&|place| place.eligible.start && place.pods.first().is_some_and(|pod| holds(pod)))
    };
    let desired = counted(&|place| place.eligible.start);
    let available = of_first(&|pod| sight.is_available(pod));
    let whole = |number: usize| count(number).unwrap_or(0);
    DaemonSetStatus {
        observed_generation: sight.set.metadata.generation,
        desired_number_scheduled: whole(desired),
        current_number_scheduled: whole(of_first(&|_| true)),
        number_misscheduled: whole(counted(&|place| !place.eligible.start && !place.pods.is_empty())),
        number_ready: whole(of_first(&|pod| pod::is_ready(pod))),
        number_available: count(available),
        number_unavailable: count(desired - available),
        updated_number_scheduled: count(of_first(&|pod| sight.is_new(pod))),
        collision_count: before.collision_count,
        conditions: before.conditions,
    }
}

/// Somebody else's revision has the name.
pub(super) fn collided(set: &DaemonSet) -> Vec<Step> {
    let mut status = set.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
    replace(set, status)
}

/// A selector that is empty chooses every pod of the namespace, which is never meant: said once for each generation.
pub(super) fn selects_all(set: &DaemonSet) -> Plan {
    let mut status = set.status.clone().unwrap_or_default();
    if status.observed_generation >= set.metadata.generation {
        return Plan::default();
    }
    status.observed_generation = set.metadata.generation;
    let mut plan = Plan::of(replace(set, status));
    let message = "This daemon set is selecting all pods. A non-empty selector is required.";
    plan.reasons.push(Reason::warning(set, "SelectingAll", message));
    plan
}

/// When the next ready pod becomes available, if one is still to.
pub(super) fn next_available(sight: &Sight, pods: &[&Arc<Pod>]) -> Option<SignedDuration> {
    let seconds = sight.min_ready_seconds();
    let waits = pods.iter().filter_map(|pod| pod::available_in(pod, seconds, sight.now));
    waits.filter(|wait| wait.is_positive()).min()
}
