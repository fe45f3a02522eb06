//! Node life: a node that has fallen silent, and what that means for its pods (F15).
//!
//! View → the node's conditions and taints, its pods' readiness, evictions. Silence is judged by the clock
//! that folded the heartbeats, never by the node's. Invariant: a node that speaks is never written to except
//! for its taints.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::key::Key;
use crate::kinds::{Any, node_mark};
use crate::plan::{Action, Plan, Reason, Step};
use crate::pod;
use crate::taints;
use crate::view::{Changed, View};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// What a node that says so of itself is kept free of, by condition.
const PRESSURES: [(&str, &str); 3] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];
const SILENT: &str = "Kubelet stopped posting node status.";
const NEVER_HEARD: &str = "Kubelet never posted node status.";

/// The next step for one node.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(node) = view.nodes.get(key).filter(|node| node.metadata.deletion_timestamp.is_none()) else {
        return Plan::default();
    };
    let mut plan = Plan::default();
    let silent_at = silent_at(view, &key.name);
    let is_silent = silent_at.is_some_and(|at| at <= now);
    let unknown = unknown(node, now).filter(|_| is_silent);
    // The taints follow the conditions as written, so they come once the view shows them.
    let is_told = unknown.is_none();
    if is_silent {
        let mut steps: Vec<Step> = unknown.map(Step::from).into_iter().collect();
        steps.extend(view.pods.marked(&node_mark(&key.name)).filter_map(|pod| unready(pod, now)));
        plan.stage(steps);
    } else if let Some(at) = silent_at {
        plan.requeue(at.duration_since(now));
    }
    if is_told {
        plan.stage(taint(node, now).map(Step::from).into_iter().collect());
        evict(view, node, now, &mut plan);
    }
    plan
}

fn silent_at(view: &View, node: &str) -> Option<Timestamp> {
    let grace = SignedDuration::from_secs(view.settings.node_grace_seconds);
    view.heartbeats.get(node)?.checked_add(grace).ok()
}

/// All that the node said of itself is unknown now.
fn unknown(node: &Node, now: Timestamp) -> Option<Action> {
    let mut after = node.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some(SILENT.to_owned());
                condition.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some(NEVER_HEARD.to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
    Action::patch_status(node, &after)
}

/// A pod nobody vouches for takes no more traffic.
fn unready(pod: &Pod, now: Timestamp) -> Option<Step> {
    if !pod::is_ready(pod) || pod::is_terminal(pod) {
        return None;
    }
    let mut after = pod.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    let ready = conditions.iter_mut().find(|condition| condition.type_ == "Ready")?;
    ready.status = "False".to_owned();
    ready.last_transition_time = Some(Time(now));
    let action = Action::patch_status(pod, &after)?;
    Some(Step::from(action).done(Reason::warning(pod, "NodeNotReady", "Node is not ready")))
}

fn taint(node: &Node, now: Timestamp) -> Option<Action> {
    let wanted = wanted_taints(node);
    let mut after = node.clone();
    let mut taints = after.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let pressures = PRESSURES.map(|(_, key)| key);
    let keys = [NOT_READY, UNREACHABLE, UNSCHEDULABLE].into_iter().chain(pressures);
    let ours = |taint: &Taint| keys.clone().any(|key| taint.key == key);
    taints.retain(|taint| !ours(taint) || wanted.contains(&(taint.key.as_str(), taint.effect.as_str())));
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            let (key, effect) = (key.to_owned(), effect.to_owned());
            taints.push(Taint { key, effect, value: None, time_added: Some(Time(now)) });
        }
    }
    let taints = (!taints.is_empty()).then_some(taints);
    if taints.is_some() || after.spec.is_some() {
        after.spec.get_or_insert_default().taints = taints;
    }
    Action::patch(node, &after)
}

/// The taints that the node's own state calls for, by key and effect.
fn wanted_taints(node: &Node) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let holds = |kind: &str| condition(node, kind) == Some("True");
    wanted.extend(PRESSURES.iter().filter(|(kind, _)| holds(kind)).map(|(_, key)| (*key, "NoSchedule")));
    match condition(node, "Ready") {
        Some("True") => {}
        Some("Unknown") => wanted.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        _ => wanted.extend([(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
    }
    wanted
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a str> {
    let mut conditions = node.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind).map(|condition| condition.status.as_str())
}

/// Pods that do not tolerate a NoExecute taint go, at once or when their toleration runs out.
fn evict(view: &View, node: &Node, now: Timestamp, plan: &mut Plan) {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let taints: Vec<&Taint> = taints.filter(|taint| taint.effect == "NoExecute").collect();
    if taints.is_empty() {
        return;
    }
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let mut steps = Vec::new();
    for pod in view.pods.marked(&node_mark(name)).filter(|pod| pod::is_active(pod)) {
        match tolerated_until(pod, &taints) {
            Until::Forever => {}
            Until::At(at) if at > now => plan.requeue(at.duration_since(now)),
            Until::Never | Until::At(_) => steps.push(eviction(pod)),
        }
    }
    plan.stage(steps);
}

enum Until {
    Forever,
    At(Timestamp),
    Never,
}

/// The shortest of the tolerations used, from when its taint was added.
fn tolerated_until(pod: &Pod, taints: &[&Taint]) -> Until {
    let mut until = Until::Forever;
    for taint in taints {
        let covering: Vec<_> =
            taints::tolerations(pod).filter(|toleration| taints::covers(toleration, taint)).collect();
        if covering.is_empty() {
            return Until::Never;
        }
        let added = taint.time_added.as_ref().map(|time| time.0);
        for seconds in covering.iter().filter_map(|toleration| toleration.toleration_seconds) {
            let Some(added) = added else { continue };
            let end = added.checked_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(Timestamp::MAX);
            until = match until {
                Until::At(earlier) => Until::At(earlier.min(end)),
                _ => Until::At(end),
            };
        }
    }
    until
}

fn eviction(pod: &Pod) -> Step {
    let message = format!("Marking for deletion Pod {}", Key::of(&pod.metadata));
    Step::from(Action::delete(pod)).done(Reason::normal(pod, "TaintManagerEviction", message))
}

/// The nodes that a change concerns.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let keys = changed.old.iter().chain(&changed.new).filter_map(|any| match any {
        Any::Node(_) => Some(changed.key.clone()),
        // A heartbeat of a node that counts as silent; the others only push the deadline on.
        Any::Lease(_) if changed.key.namespace == crate::view::NODE_LEASES => {
            Some(Key::cluster(&changed.key.name))
        }
        Any::Pod(pod) if !is_the_same_to_us(changed) => pod::node(pod).map(Key::cluster),
        _ => None,
    });
    keys.collect()
}

/// Whether a pod only says something else of itself. One on a silent node may still have somebody who vouches for it: to
/// answer each word of theirs would be a quarrel without end, so it is told once that nothing is heard, as by upstream.
fn is_the_same_to_us(changed: &Changed) -> bool {
    let (Some(Any::Pod(old)), Some(Any::Pod(new))) = (&changed.old, &changed.new) else { return false };
    pod::node(old) == pod::node(new)
        && taints::tolerations(old).eq(taints::tolerations(new))
        && old.metadata.uid == new.metadata.uid
}

#[cfg(test)]
mod tests;
