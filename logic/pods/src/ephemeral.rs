//! Ephemeral containers: added to a pod while it runs, to look into it (`kubectl debug`).
//!
//! Each is started once, before whatever else the pod waits for, and never again, however it ended; the API takes none
//! back. They count for nothing: neither phase nor conditions nor the end of the pod know them, but they end with it.

use crate::life::Life;
use crate::run::Run;
use crate::spec;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};
use std::borrow::Cow;

/// The pod's ephemeral containers, in the order they were added.
pub(crate) fn all(pod: &Pod) -> &[EphemeralContainer] {
    pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default()
}

pub(crate) fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a EphemeralContainer> {
    all(pod).iter().find(|container| container.name == name)
}

/// As a container like others, of all that an ephemeral one may say: no ports, probes, handlers, bounds or restarts.
pub(crate) fn container(of: &EphemeralContainer) -> Container {
    Container {
        args: of.args.clone(),
        command: of.command.clone(),
        env: of.env.clone(),
        env_from: of.env_from.clone(),
        image: of.image.clone(),
        image_pull_policy: of.image_pull_policy.clone(),
        name: of.name.clone(),
        security_context: of.security_context.clone(),
        stdin: of.stdin,
        stdin_once: of.stdin_once,
        termination_message_path: of.termination_message_path.clone(),
        termination_message_policy: of.termination_message_policy.clone(),
        tty: of.tty,
        volume_devices: of.volume_devices.clone(),
        volume_mounts: of.volume_mounts.clone(),
        working_dir: of.working_dir.clone(),
        ..Container::default()
    }
}

/// Those that have never run.
pub(crate) fn due(life: &Life, pod: &Pod) -> impl Iterator<Item = String> {
    let idle =
        |it: &&EphemeralContainer| life.remembered(&it.name).is_none_or(|memory| memory.runs.is_empty());
    all(pod).iter().filter(idle).map(|it| it.name.clone())
}

/// The run whose processes the container `name` wants to be among, if it names another container. The error is the
/// message of `CreateContainerConfigError`. A target that has ended is found too: the runtime refuses it.
pub fn target<'a>(pod: &Pod, name: &str, runs: &'a [Run]) -> Result<Option<&'a Run>, String> {
    let wanted = find(pod, name).and_then(|it| it.target_container_name.as_deref());
    let Some(wanted) = wanted.filter(|it| !it.is_empty()) else { return Ok(None) };
    let latest = runs.iter().filter(|run| run.container == wanted).max_by_key(|run| run.attempt);
    latest.map(Some).ok_or_else(|| format!("unable to find target container {wanted}"))
}

/// All containers of the pod, ephemeral ones last.
pub(crate) fn with_others(pod: &Pod) -> impl Iterator<Item = Cow<'_, Container>> {
    let others = spec::containers(pod).map(Cow::Borrowed);
    others.chain(all(pod).iter().map(|it| Cow::Owned(container(it))))
}
