//! Why a pod is not ready, in the words of whoever knows: the scheduler, the node, the container, its probe.

use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStatus, Event, Pod, PodStatus};

use crate::asker::is_ready as is_node_ready;
use crate::context::Context;
use crate::words::{count, in_namespace, name, namespace};

/// Why, and what to look at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub sentence: String,
    pub next: String,
}

/// Whether a pod takes requests as far as it tells itself.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && condition(pod, "Ready").is_some_and(|(status, _)| status == "True")
}

/// Whether a pod has ended for good.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Why `pod` is not ready.
pub(crate) fn of(context: &Context<'_>, pod: &Pod) -> Reason {
    let called = name(&pod.metadata);
    if pod.metadata.deletion_timestamp.is_some() {
        return described(pod, format!("{called} is being deleted"));
    }
    if has_ended(pod) {
        return ended(pod);
    }
    if let Some(reason) = unscheduled(pod) {
        return reason;
    }
    let status = pod.status.clone().unwrap_or_default();
    let first = status.init_container_statuses.iter().flatten().find(|container| !is_over(container));
    let containers = || status.container_statuses.iter().flatten();
    let stuck = first
        .filter(|container| !container.ready)
        .or_else(|| containers().find(|container| !container.ready));
    if let Some(container) = stuck {
        return of_container(context, pod, container);
    }
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    if let Some(node) = node.and_then(|node| context.node(node)).filter(|node| !is_node_ready(node)) {
        let node = name(&node.metadata);
        let next = format!("kubectl describe node {node}");
        return Reason { sentence: format!("{called} is on node {node}, which is not Ready"), next };
    }
    if let Some(gate) = closed_gate(pod) {
        return described(pod, format!("{called} waits for its readiness gate {gate}"));
    }
    match last_warning(context, pod, |_| true) {
        Some(event) => described(pod, format!("{called} has not started: {}", said(event))),
        None => described(pod, format!("{called} has not reported that it is ready")),
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// The status and message of one of a pod's conditions.
fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let condition = conditions.into_iter().find(|condition| condition.type_ == kind)?;
    Some((&condition.status, condition.message.as_deref().unwrap_or_default()))
}

fn ended(pod: &Pod) -> Reason {
    let called = name(&pod.metadata);
    let status = pod.status.clone().unwrap_or_default();
    let message = status.message.map_or_else(String::new, |message| format!(": {message}"));
    match (phase(pod), status.reason) {
        ("Succeeded", _) => {
            described(pod, format!("{called} ran to its end (Completed), and ended pods get no requests"))
        }
        (_, Some(reason)) => described(pod, format!("{called} failed ({reason}){message}")),
        (_, None) => described(pod, format!("{called} failed{message}")),
    }
}

fn unscheduled(pod: &Pod) -> Option<Reason> {
    let called = name(&pod.metadata);
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
        return None;
    }
    Some(match condition(pod, "PodScheduled") {
        Some(("False", message)) if !message.is_empty() => {
            described(pod, format!("{called} is Pending: {message}"))
        }
        _ => described(pod, format!("{called} is Pending: no scheduler has given it a node")),
    })
}

/// Whether an init container has done its part: ended well, or, as a sidecar, started.
fn is_over(container: &ContainerStatus) -> bool {
    let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.is_some_and(|ended| ended.exit_code == 0) || container.started == Some(true)
}

fn of_container(context: &Context<'_>, pod: &Pod, container: &ContainerStatus) -> Reason {
    let state = container.state.clone().unwrap_or_default();
    let which = format!("container {} of {}", container.name, name(&pod.metadata));
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        let message = waiting.message.as_deref().unwrap_or_default();
        return waits(context, pod, container, &which, reason, message);
    }
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.as_deref().unwrap_or("Error");
        let sentence = format!("{which} ended with exit code {} ({reason})", ended.exit_code);
        return Reason { sentence, next: logs(pod, container, false) };
    }
    not_ready(context, pod, container, &which)
}

fn waits(
    context: &Context<'_>,
    pod: &Pod,
    container: &ContainerStatus,
    which: &str,
    reason: &str,
    message: &str,
) -> Reason {
    match reason {
        "CrashLoopBackOff" => {
            let last = container.last_state.as_ref().map_or_else(String::new, last_end);
            let restarts = count(usize::try_from(container.restart_count).unwrap_or_default(), "restart");
            let sentence = format!("{which} keeps ending (CrashLoopBackOff, {restarts}){last}");
            Reason { sentence, next: logs(pod, container, true) }
        }
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            let why = last_warning(context, pod, |event| said(event).contains("pull")).map(said);
            let why =
                why.filter(|_| message.is_empty() || message.starts_with("Back-off")).unwrap_or(message);
            described(
                pod,
                format!("{which} has no image: {} cannot be had ({reason}): {why}", container.image),
            )
        }
        "ContainerCreating" | "PodInitializing" => match last_warning(context, pod, |_| true) {
            Some(event) => described(pod, format!("{which} is not started yet: {}", said(event))),
            None => described(pod, format!("{which} is being started ({reason})")),
        },
        _ if message.is_empty() => described(pod, format!("{which} waits ({reason})")),
        _ => described(pod, format!("{which} waits ({reason}): {message}")),
    }
}

