//! DaemonSet: one pod on every node that is eligible (H5).
//!
//! View → pods made and deleted node by node, revisions kept, and the status. Control flow of upstream's controller: first
//! every node gets what it should have, and only when all have it does the update take its step. Invariant: a pod is made
//! for one node (by affinity to its name) and bound there by the scheduler; on a node there is one pod, or two while the
//! update surges.

pub(crate) mod failures;
mod nodes;
mod place;
mod rolling;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::deployment::scaled;
use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Ending, Plan, Reason, Step};
use crate::replica_set::slow_start;
use crate::revisions::{self, History, REVISION_LABEL, Standing};
use crate::view::{Changed, View};
use crate::{claiming, pod, select};
use place::Place;

/// Creations or deletions in one plan at most, as upstream.
const BURST: usize = 250;

/// All that one look at a set is about.
struct Sight<'a> {
    view: &'a View,
    set: &'a DaemonSet,
    /// The hash of the template's revision.
    hash: &'a str,
    now: Timestamp,
}

/// The next step for one DaemonSet.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = view.daemon_sets.get(key) else { return Plan::default() };
    let selector = &set.spec.selector;
    if select::is_empty(selector) {
        return status::selects_all(set);
    }
    if set.metadata.deletion_timestamp.is_some() {
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
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let template = &set.spec.template;
    let history = History { view, owner: set.as_ref(), template, hash_label: REVISION_LABEL, collisions };
    match history.standing(&revisions) {
        Standing::Settled(current) => {
            let hash = hash(&current);
            let mut plan = step(&Sight { view, set, hash, now }, &pods);
            plan.stage(clean_up(set, &revisions, hash, &pods));
            plan
        }
        Standing::Behind(step) => Plan::of(vec![*step]),
        Standing::Collided => Plan::of(status::collided(set)),
    }
}

fn hash(revision: &ControllerRevision) -> &str {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(REVISION_LABEL)).map(String::as_str).unwrap_or_default()
}

fn step(sight: &Sight, pods: &[&Arc<Pod>]) -> Plan {
    let places = places(sight, pods);
    let mut plan = Plan::default();
    let mut wanted = place::Wanted::default();
    for place in &places {
        place.settle(sight, &mut wanted);
    }
    wanted.delete.extend(homeless(sight, pods));
    if wanted.create.is_empty() && wanted.delete.is_empty() && !sight.updates_on_delete() {
        rolling::step(sight, &places, &mut wanted);
    }
    plan.reasons = std::mem::take(&mut wanted.reasons);
    if let Some(after) = wanted.again {
        plan.requeue(after);
    }
    plan.stage(wanted.delete.iter().take(BURST).map(|pod| delete(sight.set, pod)).collect());
    let mut nodes = wanted.create.iter();
    let stages = slow_start(wanted.create.len().min(BURST), || {
        create(sight, nodes.next().expect("there are as many nodes as were counted"))
    });
    plan.stages.extend(stages);
    if let Some(after) = status::next_available(sight, pods) {
        plan.requeue(after);
    }
    let written = status::write(sight, &places);
    match plan.stages.first_mut() {
        Some(first) => first.splice(0..0, written).for_each(drop),
        None => plan.stage(written),
    }
    plan
}

/// Every node with the set's pods on it, or meant for it.
fn places<'a>(sight: &Sight<'a>, pods: &[&'a Arc<Pod>]) -> Vec<Place<'a>> {
    let mut by_node: BTreeMap<&str, Vec<&'a Arc<Pod>>> = BTreeMap::new();
    for pod in pods {
        if let Some(node) = nodes::target(pod) {
            by_node.entry(node).or_default().push(pod);
        }
    }
    let place = |(key, node): (&Key, &'a Arc<Node>)| {
        let pods = by_node.remove(key.name.as_str()).unwrap_or_default();
        Place::new(sight, node, pods)
    };
    sight.view.nodes.iter().map(place).collect()
}

/// Pods that wait for a node that is not there.
fn homeless<'a>(sight: &Sight, pods: &[&'a Arc<Pod>]) -> Vec<&'a Arc<Pod>> {
    let gone = |pod: &Pod| {
        let target = nodes::target(pod);
        target.is_some_and(|node| sight.view.nodes.get(&Key::cluster(node)).is_none())
    };
    let waiting = pods.iter().copied().filter(|pod| pod::node(pod).is_none() && !pod::is_deleting(pod));
    waiting.filter(|pod| gone(pod)).collect()
}

