//! The pod's conditions, with upstream's reasons, messages and order (F9, F10, F16).
//!
//! Those a kubelet owns are computed anew and stand last, as upstream writes them; everybody else's are kept first.

use super::phase::Statuses;
use crate::life::{Life, Step};
use crate::spec::{self, Role};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The conditions this node writes, in the order upstream's kubelet writes them.
const OURS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// Tells whoever counts a pod's failures that this one was not the pod's own.
const DISRUPTION: &str = "DisruptionTarget";

/// A condition before it has a time.
struct Verdict {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

const HOLDS: Verdict = Verdict { holds: true, reason: None, message: None };

fn fails(reason: &'static str, message: Option<String>) -> Verdict {
    Verdict { holds: false, reason: Some(reason), message }
}

pub(super) fn all(
    life: &Life,
    pod: &Pod,
    old: &PodStatus,
    statuses: Statuses<'_>,
    phase: &str,
) -> Vec<PodCondition> {
    let displaced = displaced(life);
    let ours = |name: &str| OURS.contains(&name) || displaced.is_some() && name == DISRUPTION;
    let foreign = old.conditions.iter().flatten().filter(|it| !ours(&it.type_));
    let mut all: Vec<PodCondition> = foreign.cloned().collect();
    all.extend(displaced.map(|verdict| dated(life, pod, old, DISRUPTION, verdict)));
    for name in OURS {
        let verdict = match name {
            "PodReadyToStartContainers" => {
                Verdict { holds: life.sandbox == Step::Done, reason: None, message: None }
            }
            "Initialized" => initialized(pod, statuses, phase),
            "Ready" => ready(pod, old, statuses, phase),
            "ContainersReady" => containers_ready(pod, statuses, phase),
            _ => HOLDS,
        };
        all.push(dated(life, pod, old, name, verdict));
    }
    all
}

/// Said of a pod that the node ended for what it used.
fn displaced(life: &Life) -> Option<Verdict> {
    let (_, message) = life.failed.as_ref().filter(|_| life.displaced)?;
    let reason = Some("TerminationByKubelet");
    Some(Verdict { holds: true, reason, message: Some(message.clone()) })
}

/// Gives a condition its transition time: the old one unless it flips.
fn dated(life: &Life, pod: &Pod, old: &PodStatus, name: &str, verdict: Verdict) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let before = old.conditions.iter().flatten().find(|it| it.type_ == name && it.status == status);
    let since = before.and_then(|it| it.last_transition_time.clone());
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: since
            .or_else(|| Some(Time(super::whole_second(life.flipped_at(name, verdict.holds))))),
        observed_generation: pod.metadata.generation,
        last_probe_time: None,
    }
}

fn initialized(pod: &Pod, [init, main]: Statuses<'_>, phase: &str) -> Verdict {
    let incomplete = |(container, status): (&k8s_openapi::api::core::v1::Container, &ContainerStatus)| {
        let done = match spec::init_role(container) {
            Role::Sidecar => status.started.unwrap_or(false),
            _ => status.ready,
        };
        (!done).then(|| status.name.clone())
    };
    let names: Vec<String> = spec::init_containers(pod).iter().zip(init).filter_map(incomplete).collect();
    let began = |status: &ContainerStatus| {
        let of = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().is_some_and(|it| it.running.is_some() || it.terminated.is_some())
        };
        of(&status.state) || of(&status.last_state)
    };
    if phase == "Succeeded" {
        return Verdict { holds: true, reason: Some("PodCompleted"), message: None };
    }
    if names.is_empty() || main.iter().any(began) {
        return HOLDS;
    }
    fails(
        "ContainersNotInitialized",
        Some(format!("containers with incomplete status: [{}]", names.join(" "))),
    )
}

fn containers_ready(pod: &Pod, [init, main]: Statuses<'_>, phase: &str) -> Verdict {
    match phase {
        "Succeeded" => return fails("PodCompleted", None),
        "Failed" => return fails("PodFailed", None),
        _ => {}
    }
    let sidecars =
        spec::init_containers(pod).iter().zip(init).filter(|(it, _)| spec::init_role(it) == Role::Sidecar);
    let counted = sidecars.map(|(_, status)| status).chain(main);
    let unready: Vec<&str> = counted.filter(|it| !it.ready).map(|it| it.name.as_str()).collect();
    match unready.is_empty() {
        true => HOLDS,
        false => fails(
            "ContainersNotReady",
            Some(format!("containers with unready status: [{}]", unready.join(" "))),
        ),
    }
}

/// ContainersReady and every readiness gate (F10).
fn ready(pod: &Pod, old: &PodStatus, statuses: Statuses<'_>, phase: &str) -> Verdict {
    let containers = containers_ready(pod, statuses, phase);
    if !containers.holds {
        return containers;
    }
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let closed = |gate: &k8s_openapi::api::core::v1::PodReadinessGate| {
        let name = &gate.condition_type;
        match old.conditions.iter().flatten().find(|it| it.type_ == *name) {
            None => Some(format!("corresponding condition of pod readiness gate \"{name}\" does not exist.")),
            Some(it) if it.status != "True" => Some(format!(
                "the status of pod readiness gate \"{name}\" is not \"True\", but {}",
                it.status
            )),
            Some(_) => None,
        }
    };
    let closed: Vec<String> = gates.iter().filter_map(closed).collect();
    match closed.is_empty() {
        true => HOLDS,
        false => fails("ReadinessGatesNotReady", Some(closed.join(", "))),
    }
}
