//! What a kind is when it says nothing else: the starting point of every declaration in `kinds/`.
//!
//! Invariant: names come from the typed API, so a declaration cannot misspell its own group or plural.

use crate::kind::Kind;
use crate::{cells, decode, merge, metadata, printed, strategy};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, Resource};
use serde::{Serialize, de::DeserializeOwned};

/// Whether objects of a scope live in namespaces.
pub trait Scoped {
    const NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

/// Verbs of an ordinary kind.
pub const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The kind `T` with a DNS-1123 subdomain for a name and columns Name and Age, no status and no defaults.
pub const fn base<T>(singular: &'static str) -> Kind
where
    T: Resource + DeserializeOwned + Serialize,
    T::Scope: Scoped,
{
    Kind {
        group: T::GROUP,
        version: T::VERSION,
        kind: T::KIND,
        plural: T::URL_PATH_SEGMENT,
        singular,
        short_names: &[],
        categories: &[],
        namespaced: <T::Scope as Scoped>::NAMESPACED,
        verbs: VERBS,
        older: &[],
        subresources: &[],
        columns: &[printed::NAME, printed::AGE],
        cells: cells::name_and_age,
        shown: &[],
        decode: decode::decode::<T>,
        default: |_| {},
        prepare_create: |_| {},
        prepare_update: metadata::carry,
        prepare_status_update: strategy::status_update,
        validate: if <T::Scope as Scoped>::NAMESPACED { metadata::namespaced } else { metadata::cluster },
        validate_update: metadata::validate_update,
        validate_status_update: strategy::validate_status_update,
        warnings: |_, _| Vec::new(),
        selectable: &[],
        select: |_, _| None,
        selected_from: &[],
        generation: false,
        graceful: false,
        create_on_update: false,
        unconditional_update: true,
        merge: merge::of,
        deprecated: None,
    }
}
