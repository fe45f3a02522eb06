//! Scaling without rolling out: a paused Deployment, or one whose size was changed (H2.7, H2.9).

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::sets::{self, Sets};
use super::{annotations, limits, status};
use crate::plan::{Plan, Step};

/// Whether the size was changed since the active sets were last scaled.
pub(super) fn is_resized(deployment: &Deployment, sets: &Sets) -> bool {
    let replicas = limits::replicas(deployment);
    sets.active().iter().any(|set| annotations::desired(set).is_some_and(|desired| desired != replicas))
}

pub(super) fn paused(deployment: &Deployment, sets: &Sets, now: Timestamp) -> Plan {
    let mut plan = resized(deployment, sets, now);
    sets.clean_up(deployment, &mut plan);
    plan
}

pub(super) fn resized(deployment: &Deployment, sets: &Sets, now: Timestamp) -> Plan {
    let mut plan = Plan::of(steps(deployment, sets));
    plan.stage(status::plain(deployment, sets, now));
    plan
}

fn steps(deployment: &Deployment, sets: &Sets) -> Vec<Step> {
    let replicas = limits::replicas(deployment);
    if let Some(single) = single(sets) {
        return sets::scale(deployment, single, replicas).into_iter().collect();
    }
    if sets.new.as_ref().is_some_and(|new| is_saturated(deployment, new)) {
        let active = sets.old.iter().filter(|set| limits::wanted(set) > 0);
        return active.filter_map(|set| sets::scale(deployment, set, 0)).collect();
    }
    if limits::is_recreate(deployment) {
        return Vec::new();
    }
    proportional(deployment, sets)
}

/// The only set to be scaled: the one active, or with none active the newest.
fn single(sets: &Sets) -> Option<&Arc<ReplicaSet>> {
    match sets.active().as_slice() {
        [] => sets.new.as_ref().or(sets.old.last()),
        [only] => Some(*only),
        _ => None,
    }
}

fn is_saturated(deployment: &Deployment, new: &ReplicaSet) -> bool {
    let replicas = limits::replicas(deployment);
    let sizes = [limits::wanted(new), limits::available(new), annotations::desired(new).unwrap_or(-1)];
    sizes.iter().all(|size| *size == replicas)
}

/// Every active set gets its share of the change; what rounding leaves goes to the largest.
fn proportional(deployment: &Deployment, sets: &Sets) -> Vec<Step> {
    let replicas = limits::replicas(deployment);
    let allowed = if replicas > 0 { replicas + limits::max_surge(deployment) } else { 0 };
    let mut active = sets.active();
    let total: i32 = active.iter().map(|set| limits::wanted(set)).sum();
    let change = allowed - total;
    match change > 0 {
        true => active.sort_by_key(|set| (Reverse(limits::wanted(set)), Reverse(sets::age(set)))),
        false => active.sort_by_key(|set| (Reverse(limits::wanted(set)), sets::age(set))),
    }
    let mut given = 0;
    let mut sizes = Vec::new();
    for set in &active {
        let share = share(deployment, set, change, given);
        given += share;
        sizes.push(limits::wanted(set) + share);
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + change - given).max(0);
    }
    let scaled = active.iter().zip(sizes).filter_map(|(set, size)| sets::scale(deployment, set, size));
    scaled.collect()
}

/// A set's share of the change, never more than is left of it.
fn share(deployment: &Deployment, set: &ReplicaSet, change: i32, given: i32) -> i32 {
    let left = change - given;
    if limits::wanted(set) == 0 || left == 0 {
        return 0;
    }
    let fraction = fraction(deployment, set);
    if change > 0 { fraction.min(left) } else { fraction.max(left) }
}

fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    let size = limits::wanted(set);
    if limits::replicas(deployment) == 0 {
        return -size;
    }
    let after = limits::replicas(deployment) + limits::max_surge(deployment);
    let known = deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
    let before = annotations::max(set).filter(|max| *max > 0).unwrap_or(known);
    if before == 0 {
        return 0;
    }
    let exact = f64::from(size) * f64::from(after) / f64::from(before);
    exact.round() as i32 - size
}