fn create(sight: &Sight, node: &str) -> Step {
    let set = sight.set;
    Step::from(Action::create(&nodes::pod(set, node, sight.hash)))
        .done(Reason::normal(set, "SuccessfulCreate", "Created pod: ").ending(Ending::Name))
        .failed(Reason::warning(set, "FailedCreate", "Error creating: ").ending(Ending::Refusal))
}

fn delete(set: &DaemonSet, pod: &Pod) -> Step {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Step::from(Action::delete(pod))
        .done(Reason::normal(set, "SuccessfulDelete", format!("Deleted pod: {name}")))
        .failed(Reason::warning(set, "FailedDelete", "Error deleting: ").ending(Ending::Refusal))
}

fn clean_up(
    set: &DaemonSet,
    revisions: &[Arc<ControllerRevision>],
    current: &str,
    pods: &[&Arc<Pod>],
) -> Vec<Step> {
    let used: BTreeSet<&str> = pods.iter().filter_map(|pod| nodes::hash(pod)).chain([current]).collect();
    let live = revisions.iter().filter(|revision| used.contains(hash(revision)));
    let live = live.map(|revision| revisions::name(revision)).collect();
    revisions::clean_up(revisions, &live, set.spec.revision_history_limit)
}

/// The DaemonSets that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::DaemonSet(_) => keys.push(changed.key.clone()),
            Any::Pod(_) | Any::ControllerRevision(_) => {
                keys.extend(claiming::owners_of::<DaemonSet>(view, any.metadata(), |set| {
                    Some(&set.spec.selector)
                }));
            }
            _ => {}
        }
    }
    let nodes = match (&changed.old, &changed.new) {
        (Some(Any::Node(old)), Some(Any::Node(new))) => nodes::differ(old, new),
        (Some(Any::Node(_)), None) | (None, Some(Any::Node(_))) => true,
        _ => false,
    };
    if nodes {
        keys.extend(view.daemon_sets.iter().map(|(key, _)| key.clone()));
    }
    keys
}

impl Sight<'_> {
    fn min_ready_seconds(&self) -> i32 {
        self.set.spec.min_ready_seconds.unwrap_or(0)
    }

    fn updates_on_delete(&self) -> bool {
        let strategy = self.set.spec.update_strategy.as_ref();
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"))
    }

    /// Whether a node may have two pods while the update goes over it.
    fn surges(&self) -> bool {
        !self.updates_on_delete() && self.fences(1).0 > 0
    }

    /// How many pods more and fewer there may be over `nodes` nodes; both round up, and both may not be nothing (H5.3).
    fn fences(&self, nodes: i32) -> (i32, i32) {
        let strategy = self.set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.clone());
        let RollingUpdateDaemonSet { max_surge, max_unavailable } = rolling.unwrap_or_default();
        let surge = max_surge.map_or(0, |value| scaled(&value, nodes, true));
        let unavailable = max_unavailable.map_or(1, |value| scaled(&value, nodes, true));
        if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
    }

    fn is_available(&self, pod: &Pod) -> bool {
        pod::is_available(pod, self.min_ready_seconds(), self.now)
    }

    fn is_new(&self, pod: &Pod) -> bool {
        nodes::hash(pod) == Some(self.hash)
    }
}

#[cfg(test)]
mod tests;
