//! Reading a pod's specification: containers by name and role, defaults, quality of service.
//!
//! Small pure lookups; a field that the API server would have defaulted is defaulted here too, so nothing can panic.

use crate::ephemeral;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What part a container plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next.
    Init,
    /// An init container with `restartPolicy: Always`: starts in its turn and stays.
    Sidecar,
    Main,
    /// Added to the pod while it runs, to look into it.
    Ephemeral,
}

/// The pod's containers: init containers first, in the order they start.
pub fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    init.iter().chain(main)
}

/// The init containers, sidecars among them.
pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
}

/// The main containers.
pub(crate) fn main_containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

/// A container of the pod's own work by name.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    containers(pod).find(|container| container.name == name)
}

/// Any container by name, an ephemeral one too.
pub fn any_container<'a>(pod: &'a Pod, name: &str) -> Option<Cow<'a, Container>> {
    let ephemeral = || ephemeral::find(pod, name).map(|it| Cow::Owned(ephemeral::container(it)));
    container(pod, name).map(Cow::Borrowed).or_else(ephemeral)
}

/// The names of all containers, ephemeral ones last.
pub(crate) fn names(pod: &Pod) -> impl Iterator<Item = &String> {
    containers(pod).map(|it| &it.name).chain(ephemeral::all(pod).iter().map(|it| &it.name))
}

/// The images of all containers as they are spelled.
pub fn images(pod: &Pod) -> impl Iterator<Item = &String> {
    let own = containers(pod).filter_map(|it| it.image.as_ref());
    own.chain(ephemeral::all(pod).iter().filter_map(|it| it.image.as_ref()))
}

/// The part `name` plays in the pod.
pub fn role(pod: &Pod, name: &str) -> Role {
    match init_containers(pod).iter().find(|container| container.name == name) {
        Some(container) => init_role(container),
        None if ephemeral::find(pod, name).is_some() => Role::Ephemeral,
        None => Role::Main,
    }
}

/// The part an init container plays.
pub(crate) fn init_role(container: &Container) -> Role {
    match container.restart_policy.as_deref() {
        Some("Always") => Role::Sidecar,
        _ => Role::Init,
    }
}

/// Where an event about the container points, `spec.containers{web}`.
pub(crate) fn field_path(pod: &Pod, name: &str) -> String {
    match role(pod, name) {
        Role::Main => format!("spec.containers{{{name}}}"),
        Role::Init | Role::Sidecar => format!("spec.initContainers{{{name}}}"),
        Role::Ephemeral => format!("spec.ephemeralContainers{{{name}}}"),
    }
}

/// `name_namespace(uid)`, as upstream's messages name a pod.
pub(crate) fn full_name(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let part = |value: &Option<String>| value.clone().unwrap_or_default();
    format!("{}_{}({})", part(&meta.name), part(&meta.namespace), part(&meta.uid))
}

pub(crate) fn host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false)
}

/// Seconds the pod has to end: what the deletion asked for, else what the pod says, else 30.
pub(crate) fn grace(pod: &Pod) -> i64 {
    let asked = pod.metadata.deletion_grace_period_seconds;
    asked.or(pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds)).unwrap_or(30).max(0)
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by requests and limits of cpu and memory.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let all: Vec<_> = spec.init_containers.iter().flatten().chain(&spec.containers).collect();
    let resources: Vec<_> =
        all.iter().map(|container| container.resources.clone().unwrap_or_default()).collect();
    let any = resources.iter().any(|it| counted(&it.requests) + counted(&it.limits) > 0);
    match (any, resources.iter().all(guaranteed)) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

type Amounts = Option<BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>;

fn counted(amounts: &Amounts) -> usize {
    let names = amounts.iter().flatten().filter(|(name, amount)| {
        matches!(name.as_str(), "cpu" | "memory") && !amount.0.trim_matches(['0', '.']).is_empty()
    });
    names.count()
}

/// Limits for both, and requests that are the same or absent.
fn guaranteed(it: &ResourceRequirements) -> bool {
    counted(&it.limits) == 2
        && ["cpu", "memory"].iter().all(|name| {
            let limit = it.limits.as_ref().and_then(|limits| limits.get(*name));
            let request = it.requests.as_ref().and_then(|requests| requests.get(*name));
            request.is_none() || request == limit
        })
}
