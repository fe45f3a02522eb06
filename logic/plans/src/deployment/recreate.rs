//! Recreate: everything old goes, and only when it is gone does the new come (H2.12).

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::sets::{self, Sets};
use super::{limits, status};
use crate::plan::{Plan, Step};
use crate::pod;
use crate::view::View;

pub(super) fn step(view: &View, deployment: &Deployment, sets: &Sets, now: Timestamp) -> Plan {
    let active = sets.old.iter().filter(|set| limits::wanted(set) > 0);
    let down: Vec<Step> = active.filter_map(|set| sets::scale(deployment, set, 0)).collect();
    if !down.is_empty() || old_pods_remain(view, sets) {
        return status::rolling(deployment, sets, down, now);
    }
    let replicas = limits::replicas(deployment);
    let Some(new) = &sets.new else {
        return status::creating(view, deployment, sets, replicas, now);
    };
    let up = match limits::wanted(new) == replicas {
        true => Vec::new(),
        false => sets::scale(deployment, new, replicas).into_iter().collect(),
    };
    status::rolling(deployment, sets, up, now)
}

/// Whether any pod of an old set could still be running: those being deleted count, and those that a set may have made
/// which has not yet said that it knows it is to have none.
fn old_pods_remain(view: &View, sets: &Sets) -> bool {
    sets.old.iter().any(|set| {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        !knows_its_size(set)
            || limits::actual(set) > 0
            || view.pods.marked(uid).any(|pod| !pod::is_terminal(pod))
    })
}

/// Who writes this has seen its own pods: before that, what it made may be missing from the view.
fn knows_its_size(set: &ReplicaSet) -> bool {
    let heard = set.status.as_ref().and_then(|status| status.observed_generation);
    heard.unwrap_or(0) >= set.metadata.generation.unwrap_or(0)
}
