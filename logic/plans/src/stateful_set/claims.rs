//! The claims of a StatefulSet's pods: made from its templates, kept or let go by its retention policy (H4.10).
//!
//! Binding and provisioning are others' work: here claims are only made and marked. Invariant: a claim is never deleted
//! here; one that is to go is given an owner whose end takes it along.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{Spec as _, identity};
use crate::key::Key;
use crate::owners::controller_reference;
use crate::plan::{Action, Ending, Reason, Step};
use crate::view::View;

pub(super) fn templates(set: &StatefulSet) -> impl Iterator<Item = &PersistentVolumeClaim> {
    set.spec.volume_claim_templates.iter().flatten()
}

/// `<template>-<set>-<ordinal>`.
pub(super) fn name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    let template = template.metadata.name.as_deref().unwrap_or_default();
    format!("{template}-{}", identity::pod_name(set, ordinal))
}

fn key(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> Key {
    Key::new(set.metadata.namespace.as_deref().unwrap_or_default(), name(set, template, ordinal))
}

/// The claims of an ordinal that are there.
fn present<'a>(view: &'a View, set: &StatefulSet, ordinal: i32) -> Vec<&'a Arc<PersistentVolumeClaim>> {
    let claims = templates(set);
    claims.filter_map(|template| view.persistent_volume_claims.get(&key(set, template, ordinal))).collect()
}

/// Makes the claims of an ordinal that are not there.
pub(super) fn missing(view: &View, set: &StatefulSet, ordinal: i32) -> Vec<Step> {
    let absent = templates(set)
        .filter(|template| view.persistent_volume_claims.get(&key(set, template, ordinal)).is_none());
    absent.map(|template| make(set, template, ordinal)).collect()
}

fn make(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> Step {
    let name = name(set, template, ordinal);
    let mut labels = template.metadata.labels.clone().unwrap_or_default();
    labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
    let claim = PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: set.metadata.namespace.clone(),
            labels: (!labels.is_empty()).then_some(labels),
            annotations: template.metadata.annotations.clone(),
            owner_references: policy(set).deleted.then(|| vec![controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    };
    let (pod, owner) = (identity::pod_name(set, ordinal), set.metadata.name.as_deref().unwrap_or_default());
    let done = format!("create Claim {name} Pod {pod} in StatefulSet {owner} success");
    let failed = format!("create Claim {name} for Pod {pod} in StatefulSet {owner} failed error: ");
    Step::from(Action::create(&claim))
        .done(Reason::normal(set, "SuccessfulCreate", done))
        .failed(Reason::warning(set, "FailedCreate", failed).ending(Ending::Refusal))
}

/// Whether a claim of the ordinal still belongs to an earlier pod of the name, and so is about to go with it.
pub(super) fn are_stale(view: &View, set: &StatefulSet, ordinal: i32) -> bool {
    let pod = identity::pod_name(set, ordinal);
    let of_pod = |owner: &OwnerReference| owner.kind == "Pod" && owner.name == pod;
    let owners = |claim: &PersistentVolumeClaim| claim.metadata.owner_references.clone().unwrap_or_default();
    present(view, set, ordinal).into_iter().any(|claim| owners(claim).iter().any(of_pod))
}

/// Gives the claims of a pod the owners that the policy asks for.
pub(super) fn retain(view: &View, set: &StatefulSet, pod: &Pod, ordinal: i32) -> Vec<Step> {
    let actions = present(view, set, ordinal).into_iter().filter_map(|claim| {
        let mut after = claim.as_ref().clone();
        let mut owners = after.metadata.owner_references.take().unwrap_or_default();
        let ours = [set.metadata.uid.as_deref(), pod.metadata.uid.as_deref()];
        let wanted = wanted_owner(set, pod, ordinal);
        let settled = |owner: &OwnerReference| wanted.as_ref().is_some_and(|wanted| wanted.uid == owner.uid);
        owners.retain(|owner| settled(owner) || !ours.contains(&Some(owner.uid.as_str())));
        let missing = wanted.clone().filter(|wanted| !owners.iter().any(|owner| owner.uid == wanted.uid));
        owners.extend(missing);
        after.metadata.owner_references = (!owners.is_empty()).then_some(owners);
        Action::patch(claim.as_ref(), &after)
    });
    actions.map(Step::from).collect()
}

/// Whose end shall take the claims along: the pod's if it is one too many, the set's, or nobody's.
fn wanted_owner(set: &StatefulSet, pod: &Pod, ordinal: i32) -> Option<OwnerReference> {
    let policy = policy(set);
    let within = (set.first_ordinal()..set.first_ordinal().saturating_add(set.wanted())).contains(&ordinal);
    match within {
        false if policy.scaled => Some(controller_reference(pod)),
        _ => policy.deleted.then(|| controller_reference(set)),
    }
}

/// When claims go: with the set, with a pod that is one too many.
struct Policy {
    deleted: bool,
    scaled: bool,
}

fn policy(set: &StatefulSet) -> Policy {
    let policy = set.spec.persistent_volume_claim_retention_policy.clone().unwrap_or_default();
    let deletes = |word: Option<String>| word.as_deref() == Some("Delete");
    Policy { deleted: deletes(policy.when_deleted), scaled: deletes(policy.when_scaled) }
}

/// The sets of which a claim of this name can be.
pub(super) fn sets_of(view: &View, claim: &Key) -> Vec<Key> {
    let sets = view.stateful_sets.within(&claim.namespace).filter(|(key, set)| {
        templates(set).any(|template| {
            let prefix = template.metadata.name.as_deref().unwrap_or_default();
            let rest = claim.name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
            rest.and_then(|rest| rest.strip_prefix(key.name.as_str()))
                .is_some_and(|rest| rest.starts_with('-'))
        })
    });
    sets.map(|(key, _)| key.clone()).collect()
}
