//! StatefulSet: pods with names, claims and an order that stay (H4).
//!
//! View → pods and claims made, pods deleted, revisions kept, and the status. Control flow of upstream's controller:
//! first the replicas in their order, then those too many from the highest, then the update. Invariant: in the default
//! order nothing is made or deleted while another pod is not yet (or no longer) available; there is never more than one
//! pod of an ordinal, as its name is the ordinal's.

mod claims;
mod identity;
mod replicas;
mod status;
mod update;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::Pod;

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Plan, Step};
use crate::revisions::{self, History, Standing};
use crate::view::{Changed, View};
use crate::{claiming, pod, select};
use replicas::Replicas;

/// All that one look at a set is about.
struct Sight<'a> {
    view: &'a View,
    set: &'a StatefulSet,
    pods: Vec<&'a Arc<Pod>>,
    current: Arc<ControllerRevision>,
    update: Arc<ControllerRevision>,
    now: Timestamp,
}

/// The next step for one StatefulSet.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = view.stateful_sets.get(key) else { return Plan::default() };
    let selector = &set.spec.selector;
    if select::is_empty(selector) {
        return Plan::default();
    }
    let revisions = claiming::owned(view, set.as_ref(), selector, |_: &ControllerRevision| true);
    let (pods, revisions) = match (claiming::pods(view, set.as_ref(), selector), revisions) {
        (Ok(pods), Ok(revisions)) => (pods, revisions::sorted(revisions)),
        (pods, revisions) => {
            let steps = pods.err().into_iter().chain(revisions.err()).flatten();
            return Plan::of(steps.collect());
        }
    };
    let update = match standing(view, set, &revisions) {
        Standing::Settled(revision) => revision,
        // A set on its way out starts nothing, a history neither.
        _ if set.metadata.deletion_timestamp.is_some() => return Plan::default(),
        Standing::Behind(step) => return Plan::of(vec![*step]),
        Standing::Collided => return Plan::of(status::collided(set)),
    };
    let named = set.status.as_ref().and_then(|status| status.current_revision.clone());
    let current = revisions.iter().find(|revision| revision.metadata.name == named);
    let current = current.unwrap_or(&update).clone();
    step(&Sight { view, set, pods, current, update, now }, &revisions)
}

fn standing(view: &View, set: &StatefulSet, revisions: &[Arc<ControllerRevision>]) -> Standing {
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let template = &set.spec.template;
    History { view, owner: set, template, hash_label: revisions::HASH, collisions }.standing(revisions)
}

fn step(sight: &Sight, revisions: &[Arc<ControllerRevision>]) -> Plan {
    let mut plan = Plan::default();
    if sight.set.metadata.deletion_timestamp.is_none() {
        let replicas = Replicas::of(sight);
        let blocked = replicas.advance(&mut plan);
        if !blocked {
            plan.stage(update::steps(sight, &replicas));
        }
    }
    if let Some(after) = status::next_available(sight) {
        plan.requeue(after);
    }
    let written = status::write(sight);
    match plan.stages.first_mut() {
        Some(first) => first.splice(0..0, written).for_each(drop),
        None => plan.stage(written),
    }
    plan.stage(history(sight, revisions));
    plan
}

fn history(sight: &Sight, revisions: &[Arc<ControllerRevision>]) -> Vec<Step> {
    let mut live: BTreeSet<&str> = sight.pods.iter().filter_map(|pod| identity::revision(pod)).collect();
    live.extend([revisions::name(&sight.current), revisions::name(&sight.update)]);
    revisions::clean_up(revisions, &live, sight.set.spec.revision_history_limit)
}

/// The StatefulSets that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::StatefulSet(_) => keys.push(changed.key.clone()),
            Any::Pod(_) | Any::ControllerRevision(_) => {
                keys.extend(claiming::owners_of::<StatefulSet>(view, any.metadata(), |set| {
                    Some(&set.spec.selector)
                }));
            }
            // A claim that is gone is made again, or no longer stands in a pod's way.
            Any::PersistentVolumeClaim(_) => keys.extend(claims::sets_of(view, &changed.key)),
            _ => {}
        }
    }
    keys
}

/// The parts of a StatefulSet's spec, with the API's defaults for what is not there.
trait Spec {
    fn wanted(&self) -> i32;
    fn first_ordinal(&self) -> i32;
    fn min_ready_seconds(&self) -> i32;
    fn is_parallel(&self) -> bool;
    fn updates_on_delete(&self) -> bool;
    fn partition(&self) -> i32;
}

impl Spec for StatefulSet {
    fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    fn first_ordinal(&self) -> i32 {
        self.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    fn is_parallel(&self) -> bool {
        self.spec.pod_management_policy.as_deref() == Some("Parallel")
    }

    fn updates_on_delete(&self) -> bool {
        let strategy = self.spec.update_strategy.as_ref();
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"))
    }

    fn partition(&self) -> i32 {
        let strategy = self.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        rolling.and_then(|rolling| rolling.partition).unwrap_or(0)
    }
}

/// Running, ready long enough, and not on its way out.
fn is_available(pod: &Pod, set: &StatefulSet, now: Timestamp) -> bool {
    is_running_and_available(pod, set, now) && !pod::is_deleting(pod)
}

fn is_running_and_available(pod: &Pod, set: &StatefulSet, now: Timestamp) -> bool {
    pod::phase(pod) == "Running" && pod::is_available(pod, set.min_ready_seconds(), now)
}

#[cfg(test)]
mod tests;