fn last_end(state: &ContainerState) -> String {
    let Some(ended) = &state.terminated else { return String::new() };
    let reason = ended.reason.as_deref().unwrap_or("Error");
    format!(": last with exit code {} ({reason})", ended.exit_code)
}

/// A container that runs: its startup or readiness probe has the word.
fn not_ready(context: &Context<'_>, pod: &Pod, container: &ContainerStatus, which: &str) -> Reason {
    let spec = pod.spec.iter().flat_map(|spec| &spec.containers).find(|spec| spec.name == container.name);
    let is_starting =
        container.started == Some(false) && spec.is_some_and(|spec| spec.startup_probe.is_some());
    let (kind, probe) = if is_starting { ("Startup", "startup") } else { ("Readiness", "readiness") };
    let failure = format!("{kind} probe");
    let failed = last_warning(context, pod, |event| said(event).starts_with(&failure));
    if let Some(event) = failed {
        return described(pod, format!("{which} runs and is not ready: {}", said(event)));
    }
    let asks = spec.and_then(|spec| probe_of(spec, is_starting));
    match asks {
        Some(asks) => {
            described(pod, format!("{which} runs, and its {probe} probe ({asks}) has not succeeded yet"))
        }
        None => described(pod, format!("{which} runs and has not been reported ready yet")),
    }
}

/// What a probe asks, as short as it can be said.
fn probe_of(container: &Container, startup: bool) -> Option<String> {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    let probe = if startup { &container.startup_probe } else { &container.readiness_probe };
    let probe = probe.as_ref()?;
    if let Some(http) = &probe.http_get {
        return Some(format!("httpGet :{}{}", port(&http.port), http.path.as_deref().unwrap_or("/")));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return Some(format!("tcpSocket :{}", port(&tcp.port)));
    }
    if let Some(grpc) = &probe.grpc {
        return Some(format!("grpc :{}", grpc.port));
    }
    let command = probe.exec.as_ref()?.command.clone().unwrap_or_default();
    Some(format!("exec {}", command.join(" ")))
}

/// The first readiness gate that is not open.
fn closed_gate(pod: &Pod) -> Option<&str> {
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let mut gates = gates.map(|gate| gate.condition_type.as_str());
    gates.find(|gate| condition(pod, gate).is_none_or(|(status, _)| status != "True"))
}

/// The latest warning about a pod that `counts`.
fn last_warning<'a>(context: &Context<'a>, pod: &Pod, counts: impl Fn(&Event) -> bool) -> Option<&'a Event> {
    let is_about = |event: &&Event| {
        let object = &event.involved_object;
        object.kind.as_deref() == Some("Pod")
            && object.name.as_deref() == pod.metadata.name.as_deref()
            && object.namespace.as_deref() == pod.metadata.namespace.as_deref()
            && (object.uid.is_none() || pod.metadata.uid.is_none() || object.uid == pod.metadata.uid)
            && event.type_.as_deref() == Some("Warning")
    };
    let when = |event: &&Event| {
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
        let once = event.event_time.as_ref();
        series.or(once).map(|time| time.0).max(event.last_timestamp.as_ref().map(|time| time.0))
    };
    context.world.events.iter().filter(is_about).filter(|event| counts(event)).max_by_key(when)
}

fn said(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default().trim_end()
}

fn described(pod: &Pod, sentence: String) -> Reason {
    let (called, place) = (name(&pod.metadata), in_namespace(namespace(&pod.metadata)));
    Reason { sentence, next: format!("kubectl describe pod {called}{place}") }
}

fn logs(pod: &Pod, container: &ContainerStatus, previous: bool) -> String {
    let (called, place) = (name(&pod.metadata), in_namespace(namespace(&pod.metadata)));
    let alone = pod.status.as_ref().is_some_and(is_alone);
    let which = if alone { String::new() } else { format!(" -c {}", container.name) };
    format!("kubectl logs {called}{place}{which}{}", if previous { " --previous" } else { "" })
}

/// Whether a pod has one container and no init containers.
fn is_alone(status: &PodStatus) -> bool {
    let count = |list: &Option<Vec<ContainerStatus>>| list.as_ref().map_or(0, Vec::len);
    count(&status.container_statuses) + count(&status.init_container_statuses) == 1
}
