//! Owner references: who controls an object, and how a controller takes one on or lets it go (H1.1).
//!
//! Invariant: an object that another controller holds is never touched.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;

use crate::kinds::Kept;
use crate::plan::Action;

/// The reference that makes `owner` the controller.
pub fn controller_reference<K: Kept>(owner: &K) -> OwnerReference {
    let meta = owner.metadata();
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The reference to the object's controller, if it has one.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object with this metadata is controlled by the one with this uid.
pub fn is_controlled_by(meta: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller_of(meta).map(|owner| owner.uid.as_str()) == uid
}

/// What a controller should do about an object it might own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Keep,
    Adopt,
    Release,
    Leave,
}

/// Upstream's rule of claiming, for an owner that may be on its way out.
pub fn claim(owner: &ObjectMeta, object: &ObjectMeta, selected: bool) -> Claim {
    let leaving = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(reference) if Some(&reference.uid) != owner.uid.as_ref() => Claim::Leave,
        Some(_) if selected => Claim::Keep,
        Some(_) if leaving => Claim::Leave,
        Some(_) => Claim::Release,
        None if leaving || !selected || object.deletion_timestamp.is_some() => Claim::Leave,
        None => Claim::Adopt,
    }
}

/// The action that gives `object` to `owner`.
pub fn adopt<O: Kept, K: Kept + Clone + Serialize>(owner: &O, object: &K) -> Option<Action> {
    let mut adopted = object.clone();
    adopted.metadata_mut().owner_references.get_or_insert_default().push(controller_reference(owner));
    Action::patch(object, &adopted)
}

/// The action that takes `object` from the owner with this uid.
pub fn release<K: Kept + Clone + Serialize>(owner_uid: Option<&str>, object: &K) -> Option<Action> {
    let mut released = object.clone();
    let references = &mut released.metadata_mut().owner_references;
    let owners = references.get_or_insert_default();
    owners.retain(|owner| Some(owner.uid.as_str()) != owner_uid);
    if owners.is_empty() {
        *references = None;
    }
    Action::patch(object, &released)
}
