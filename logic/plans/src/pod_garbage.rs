//! Pods left behind: those bound to a node that is gone, and those asked to go before they had one. Nobody else will
//! ever say that they have ended, so they are removed by force, and it is said here of those that finalizers hold.
//!
//! View → forced deletions, some time after the node vanished, and pods marked Failed, as by upstream's podgc. Invariants:
//! the API is asked whether the node is really not there before anything is done to a pod of its; a pod that has ended is
//! not said to have failed.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::key::Key;
use crate::kinds::{Any, Kept, node_mark};
use crate::plan::{Absent, Action, Plan, Step};
use crate::pod;
use crate::view::{Changed, View};

/// A node may come back within this time.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// The next step for the pods of one node, named by `Key::name`, or for one pod that has none.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    match key.namespace.is_empty() {
        true => of_node(view, key, now),
        false => unplaced(view, key),
    }
}

fn of_node(view: &View, key: &Key, now: Timestamp) -> Plan {
    let pods: Vec<_> = view.pods.marked(&node_mark(&key.name)).collect();
    let Some(vanished) = view.vanished.get(&key.name).filter(|_| !pods.is_empty()) else {
        return Plan::default();
    };
    let wait = QUARANTINE - now.duration_since(*vanished);
    if wait.is_positive() {
        return Plan { requeue_after: Some(wait), ..Plan::default() };
    }
    let why = PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByPodGC".to_owned()),
        message: Some("PodGC: node no longer exists".to_owned()),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    };
    let absent = Absent { resource: Node::RESOURCE, key: key.clone(), uid: String::new() };
    let (held, left): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| is_forced(pod));
    let mut plan = Plan::of(left.into_iter().map(|pod| forced(pod, &absent)).collect());
    plan.stage(held.into_iter().filter_map(|pod| failed(pod, Some(&why))).map(Step::from).collect());
    plan
}

/// A pod that was asked to go before it came to a node, and is held by finalizers: whoever holds it may wait for its end.
fn unplaced(view: &View, key: &Key) -> Plan {
    let pod = view.pods.get(key).filter(|pod| is_unplaced(pod));
    Plan::of(pod.and_then(|pod| failed(pod, None)).map(Step::from).into_iter().collect())
}

fn is_unplaced(pod: &Pod) -> bool {
    pod::is_deleting(pod) && pod::node(pod).is_none()
}

/// Says that a pod has ended, if it has not said so itself.
fn failed(pod: &Pod, why: Option<&PodCondition>) -> Option<Action> {
    if pod::is_terminal(pod) {
        return None;
    }
    let mut after = pod.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some("Failed".to_owned());
    if let Some(why) = why {
        let conditions = status.conditions.get_or_insert_default();
        conditions.retain(|condition| condition.type_ != why.type_);
        conditions.push(why.clone());
    }
    Action::patch_status(pod, &after)
}

/// Whether nothing but finalizers keeps the pod.
fn is_forced(pod: &Pod) -> bool {
    pod::is_deleting(pod) && pod.metadata.deletion_grace_period_seconds == Some(0)
}

fn forced(pod: &Pod, absent: &Absent) -> Step {
    Step::from(Action::Delete {
        resource: Pod::RESOURCE,
        key: Key::of(&pod.metadata),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        resource_version: None,
        grace_seconds: Some(0),
        propagation: None,
        absent: vec![absent.clone()],
    })
}

/// The nodes, there or not, whose pods a change concerns; the pod itself, if it has none.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let node = match changed.new.as_ref().or(changed.old.as_ref()) {
        Some(Any::Node(_)) => Some(changed.key.name.clone()),
        Some(Any::Pod(pod)) if is_unplaced(pod) => return vec![changed.key.clone()],
        Some(Any::Pod(pod)) => pod::node(pod).map(str::to_owned),
        _ => None,
    };
    node.filter(|node| view.vanished.contains_key(node)).map(Key::cluster).into_iter().collect()
}

#[cfg(test)]
mod tests;
