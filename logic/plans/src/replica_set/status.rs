//! What a ReplicaSet says of itself (H3.2). Pure leaf of `replica_set`.
//!
//! Invariant: counts that are zero are left out, as the API writes them, so that an unchanged world gives an
//! unchanged status.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Spec as _;
use crate::plan::Action;
use crate::{pod, select};

const FAILURE: &str = "ReplicaFailure";

/// A count as the API writes it: nothing for zero.
pub(crate) fn count(number: usize) -> Option<i32> {
    (number > 0).then(|| i32::try_from(number).unwrap_or(i32::MAX))
}

pub(super) fn status(
    set: &ReplicaSet,
    pods: &[&Arc<Pod>],
    active: &[&Arc<Pod>],
    failure: Option<&String>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let template = set.spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.clone());
    let labels = template.unwrap_or_default();
    let labelled = |pod: &Pod| select::matches_all(&labels, pod.metadata.labels.as_ref());
    let counted = |holds: &dyn Fn(&Pod) -> bool| count(active.iter().filter(|pod| holds(pod)).count());
    let terminating = pods.iter().filter(|pod| pod::is_deleting(pod) && !pod::is_terminal(pod)).count();
    ReplicaSetStatus {
        replicas: count(active.len()).unwrap_or(0),
        fully_labeled_replicas: counted(&labelled),
        ready_replicas: counted(&|pod| pod::is_ready(pod)),
        available_replicas: counted(&|pod| pod::is_available(pod, set.min_ready_seconds(), now)),
        terminating_replicas: count(terminating),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, active.len(), failure, now),
    }
}

/// ReplicaFailure as long as the last plan could not be carried out.
fn conditions(
    set: &ReplicaSet,
    active: usize,
    failure: Option<&String>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let present = set.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let (failed, mut others): (Vec<_>, Vec<_>) =
        present.cloned().partition(|condition| condition.type_.as_deref() == Some(FAILURE));
    let wanted = usize::try_from(set.wanted()).unwrap_or(0);
    if let Some(message) = failure.filter(|_| active != wanted) {
        let reason = if active < wanted { "FailedCreate" } else { "FailedDelete" };
        others.push(failed.into_iter().next().unwrap_or_else(|| ReplicaSetCondition {
            type_: Some(FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.clone()),
            last_transition_time: Some(Time(now)),
        }));
    }
    (!others.is_empty()).then_some(others)
}

pub(super) fn write(set: &ReplicaSet, status: ReplicaSetStatus) -> Option<Action> {
    let after = ReplicaSet { status: Some(status), ..set.clone() };
    Action::patch_status(set, &after)
}

/// When the next ready pod becomes available, if one is still to.
pub(super) fn next_available(
    set: &ReplicaSet,
    active: &[&Arc<Pod>],
    now: Timestamp,
) -> Option<SignedDuration> {
    let waits = active.iter().filter_map(|pod| pod::available_in(pod, set.min_ready_seconds(), now));
    waits.filter(|wait| wait.is_positive()).min()
}
