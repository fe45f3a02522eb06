//! RollingUpdate: the new set up within the surge, the old ones down within what may be missing (H2.5, H2.8).
//!
//! One step a plan: first the new set, then the old ones, then the history.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::sets::{self, Sets};
use super::{limits, status};
use crate::plan::{Plan, Step};
use crate::view::View;

pub(super) fn step(view: &View, deployment: &Deployment, sets: &Sets, now: Timestamp) -> Plan {
    let Some(new) = &sets.new else {
        let size = new_size(deployment, sets, 0);
        return status::creating(view, deployment, sets, size, now);
    };
    let wanted = limits::wanted(new);
    let size = match wanted {
        _ if wanted > limits::replicas(deployment) => limits::replicas(deployment),
        _ => new_size(deployment, sets, wanted),
    };
    let steps = match size == wanted {
        false => sets::scale(deployment, new, size).into_iter().collect(),
        true => shrink_old(deployment, sets, new),
    };
    status::rolling(deployment, sets, steps, now)
}

/// How large the new set may be now: replicas, as far as the surge leaves room.
fn new_size(deployment: &Deployment, sets: &Sets, current: i32) -> i32 {
    let replicas = limits::replicas(deployment);
    let room = replicas + limits::max_surge(deployment) - sets.sum(limits::wanted);
    current + room.min(replicas - current).max(0)
}

/// Takes the old sets down: first pods that are of no use, then as many as may be missing.
fn shrink_old(deployment: &Deployment, sets: &Sets, new: &ReplicaSet) -> Vec<Step> {
    let least = limits::replicas(deployment) - limits::max_unavailable(deployment);
    let new_unavailable = limits::wanted(new) - limits::available(new);
    let spare = sets.sum(limits::wanted) - least - new_unavailable;
    if spare <= 0 {
        return Vec::new();
    }
    let mut sizes: Vec<i32> = sets.old.iter().map(|set| limits::wanted(set)).collect();
    drop_unhealthy(&sets.old, &mut sizes, spare);
    drop_available(&mut sizes, sets.sum(lasting) - least);
    let changes = sets.old.iter().zip(sizes).filter(|(set, size)| limits::wanted(set) != *size);
    changes.filter_map(|(set, size)| sets::scale(deployment, set, size)).collect()
}

/// The available pods that will stay: of a set just scaled down, its status still counts those on their way
/// out, and counting them here (as upstream does) could take the last available pod.
fn lasting(set: &ReplicaSet) -> i32 {
    limits::available(set).min(limits::wanted(set))
}

fn drop_unhealthy(old: &[Arc<ReplicaSet>], sizes: &mut [i32], mut spare: i32) {
    for (set, size) in old.iter().zip(sizes) {
        let useless = (*size - limits::available(set)).clamp(0, spare);
        *size -= useless;
        spare -= useless;
    }
}

fn drop_available(sizes: &mut [i32], mut spare: i32) {
    for size in sizes {
        let dropped = (*size).clamp(0, spare.max(0));
        *size -= dropped;
        spare -= dropped;
    }
}
