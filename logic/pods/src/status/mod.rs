//! The pod's status as a kubelet would write it: a pure reading of specification, life and the status there was.
//!
//! Invariants: the same life gives the same status whatever the order of reports; a transition time moves only when its
//! condition flips; a pod that has ended never comes back.

mod conditions;
mod containers;
mod phase;

use crate::life::{Life, Step};
use crate::{restart, spec, stop};
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How the API names a run: the runtime's scheme and id.
pub(crate) fn container_id(id: &str) -> String {
    format!("kelson://{id}")
}

/// What `status` of the API object should be. `lastTransitionTime`s of flipped conditions are the life's `now`.
pub(crate) fn build(life: &Life, pod: &Pod) -> PodStatus {
    let old = pod.status.clone().unwrap_or_default();
    let last_word = life.ending_since.is_some() && stop::quiet(life);
    let of = |all| if life.is_rejected() { Vec::new() } else { containers::statuses(life, pod, all) };
    let (mut init, mut main) = (of(spec::init_containers(pod)), of(spec::main_containers(pod)));
    let ephemeral = if life.is_rejected() { Vec::new() } else { containers::of_ephemeral(life, pod) };
    let phase = match phase_of(life, pod, &old, [&init, &main]) {
        "Pending" | "Running" if last_word => "Failed",
        phase => phase,
    };
    if last_word {
        containers::close(life, pod, &mut init, &mut main);
    }
    let (reason, message) = why(life, &old, phase);
    let ips = addresses(life, pod, &old);
    let host_ips: Vec<HostIP> = life.node.ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect();
    let conditions = conditions::all(life, pod, &old, [&init, &main], phase);
    PodStatus {
        conditions: Some(conditions),
        phase: Some(phase.to_owned()),
        reason,
        message,
        host_ip: life.node.ips.first().cloned(),
        host_ips: (!host_ips.is_empty()).then_some(host_ips),
        pod_ip: ips.first().cloned(),
        pod_ips: (!ips.is_empty()).then(|| ips.into_iter().map(|ip| PodIP { ip }).collect()),
        start_time: Some(old.start_time.clone().unwrap_or(Time(whole_second(life.seen_at)))),
        qos_class: old.qos_class.clone().or(pod.spec.as_ref().map(|spec| spec::qos_class(spec).to_owned())),
        observed_generation: pod.metadata.generation,
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(main).filter(|_| !life.is_rejected()),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        nominated_node_name: old.nominated_node_name,
        resource_claim_statuses: old.resource_claim_statuses,
        ..PodStatus::default()
    }
}

/// Kubernetes' times have whole seconds; a finer one would never equal what the API returns.
pub(crate) fn whole_second(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn phase_of<'a>(life: &Life, pod: &Pod, old: &'a PodStatus, statuses: phase::Statuses<'_>) -> &'a str {
    if let Some(ended) = old.phase.as_deref().filter(|phase| matches!(*phase, "Succeeded" | "Failed")) {
        return ended;
    }
    if life.failed.is_some() {
        return "Failed";
    }
    phase::compute(pod, statuses, life.ending_since.is_some(), restart::initialized(life, pod))
}

fn why(life: &Life, old: &PodStatus, phase: &str) -> (Option<String>, Option<String>) {
    match &life.failed {
        Some((reason, message)) => (Some(reason.clone()), Some(message.clone())),
        None if old.phase.as_deref() == Some(phase) => (old.reason.clone(), old.message.clone()),
        None => (None, None),
    }
}

/// The pod's addresses; one that has ended keeps those it had.
fn addresses(life: &Life, pod: &Pod, old: &PodStatus) -> Vec<String> {
    let now = life.pod_ips(pod);
    if !now.is_empty() && (!spec::host_network(pod) || life.sandbox != Step::Absent) {
        return now;
    }
    old.pod_ips.iter().flatten().map(|it| it.ip.clone()).collect()
}

/// Whether the status is only a station: nothing is wrong, and a better one will follow by itself in a moment.
pub(crate) fn settling(life: &Life, status: &PodStatus) -> bool {
    let fine = life
        .containers
        .values()
        .all(|memory| memory.waiting.is_none() && !memory.pulling && memory.post_start.is_none());
    let failed = matches!(life.volumes, Step::Failed { .. }) || matches!(life.sandbox, Step::Failed { .. });
    let starting = life.containers.values().any(|memory| memory.starting.is_some());
    let setting_up = life.volumes == Step::InFlight || life.sandbox == Step::InFlight;
    status.phase.as_deref() == Some("Pending")
        && life.ending_since.is_none()
        && fine
        && !failed
        && (starting || setting_up)
}
