//! PodDisruptionBudget: how many of the selected pods may be away by choice now, for evictions to ask (policy/v1).
//!
//! View → the budget's status. Invariant: an eviction that was granted counts as a pod away until the pod is gone or two
//! minutes have passed, so that two evictions never spend the same allowance; when it cannot be told how many pods there
//! should be, none may be evicted.

mod expected;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Reason, Step};
use crate::pod;
use crate::select;
use crate::view::{Changed, View};
use expected::Expected;

/// How long a granted eviction may take to delete its pod before it counts as given up.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);
/// The one condition of a budget.
const ALLOWED: &str = "DisruptionAllowed";

/// The next step for one budget.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(budget) = view.pod_disruption_budgets.get(key) else { return Plan::default() };
    let pods: Vec<&Pod> = selected(view, budget).collect();
    let (disrupted, recheck) = granted(budget, &pods, now);
    let expected = expected::of(view, budget, &pods);
    let status = match &expected {
        Ok(expected) => status(budget, &pods, expected, disrupted, now),
        Err(why) => failed(budget, why, now),
    };
    let after = PodDisruptionBudget { status: Some(status), ..budget.as_ref().clone() };
    let Some(action) = Action::patch_status(budget.as_ref(), &after) else {
        return Plan { requeue_after: recheck, ..Plan::default() };
    };
    let reasons = remarks(budget, &pods, &expected);
    Plan { requeue_after: recheck, reasons, ..Plan::of(vec![Step::from(action)]) }
}

/// The pods a budget is about; a budget without a selector is about none.
fn selected<'a>(view: &'a View, budget: &'a PodDisruptionBudget) -> impl Iterator<Item = &'a Pod> {
    let namespace = budget.metadata.namespace.as_deref().unwrap_or_default();
    view.pods.within(namespace).map(|(_, pod)| pod.as_ref()).filter(|pod| is_selected(budget, pod))
}

fn is_selected(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| select::matches(selector, pod.metadata.labels.as_ref()))
}

/// The granted evictions whose pods are still to be deleted, and when the first of them is given up.
fn granted(
    budget: &PodDisruptionBudget,
    pods: &[&Pod],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<SignedDuration>) {
    let before = budget.status.as_ref().and_then(|status| status.disrupted_pods.clone()).unwrap_or_default();
    let mut kept = BTreeMap::new();
    let mut recheck: Option<SignedDuration> = None;
    for pod in pods.iter().filter(|pod| !pod::is_deleting(pod)) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let Some(since) = before.get(&name) else { continue };
        let left = DELETION_TIMEOUT - now.duration_since(since.0);
        if left >= SignedDuration::ZERO {
            recheck = Some(recheck.map_or(left, |earlier| earlier.min(left)));
            kept.insert(name, since.clone());
        }
    }
    // A moment later, so that it is over by then.
    (kept, recheck.map(|left| left + SignedDuration::from_secs(1)))
}

fn status(
    budget: &PodDisruptionBudget,
    pods: &[&Pod],
    expected: &Expected,
    disrupted: BTreeMap<String, Time>,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let is_healthy = |pod: &&&Pod| {
        let granted = pod.metadata.name.as_ref().is_some_and(|name| disrupted.contains_key(name));
        !pod::is_deleting(pod) && !granted && pod::is_ready(pod)
    };
    let healthy = i32::try_from(pods.iter().filter(is_healthy).count()).unwrap_or(i32::MAX);
    // Without pods nothing is allowed: the first ones are safe before they are counted.
    let spare = if expected.pods > 0 { (healthy - expected.healthy).max(0) } else { 0 };
    let (value, reason) = if spare > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(budget, value, reason, "", now)]),
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        disrupted_pods: Some(disrupted).filter(|pods| !pods.is_empty()),
        disruptions_allowed: Some(spare),
        expected_pods: Some(expected.pods),
        observed_generation: budget.metadata.generation,
    }
}

/// What is known stays; nothing may be evicted.
fn failed(budget: &PodDisruptionBudget, why: &str, now: Timestamp) -> PodDisruptionBudgetStatus {
    PodDisruptionBudgetStatus {
        disruptions_allowed: Some(0),
        conditions: Some(vec![condition(budget, "False", "SyncFailed", why, now)]),
        ..budget.status.clone().unwrap_or_default()
    }
}

fn condition(
    budget: &PodDisruptionBudget,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Condition {
    let before = budget.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let before = before.filter(|known| known.type_ == ALLOWED).find(|known| known.status == value);
    Condition {
        type_: ALLOWED.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: before.map_or(Time(now), |known| known.last_transition_time.clone()),
        observed_generation: budget.metadata.generation,
    }
}

fn remarks(budget: &PodDisruptionBudget, pods: &[&Pod], expected: &Result<Expected, String>) -> Vec<Reason> {
    let mut told = Vec::new();
    if pods.is_empty() {
        told.push(Reason::normal(budget, "NoPods", "No matching pods found"));
    }
    match expected {
        Ok(expected) if expected.unmanaged => told.push(Reason::warning(
            budget,
            "UnmanagedPods",
            "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the status of the PDB \
             cannot be calculated correctly, which may result in undefined behavior. To account for these pods please \
             set \".spec.minAvailable\" field of the PDB to an integer value.",
        )),
        Ok(_) => {}
        Err(why) => {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            told.push(Reason::warning(budget, "CalculateExpectedPodCountFailed", message));
        }
    }
    told
}

/// The budgets that a change concerns: their own, those of a pod, and those of pods whose number was altered.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::PodDisruptionBudget(_) => keys.push(changed.key.clone()),
            Any::Pod(pod) => {
                let budgets = view.pod_disruption_budgets.within(&changed.key.namespace);
                keys.extend(budgets.filter(|(_, it)| is_selected(it, pod)).map(|(key, _)| key.clone()));
            }
            Any::Deployment(_) | Any::ReplicaSet(_) | Any::StatefulSet(_) => {
                let budgets = view.pod_disruption_budgets.within(&changed.key.namespace);
                keys.extend(budgets.map(|(key, _)| key.clone()));
            }
            _ => {}
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests;
