//! How many pods there should be, and how many of them healthy: by the pods themselves, or by who controls them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::deployment::scaled;
use crate::key::Key;
use crate::owners::controller_of;
use crate::view::View;

/// The figures a budget is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Pods there should be.
    pub pods: i32,
    /// Pods that must be healthy.
    pub healthy: i32,
    /// Whether a pod has no controller, so that it is in no sum.
    pub unmanaged: bool,
}

/// The figures; an error says, in upstream's words, why they cannot be had.
pub(super) fn of(view: &View, budget: &PodDisruptionBudget, pods: &[&Pod]) -> Result<Expected, String> {
    let spec = budget.spec.clone().unwrap_or_default();
    match (spec.max_unavailable, spec.min_available) {
        (Some(max), _) => {
            let (pods, unmanaged) = wanted(view, pods)?;
            let healthy = (pods - scaled(&max, pods, true)).max(0);
            Ok(Expected { pods, healthy, unmanaged })
        }
        (None, Some(IntOrString::Int(healthy))) => {
            let pods = i32::try_from(pods.len()).unwrap_or(i32::MAX);
            Ok(Expected { pods, healthy, unmanaged: false })
        }
        (None, Some(percent)) => {
            let (pods, unmanaged) = wanted(view, pods)?;
            Ok(Expected { pods, healthy: scaled(&percent, pods, true), unmanaged })
        }
        (None, None) => Ok(Expected::default()),
    }
}

/// The replicas of all controllers of the pods, each counted once; and whether a pod has none.
fn wanted(view: &View, pods: &[&Pod]) -> Result<(i32, bool), String> {
    let mut scales: BTreeMap<&str, i32> = BTreeMap::new();
    let mut unmanaged = false;
    for pod in pods {
        let Some(owner) = controller_of(&pod.metadata) else {
            unmanaged = true;
            continue;
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let missing = || {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            format!("found no controllers for pod \"{name}\"")
        };
        let (uid, replicas) = scale(view, namespace, owner)?.ok_or_else(missing)?;
        scales.insert(uid, replicas);
    }
    Ok((scales.values().fold(0, |sum: i32, replicas| sum.saturating_add(*replicas)), unmanaged))
}

/// Uid and replicas of what controls a pod in the end.
fn scale<'a>(
    view: &'a View,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<(&'a str, i32)>, String> {
    let key = Key::new(namespace, &owner.name);
    match (owner.api_version.split('/').next(), owner.kind.as_str()) {
        (Some("apps"), "ReplicaSet") => {
            let set = view.replica_sets.get(&key).filter(|set| is(&set.metadata, owner));
            Ok(set.and_then(|set| of_set(view, namespace, set)))
        }
        (Some("apps"), "StatefulSet") => {
            let set = view.stateful_sets.get(&key).filter(|set| is(&set.metadata, owner));
            Ok(set.map(|set| of_stateful(set)))
        }
        _ => Err(format!("{} does not implement the scale subresource", resource(view, owner))),
    }
}

fn is(meta: &ObjectMeta, owner: &OwnerReference) -> bool {
    meta.uid.as_deref() == Some(owner.uid.as_str())
}

/// A ReplicaSet's, or those of the Deployment it belongs to.
fn of_set<'a>(view: &'a View, namespace: &str, set: &'a ReplicaSet) -> Option<(&'a str, i32)> {
    let deployment = match controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment") {
        None => return Some((uid(&set.metadata), set.spec.replicas.unwrap_or(1))),
        Some(owner) => {
            let found = view.deployments.get(&Key::new(namespace, &owner.name))?;
            Some(found.as_ref()).filter(|found| is(&found.metadata, owner))
        }
    };
    deployment.map(|it: &Deployment| (uid(&it.metadata), it.spec.replicas.unwrap_or(1)))
}

fn of_stateful(set: &StatefulSet) -> (&str, i32) {
    (uid(&set.metadata), set.spec.replicas.unwrap_or(1))
}

fn uid(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

/// `jobs.batch`, as messages name a resource.
fn resource(view: &View, owner: &OwnerReference) -> String {
    match view.resource_of(&owner.api_version, &owner.kind) {
        Some(it) if it.group.is_empty() => it.plural.to_string(),
        Some(it) => format!("{}.{}", it.plural, it.group),
        None => owner.kind.clone(),
    }
}
