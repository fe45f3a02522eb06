//! ReplicaSet: as many pods as are wanted, no more (H3).
//!
//! View → pods made, deleted, adopted, released, and the status. Invariant: pods are only made from what the
//! view shows to be missing; whoever carries the plan out must let the view catch up before asking again.

mod status;
mod victims;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::controllers::{Controller, Task};
use crate::key::Key;
use crate::owners::{controller_of, controller_reference};
use crate::plan::{Action, Ending, Plan, Reason, Step};
use crate::view::{Changed, View};
use crate::{claiming, kinds::Any, pod};

pub(crate) use status::count;
pub(crate) use victims::choose as choose_victims;

/// Creations or deletions in one plan at most (H3.4).
const BURST: usize = 500;

/// The next step for one ReplicaSet.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = view.replica_sets.get(key) else { return Plan::default() };
    let pods = match claiming::pods(view, set.as_ref(), &set.spec.selector) {
        Ok(pods) => pods,
        Err(changes) => return Plan::of(changes),
    };
    let active: Vec<&Arc<Pod>> = pods.iter().copied().filter(|pod| pod::is_active(pod)).collect();
    let mut plan = Plan::default();
    if set.metadata.deletion_timestamp.is_none() {
        plan.stages = scale(view, set, &active, now);
    }
    let failure = view.failures.get(&Task::new(Controller::ReplicaSet, key.clone()));
    let status = status::status(set, &pods, &active, failure, now);
    first_stage(&mut plan, status::write(set, status));
    if let Some(after) = status::next_available(set, &active, now) {
        plan.requeue(after);
    }
    plan
}

/// The status is written beside the first pods, not after them.
fn first_stage(plan: &mut Plan, action: Option<Action>) {
    let Some(action) = action else { return };
    match plan.stages.first_mut() {
        Some(stage) => stage.push(action.into()),
        None => plan.stage(vec![action.into()]),
    }
}

fn scale(view: &View, set: &ReplicaSet, active: &[&Arc<Pod>], now: Timestamp) -> Vec<Vec<Step>> {
    let wanted = usize::try_from(set.wanted()).unwrap_or(0);
    if active.len() < wanted {
        let missing = (wanted - active.len()).min(BURST);
        return slow_start(missing, || create(set));
    }
    let excess = (active.len() - wanted).min(BURST);
    if excess == 0 {
        return Vec::new();
    }
    let victims = victims::choose(active, &related(view, set), excess, now);
    vec![victims.into_iter().map(|victim| delete(set, victim)).collect()]
}

/// Stages of 1, 2, 4 … so that a refusal (quota, admission) is met once and not five hundred times (H1.6).
pub(crate) fn slow_start(mut missing: usize, mut step: impl FnMut() -> Step) -> Vec<Vec<Step>> {
    let mut stages = Vec::new();
    let mut size = 1;
    while missing > 0 {
        let batch = size.min(missing);
        stages.push((0..batch).map(|_| step()).collect());
        missing -= batch;
        size *= 2;
    }
    stages
}

fn create(set: &ReplicaSet) -> Step {
    let template = set.spec.template.clone().unwrap_or_default();
    let mut pod = pod_of(&template, &set.metadata);
    pod.metadata.owner_references = Some(vec![controller_reference(set)]);
    Step::from(Action::create(&pod))
        .done(Reason::normal(set, "SuccessfulCreate", "Created pod: ").ending(Ending::Name))
        .failed(Reason::warning(set, "FailedCreate", "Error creating: ").ending(Ending::Refusal))
}

/// A pod as a template says, its name left to the API.
pub(crate) fn pod_of(template: &PodTemplateSpec, owner: &ObjectMeta) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    let metadata = ObjectMeta {
        generate_name: owner.name.as_ref().map(|name| format!("{name}-")),
        namespace: owner.namespace.clone(),
        labels: meta.labels,
        annotations: meta.annotations,
        finalizers: meta.finalizers,
        ..ObjectMeta::default()
    };
    Pod { metadata, spec: template.spec.clone(), status: None }
}

fn delete(set: &ReplicaSet, pod: &Pod) -> Step {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Step::from(Action::delete(pod))
        .done(Reason::normal(set, "SuccessfulDelete", format!("Deleted pod: {name}")))
        .failed(Reason::warning(set, "FailedDelete", "Error deleting: ").ending(Ending::Refusal))
}

/// The active pods of all sets under the same controller: what "doubled up on a node" is counted over.
fn related<'a>(view: &'a View, set: &ReplicaSet) -> Vec<&'a Arc<Pod>> {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let controller = controller_of(&set.metadata).map(|owner| owner.uid.as_str());
    let sibling = |other: &ReplicaSet| {
        other.metadata.uid == set.metadata.uid
            || (controller.is_some()
                && controller_of(&other.metadata).map(|owner| owner.uid.as_str()) == controller)
    };
    let sets = view.replica_sets.within(namespace).filter(|(_, other)| sibling(other));
    let pods =
        sets.flat_map(|(_, other)| view.pods.marked(other.metadata.uid.as_deref().unwrap_or_default()));
    pods.filter(|pod| pod::is_active(pod)).collect()
}

/// The ReplicaSets that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(Any::ReplicaSet(_)) = changed.new.as_ref().or(changed.old.as_ref()) {
        keys.push(changed.key.clone());
    }
    for any in changed.old.iter().chain(&changed.new) {
        if let Any::Pod(pod) = any {
            keys.extend(claiming::owners_of::<ReplicaSet>(view, &pod.metadata, |set| {
                Some(&set.spec.selector)
            }));
        }
    }
    keys
}

/// The parts of a ReplicaSet's spec, with the API's defaults for what is not there.
pub(crate) trait Spec {
    fn wanted(&self) -> i32;
    fn min_ready_seconds(&self) -> i32;
}

impl Spec for ReplicaSet {
    fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
