//! Namespace: a terminating namespace is emptied and then let go.
//!
//! View → deletions of all collections in it, conditions that say what is left, and finalization. Invariant:
//! the API is asked once more whether each collection is empty before the namespace is finalized; the view
//! alone does not decide it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::graph::Vertex;
use crate::key::{Key, Resource};
use crate::plan::{Action, Plan, Step};
use crate::view::{Changed, View};

const FINALIZER: &str = "kubernetes";
/// What cannot be seen (kinds not reflected) is looked for again after this long.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// The next step for one namespace.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(namespace) = view.namespaces.get(key) else { return Plan::default() };
    let held =
        namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten()).any(|name| name == FINALIZER);
    if namespace.metadata.deletion_timestamp.is_none() || !held {
        return Plan::default();
    }
    let left: Vec<&Vertex> = view.graph.within(&key.name).collect();
    let mut plan = Plan::of(status(namespace, &left, now).into_iter().map(Step::from).collect());
    let doomed = left.iter().any(|vertex| !vertex.deleting);
    if doomed || !is_announced(namespace) {
        plan.stage(empty(view, key, &left));
    }
    if left.is_empty() && is_announced(namespace) {
        plan.stages = vec![empty(view, key, &left), vec![finalize(view, namespace)]];
        plan.stages.retain(|stage| !stage.is_empty());
    }
    plan.requeue(AGAIN);
    plan
}

/// Whether the conditions were written already: the first look at a terminating namespace.
fn is_announced(namespace: &Namespace) -> bool {
    namespace
        .status
        .as_ref()
        .is_some_and(|status| status.conditions.as_ref().is_some_and(|all| !all.is_empty()))
}

/// The collections to delete: those with objects not yet going, and those that nobody reflects.
fn empty(view: &View, key: &Key, left: &[&Vertex]) -> Vec<Step> {
    let namespaced = view.resources.iter().filter(|resource| resource.namespaced);
    let wanted = namespaced.filter(|resource| {
        let mut known = left.iter().filter(|vertex| vertex.resource.same_collection(resource)).peekable();
        known.peek().is_none() || known.any(|vertex| !vertex.deleting)
    });
    let delete = |resource: &Resource| Action::DeleteCollection {
        resource: resource.clone(),
        namespace: key.name.clone(),
    };
    wanted.map(|resource| Step::from(delete(resource))).collect()
}

fn finalize(view: &View, namespace: &Namespace) -> Step {
    let mut after = namespace.clone();
    let finalizers = &mut after.spec.get_or_insert_default().finalizers;
    finalizers.get_or_insert_default().retain(|name| name != FINALIZER);
    let object = serde_json::to_value(&after).expect("API types have string keys only");
    Step::from(Action::Finalize {
        namespace: namespace.metadata.name.clone().unwrap_or_default(),
        object,
        empty: view.resources.iter().filter(|resource| resource.namespaced).cloned().collect(),
    })
}

/// The five conditions upstream keeps on a terminating namespace.
fn status(namespace: &Namespace, left: &[&Vertex], now: Timestamp) -> Option<Action> {
    let mut after = namespace.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some("Terminating".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    for (kind, reason, message) in [
        ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
    ] {
        set(conditions, kind, "False", reason, message.to_owned(), now);
    }
    match remaining(left) {
        None => set(
            conditions,
            "NamespaceContentRemaining",
            "False",
            "ContentRemoved",
            "All content successfully removed".to_owned(),
            now,
        ),
        Some(message) => {
            set(conditions, "NamespaceContentRemaining", "True", "SomeResourcesRemain", message, now)
        }
    }
    match finalizers(left) {
        None => set(
            conditions,
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
            now,
        ),
        Some(message) => {
            set(conditions, "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message, now)
        }
    }
    Action::patch_status(namespace, &after)
}

fn remaining(left: &[&Vertex]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for vertex in left {
        *counts.entry(format!("{}.{}", vertex.resource.plural, vertex.resource.group)).or_default() += 1;
    }
    let parts: Vec<String> =
        counts.iter().map(|(what, count)| format!("{what} has {count} resource instances")).collect();
    (!parts.is_empty()).then(|| format!("Some resources are remaining: {}", parts.join(", ")))
}

fn finalizers(left: &[&Vertex]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in left.iter().filter(|vertex| vertex.deleting).flat_map(|vertex| &vertex.finalizers) {
        *counts.entry(name).or_default() += 1;
    }
    let parts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    (!parts.is_empty())
        .then(|| format!("Some content in the namespace has finalizers remaining: {}", parts.join(", ")))
}

fn set(
    conditions: &mut Vec<NamespaceCondition>,
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let condition = NamespaceCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(Time(now)),
    };
    match conditions.iter_mut().find(|present| present.type_ == kind) {
        None => conditions.push(condition),
        Some(present) => {
            let since =
                if present.status == status { present.last_transition_time.clone() } else { Some(Time(now)) };
            *present = NamespaceCondition { last_transition_time: since, ..condition };
        }
    }
}

/// The namespaces that a change concerns: itself, and the terminating one that something left.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    if changed.resource.plural == "namespaces" {
        return vec![changed.key.clone()];
    }
    let key = Key::cluster(&changed.key.namespace);
    let terminating =
        view.namespaces.get(&key).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some());
    terminating.then_some(key).into_iter().collect()
}

#[cfg(test)]
mod tests;
