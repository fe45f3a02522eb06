//! Pods left behind: those bound to a node that is gone are removed by force, for nobody else will.
//!
//! View → forced deletions, some time after the node vanished. Invariant: the API is asked whether the node
//! is really not there.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;

use crate::key::Key;
use crate::kinds::{Any, Kept, node_mark};
use crate::plan::{Absent, Action, Plan, Step};
use crate::pod;
use crate::view::{Changed, View};

/// A node may come back within this time.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// The next step for the pods of one node, named by `Key::name`.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let pods: Vec<_> = view.pods.marked(&node_mark(&key.name)).collect();
    let Some(vanished) = view.vanished.get(&key.name).filter(|_| !pods.is_empty()) else {
        return Plan::default();
    };
    let wait = QUARANTINE - now.duration_since(*vanished);
    if wait.is_positive() {
        return Plan { requeue_after: Some(wait), ..Plan::default() };
    }
    let node = Absent { resource: Node::RESOURCE, key: key.clone(), uid: String::new() };
    let forced = pods.into_iter().map(|pod| {
        Step::from(Action::Delete {
            resource: k8s_openapi::api::core::v1::Pod::RESOURCE,
            key: Key::of(&pod.metadata),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            resource_version: None,
            grace_seconds: Some(0),
            propagation: None,
            absent: vec![node.clone()],
        })
    });
    Plan::of(forced.collect())
}

/// The nodes, there or not, whose pods a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let node = match changed.new.as_ref().or(changed.old.as_ref()) {
        Some(Any::Node(_)) => Some(changed.key.name.clone()),
        Some(Any::Pod(pod)) => pod::node(pod).map(str::to_owned),
        _ => None,
    };
    node.filter(|node| view.vanished.contains_key(node)).map(Key::cluster).into_iter().collect()
}

#[cfg(test)]
mod tests;
