//! Who has to go when something is short: first those that use more than they asked for, of these the least important,
//! of these those that use the most beyond it. And what is said of it, in upstream's words.

use super::{Resource, Starved};
use crate::spec;
use k8s_openapi::api::core::v1::{Container, Pod};
use kelson_machinery::quantity::Quantity;
use std::cmp::Reverse;

/// The least priority of those that the cluster cannot do without.
const CRITICAL: i32 = 2_000_000_000;
/// Static pods come from the node itself, and nobody would bring them back.
const SOURCE: &str = "kubernetes.io/config.source";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What one container uses, in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerUsage {
    pub name: String,
    /// Memory that cannot be had back without hurting it.
    pub memory: i64,
    /// What it wrote: to its root file system and its log.
    pub storage: i64,
}

/// What a pod uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub containers: Vec<ContainerUsage>,
    /// Bytes in volumes that are the node's disk and go with the pod.
    pub volumes: i64,
    /// Files and directories it made.
    pub inodes: i64,
    pub processes: i64,
}

/// A pod that may have to go.
#[derive(Clone, Debug)]
pub struct Candidate<P> {
    pub pod: P,
    pub usage: Usage,
}

/// All that the pod uses of the resource.
pub(super) fn total(usage: &Usage, resource: Resource) -> i64 {
    let sum = |pick: fn(&ContainerUsage) -> i64| {
        usage.containers.iter().fold(0i64, |sum, it| sum.saturating_add(pick(it)))
    };
    match resource {
        Resource::Memory => sum(|it| it.memory),
        Resource::Storage => sum(|it| it.storage).saturating_add(usage.volumes),
        Resource::Inodes => usage.inodes,
        Resource::Pids => usage.processes,
    }
}

/// Puts first who has to go first. Nobody asks for process ids, so of these only importance and number count.
pub fn rank<P: AsRef<Pod>>(resource: Resource, candidates: &mut [Candidate<P>]) {
    candidates.sort_by_cached_key(|candidate| {
        let pod = candidate.pod.as_ref();
        let over = total(&candidate.usage, resource).saturating_sub(request(pod, resource));
        let modest = over <= 0 && resource != Resource::Pids;
        (modest, priority(pod), Reverse(over))
    });
}

/// Whether the pod stays, whatever is short.
pub fn is_critical(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let is_static = annotations
        .is_some_and(|all| all.contains_key(MIRROR) || all.get(SOURCE).is_some_and(|source| source != "api"));
    is_static || priority(pod) >= CRITICAL
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// What the pod asks for: its containers together, or its largest init container, and what running it costs.
fn request(pod: &Pod, resource: Resource) -> i64 {
    let of = |container: &Container| asked(container, resource).map_or(0, |it| it.value());
    let main = spec::main_containers(pod).iter().fold(0i64, |sum, it| sum.saturating_add(of(it)));
    let init = spec::init_containers(pod).iter().map(of).max().unwrap_or(0);
    let overhead = pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref()?.get(resource.name()));
    let overhead = overhead.and_then(|it| Quantity::parse(&it.0).ok()).map_or(0, |it| it.value());
    main.max(init).saturating_add(overhead)
}

fn asked(container: &Container, resource: Resource) -> Option<Quantity> {
    let requests = container.resources.as_ref()?.requests.as_ref()?;
    Quantity::parse(&requests.get(resource.name())?.0).ok()
}

/// Why the pod goes: what is short, and which of its containers use more of it than they asked for.
pub fn message(starved: &Starved, pod: &Pod, usage: &Usage) -> String {
    let Starved { signal, threshold, available } = starved;
    let resource = signal.resource();
    let name = resource.name();
    let mut text = format!(
        "The node was low on resource: {name}. Threshold quantity: {threshold}, available: {available}. "
    );
    for used in &usage.containers {
        let amount = match resource {
            Resource::Memory => used.memory,
            Resource::Storage => used.storage,
            Resource::Inodes | Resource::Pids => continue,
        };
        let Some(container) = spec::container(pod, &used.name) else { continue };
        let (amount, request) = (Quantity::bytes(amount), asked(container, resource));
        let request = request.unwrap_or(Quantity::whole(0));
        if amount > request {
            text += &format!(
                "Container {} was using {amount}, request is {request}, has larger consumption of {name}. ",
                used.name
            );
        }
    }
    text
}
