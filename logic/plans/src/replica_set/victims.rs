//! Which pods go first when there are too many (H3.1, KEP-2185). Pure leaf of `replica_set`.
//!
//! Invariant: a total order (the uid decides last), so that the same view always gives the same victims.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pod;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// `count` of the active pods, those to go first. `related` are the pods whose nodes count as crowded.
pub(crate) fn choose<'a>(
    active: &[&'a Arc<Pod>],
    related: &[&Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<&'a Arc<Pod>> {
    let mut crowd: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        if let Some(node) = pod::node(pod) {
            *crowd.entry(node).or_default() += 1;
        }
    }
    let rank = |pod: &Pod| pod::node(pod).and_then(|node| crowd.get(node)).copied().unwrap_or(0);
    let mut pods = active.to_vec();
    pods.sort_by(|one, other| order(one, rank(one), other, rank(other), now));
    pods.truncate(count);
    pods
}

/// Less: goes first.
fn order(one: &Pod, one_rank: usize, other: &Pod, other_rank: usize, now: Timestamp) -> Ordering {
    let by_state = |pod: &Pod| (pod::node(pod).is_some(), phase_rank(pod), pod::is_ready(pod), cost(pod));
    by_state(one)
        .cmp(&by_state(other))
        .then_with(|| other_rank.cmp(&one_rank))
        .then_with(|| by_age(pod::ready_since(one), pod::ready_since(other), one, other, now))
        .then_with(|| Reverse(restarts(one)).cmp(&Reverse(restarts(other))))
        .then_with(|| by_age(created(one), created(other), one, other, now))
        .then_with(|| one.metadata.uid.cmp(&other.metadata.uid))
}

fn phase_rank(pod: &Pod) -> u8 {
    match pod::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DELETION_COST)).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// The younger goes first; ages within one power of two count as equal, and then the uid decides, so that
/// the victims are spread over the ages.
fn by_age(
    one: Option<Timestamp>,
    other: Option<Timestamp>,
    one_pod: &Pod,
    other_pod: &Pod,
    now: Timestamp,
) -> Ordering {
    match (one, other) {
        _ if one == other => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(one), Some(other)) => magnitude(one, now)
            .cmp(&magnitude(other, now))
            .then_with(|| one_pod.metadata.uid.cmp(&other_pod.metadata.uid)),
    }
}

fn magnitude(then: Timestamp, now: Timestamp) -> i64 {
    let age = now.duration_since(then).as_nanos();
    u64::try_from(age).ok().and_then(u64::checked_ilog2).map_or(-1, i64::from)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).max().unwrap_or(0)
}
