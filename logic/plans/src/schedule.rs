//! Schedule: pending pods get a node.
//!
//! View → bindings, or the condition and event that say why not. One task looks at all pending pods together
//! (`Key::default`), so that what one takes counts for the next. Invariant: a pod is bound only to a node
//! that passes every filter with the pods bound so far in place, and not before its claims are bound: until then the
//! node is only noted on the claims. A pod that fits nowhere may drive less important ones away.

pub(crate) mod affinity;
mod allowances;
mod fit;
mod neighbours;
mod nodes;
mod preempt;
mod refusal;
mod spread;
mod volumes;

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Reason, Step};
use crate::pod;
use crate::view::{Changed, View};
pub use affinity::allows;
use nodes::{Nodes, Placement, Refused};
use preempt::Outcome;

const SCHEDULER: &str = "default-scheduler";
/// Pods looked at in one plan at most; the next plan goes on.
const BATCH: usize = 500;

/// Bindings for the pods that wait.
pub fn plan(view: &View, _key: &Key, now: Timestamp) -> Plan {
    let waiting = waiting(view);
    if waiting.is_empty() {
        return Plan::default();
    }
    let mut nodes = Nodes::of(view);
    let (mut steps, mut evictions) = (Vec::new(), Vec::new());
    let (batch, later) = waiting.split_at(waiting.len().min(BATCH));
    for pod in batch.iter().copied() {
        match nodes.place(pod) {
            Ok(Placement { node, open }) if open.is_empty() => steps.push(bind(pod, &node)),
            Ok(Placement { node, open }) => steps.extend(volumes::steps(view, &node, &open)),
            Err(refused) => {
                if let Outcome::Preempts { node, victims } = &refused.outcome {
                    steps.extend(victims.iter().filter_map(|victim| preempt::mark(victim, now)));
                    evictions.extend(victims.iter().filter_map(|victim| preempt::evict(victim, pod, node)));
                    // Those of this batch find another place themselves.
                    let hoping = later.iter().copied().filter(|other| preempt::is_outdone(other, pod, node));
                    steps.extend(hoping.filter_map(preempt::disappoint));
                }
                steps.extend(refuse(pod, refused, now));
            }
        }
    }
    let mut plan = Plan::of(steps);
    plan.stage(evictions);
    plan
}

/// The pods that want a node: the important first, of these who waits for a node already, then the oldest.
fn waiting(view: &View) -> Vec<&Pod> {
    let mut pods: Vec<&Pod> =
        view.pods.iter().map(|(_, pod)| pod.as_ref()).filter(|pod| waits(pod)).collect();
    pods.sort_by_key(|pod| {
        let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0);
        (
            Reverse(priority),
            preempt::nominated(pod).is_none(),
            pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            Key::of(&pod.metadata),
        )
    });
    pods
}

fn waits(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ours = spec.scheduler_name.as_deref().is_none_or(|name| name == SCHEDULER);
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    ours && !gated && pod::node(pod).is_none() && pod::is_active(pod)
}

fn bind(pod: &Pod, node: &str) -> Step {
    let key = Key::of(&pod.metadata);
    let message = format!("Successfully assigned {key} to {node}");
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    Step::from(Action::Bind { pod: key, uid, node: node.to_owned() }).done(Reason::normal(
        pod,
        "Scheduled",
        message,
    ))
}

/// Says why, once for each reason, and which node it waits for; nothing new while its victims take their time.
fn refuse(pod: &Pod, refused: Refused<'_>, now: Timestamp) -> Option<Step> {
    let Refused { message, outcome } = refused;
    let nominated = match outcome {
        Outcome::Preempts { node, .. } => Some(node),
        Outcome::Waits => return None,
        Outcome::Nothing(_) => None,
    };
    let mut after = pod.clone();
    let status = after.status.get_or_insert_default();
    status.nominated_node_name = nominated;
    let conditions = status.conditions.get_or_insert_default();
    let present = conditions.iter_mut().find(|condition| condition.type_ == "PodScheduled");
    let since = present.as_ref().filter(|condition| condition.status == "False");
    let since = since.and_then(|condition| condition.last_transition_time.clone()).unwrap_or(Time(now));
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(message.clone()),
        last_transition_time: Some(since),
        observed_generation: present.as_ref().and_then(|condition| condition.observed_generation),
        ..PodCondition::default()
    };
    match present {
        Some(present) => *present = condition,
        None => conditions.push(condition),
    }
    let action = Action::patch_status(pod, &after)?;
    Some(Step::from(action).done(Reason::warning(pod, "FailedScheduling", message)))
}

/// Whether a change can let a pod be scheduled: a new pod, a node that altered, room that was made.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let matters = match (&changed.old, &changed.new) {
        (_, Some(Any::Pod(pod))) if waits(pod) => true,
        (Some(Any::Pod(old)), Some(Any::Pod(new))) => {
            let standing = |pod: &Pod| (pod::is_terminal(pod), pod::is_deleting(pod));
            standing(old) != standing(new) || pod::node(old) != pod::node(new)
        }
        (Some(Any::Pod(_)), None) => true,
        (old, Some(Any::Node(new))) => old.as_ref().is_none_or(|old| nodes::differ(old, new)),
        (Some(Any::Node(_)), None) => true,
        (_, Some(Any::PersistentVolumeClaim(_) | Any::PersistentVolume(_) | Any::StorageClass(_))) => true,
        _ => false,
    };
    matters.then(Key::default).into_iter().collect()
}

#[cfg(test)]
mod tests;
