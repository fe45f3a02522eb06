//! Deployment: one template, rolled out over ReplicaSets (H2).
//!
//! View → ReplicaSets made, scaled, deleted, and the status. Control flow of upstream's controller:
//! a paused or resized Deployment is only scaled; otherwise its strategy takes one step. Invariant: a plan
//! never lets the pods wanted exceed replicas + maxSurge, nor those available fall below
//! replicas − maxUnavailable of its own doing.

mod annotations;
mod limits;
mod recreate;
mod rolling;
mod scaling;
mod sets;
mod status;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use crate::key::Key;
use crate::kinds::Any;
use crate::owners::controller_of;
use crate::plan::{Action, Plan, Reason, Step};
use crate::view::{Changed, View};
use crate::{claiming, select};
pub(crate) use limits::scaled;
use sets::Sets;

/// The next step for one Deployment.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(deployment) = view.deployments.get(key) else { return Plan::default() };
    if select::is_empty(&deployment.spec.selector) {
        return selects_all(deployment);
    }
    let selector = &deployment.spec.selector;
    match claiming::owned(view, deployment.as_ref(), selector, |_: &ReplicaSet| true) {
        Err(changes) => Plan::of(changes),
        Ok(owned) => {
            let owned = owned.into_iter().cloned().collect();
            step(view, deployment, Sets::of(deployment, owned), now)
        }
    }
}

fn step(view: &View, deployment: &Deployment, sets: Sets, now: Timestamp) -> Plan {
    if deployment.metadata.deletion_timestamp.is_some() {
        return status::only(deployment, &sets, now);
    }
    if let Some(action) = sets.revision_action(deployment) {
        return Plan::of(vec![action.into()]);
    }
    let mut sets = sets;
    let annotated = sets.refresh_new(deployment);
    if !annotated.is_empty() {
        return Plan::of(annotated);
    }
    if limits::is_paused(deployment) {
        return scaling::paused(deployment, &sets, now);
    }
    if scaling::is_resized(deployment, &sets) {
        return scaling::resized(deployment, &sets, now);
    }
    if limits::is_recreate(deployment) {
        return recreate::step(view, deployment, &sets, now);
    }
    rolling::step(view, deployment, &sets, now)
}

fn selects_all(deployment: &Deployment) -> Plan {
    let message = "This deployment is selecting all pods. A non-empty selector is required.";
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    if observed >= deployment.metadata.generation {
        return Plan::default();
    }
    let mut after = deployment.clone();
    after.status.get_or_insert_default().observed_generation = deployment.metadata.generation;
    let mut plan = Plan::of(Action::patch_status(deployment, &after).map(Step::from).into_iter().collect());
    plan.reasons.push(Reason::warning(deployment, "SelectingAll", message));
    plan
}

/// The Deployments that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::Deployment(_) => keys.push(changed.key.clone()),
            Any::ReplicaSet(set) => keys.extend(deployments_of(view, set)),
            // Recreate waits for the last old pod to be gone.
            Any::Pod(pod) if changed.new.is_none() => {
                let set = controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet");
                let set = set
                    .and_then(|owner| view.replica_sets.get(&Key::new(&changed.key.namespace, &owner.name)));
                keys.extend(set.into_iter().flat_map(|set| deployments_of(view, set)));
            }
            _ => {}
        }
    }
    keys
}

fn deployments_of(view: &View, set: &ReplicaSet) -> Vec<Key> {
    claiming::owners_of::<Deployment>(view, &set.metadata, |deployment| Some(&deployment.spec.selector))
}

#[cfg(test)]
mod tests;
