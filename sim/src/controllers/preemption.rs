//! Who is driven away: nobody while somebody less important, whose going would free as much, may stay.
//!
//! Judged plan by plan, against the view the plan was made from.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kelson_machinery::quantity::Quantity;
use kelson_plans::{Action, Key, Plan, View, pod};

/// The app of pods that no budget is about.
pub(crate) const GUEST: &str = "guest";

/// Whom a plan drives away.
pub(super) fn victims(plan: &Plan) -> BTreeSet<&Key> {
    let deleted = plan.actions().filter_map(|action| match action {
        Action::Delete { key, .. } => Some(key),
        _ => None,
    });
    deleted.collect()
}

/// What is wrong with a scheduling plan, if anything is.
pub(super) fn fault(view: &View, plan: &Plan) -> Option<String> {
    let victims = victims(plan);
    let waiting = view.pods.iter().filter(|(_, pod)| pod::node(pod).is_none() && pod::is_active(pod));
    let highest = waiting.map(|(_, pod)| priority(pod)).max().unwrap_or(i32::MIN);
    for key in &victims {
        let victim = view.pods.get(key)?;
        if priority(victim) >= highest {
            return Some(format!("{key} is driven away for nobody more important"));
        }
        let spared =
            view.pods.iter().filter(|(other, pod)| !victims.contains(other) && could_go(pod, victim));
        if let Some((other, _)) = spared.into_iter().next() {
            return Some(format!(
                "{key} is driven away, and {other}, which is less important and as large, is not"
            ));
        }
    }
    None
}

/// Whether a pod is less important than a victim of its node, and its going would free all that the victim's frees.
fn could_go(pod: &Pod, victim: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let unguarded = labels.and_then(|labels| labels.get("app")).is_some_and(|app| app == GUEST);
    unguarded
        && pod::is_active(pod)
        && pod::node(pod) == pod::node(victim)
        && priority(pod) < priority(victim)
        && cpu(pod) >= cpu(victim)
        && ports(pod).is_superset(&ports(victim))
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

fn cpu(pod: &Pod) -> i64 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let asked =
        containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref()?.get("cpu"));
    asked.filter_map(|cpu| Quantity::parse(&cpu.0).ok()).map(|cpu| cpu.milli()).sum()
}

fn ports(pod: &Pod) -> BTreeSet<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| port.host_port)
        .collect()
}

#[cfg(test)]
mod tests;
