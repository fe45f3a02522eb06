//! Whether a container that ended runs again, and whether the whole pod is over.
//!
//! Pure lookups over the restart policy of pod and container.

use crate::life::{Life, Memory};
use crate::spec::{self, Role};
use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, Pod};

/// Whether an end with `exit_code` is followed by another run, by the container's rules and policy, then the pod's.
pub(crate) fn restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    if container.restart_policy_rules.iter().flatten().any(|rule| matches(rule, exit_code)) {
        return true;
    }
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    match container.restart_policy.as_deref().or(of_pod) {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

fn matches(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart") else { return false };
    let listed = codes.values.iter().flatten().any(|value| *value == exit_code);
    match codes.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}

/// Nothing of the pod will run again: an init container failed for good, or every main container has ended for good.
pub(crate) fn over(life: &Life, pod: &Pod) -> bool {
    let failed_init = spec::init_containers(pod).iter().any(|container| {
        spec::init_role(container) == Role::Init
            && exit_code(life, container).is_some_and(|code| code != 0 && !restarts(pod, container, code))
    });
    let main = spec::main_containers(pod);
    let ended = main.iter().all(|it| exit_code(life, it).is_some_and(|code| !restarts(pod, it, code)));
    failed_init || (ended && !main.is_empty())
}

/// How the container's latest run ended, if it has and no other is being started.
fn exit_code(life: &Life, container: &Container) -> Option<i32> {
    let memory = life.remembered(&container.name).filter(|memory| memory.starting.is_none())?;
    Some(memory.last()?.exit()?.exit_code)
}

/// Whether any main container has been made in the sandbox of today, so that init containers are done with.
pub(crate) fn initialized(life: &Life, pod: &Pod) -> bool {
    spec::main_containers(pod)
        .iter()
        .any(|it| life.remembered(&it.name).is_some_and(|memory| current(memory).is_some()))
}

/// The latest run, if it belongs to the sandbox of today.
pub(crate) fn current(memory: &Memory) -> Option<&crate::run::Run> {
    memory.last().filter(|run| run.attempt >= memory.sandbox_from)
}
