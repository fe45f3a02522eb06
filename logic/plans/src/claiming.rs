//! What belongs to an owner: objects that its selector chooses, taken on and let go (H1.1).
//!
//! Shared by the workload controllers. Invariant: as long as anything is to be taken on or let go, that comes first and
//! nothing else is planned: every count that follows is over objects that are the owner's.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;

use crate::key::Key;
use crate::kinds::Kept;
use crate::owners::{Claim, adopt, claim, controller_of, release};
use crate::plan::Step;
use crate::view::View;
use crate::{pod, select};

/// The objects of a kind that are the owner's, by name; or the steps that settle whose they are. `eligible` says which
/// objects are still worth taking on or letting go.
pub(crate) fn owned<'a, O, K>(
    view: &'a View,
    owner: &O,
    selector: &LabelSelector,
    eligible: impl Fn(&K) -> bool,
) -> Result<Vec<&'a Arc<K>>, Vec<Step>>
where
    O: Kept,
    K: Kept + Clone + Serialize,
{
    let meta = owner.metadata();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let (mut kept, mut steps) = (Vec::new(), Vec::new());
    for (_, object) in K::collection(view).within(namespace) {
        let theirs = object.metadata();
        let selected = !select::is_empty(selector) && select::matches(selector, theirs.labels.as_ref());
        match claim(meta, theirs, selected) {
            Claim::Keep => kept.push(object),
            Claim::Adopt if eligible(object) => steps.extend(adopt(owner, object.as_ref())),
            Claim::Release if eligible(object) => steps.extend(release(meta.uid.as_deref(), object.as_ref())),
            Claim::Adopt | Claim::Release | Claim::Leave => {}
        }
    }
    if steps.is_empty() { Ok(kept) } else { Err(steps.into_iter().map(Step::from).collect()) }
}

/// The owner's pods.
pub(crate) fn pods<'a, O: Kept>(
    view: &'a View,
    owner: &O,
    selector: &LabelSelector,
) -> Result<Vec<&'a Arc<Pod>>, Vec<Step>> {
    owned(view, owner, selector, pod::is_active)
}

/// The owners of kind `O` that an object concerns: its controller, or those whose selector chooses it.
pub(crate) fn owners_of<O: Kept>(
    view: &View,
    object: &ObjectMeta,
    selector: impl Fn(&O) -> Option<&LabelSelector>,
) -> Vec<Key> {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    if let Some(owner) = controller_of(object) {
        let is_ours = owner.kind == O::KIND && owner.api_version == O::API_VERSION;
        return is_ours.then(|| Key::new(namespace, &owner.name)).into_iter().collect();
    }
    let chooses = |owner: &O| {
        selector(owner).is_some_and(|selector| {
            !select::is_empty(selector) && select::matches(selector, object.labels.as_ref())
        })
    };
    let owners = O::collection(view).within(namespace);
    owners.filter(|(_, owner)| chooses(owner)).map(|(key, _)| key.clone()).collect()
}
