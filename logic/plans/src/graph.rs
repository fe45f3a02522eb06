//! Who owns whom: every object by its uid, its owners, and the other way round.
//!
//! Kept by `View`, read by `garbage` and `namespace`. Invariant: `dependents` holds exactly the references
//! that the vertices name, also to owners that are not there.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::key::{Key, Resource};

/// One object, as far as ownership and deletion are concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    pub resource: Resource,
    pub key: Key,
    pub uid: String,
    pub resource_version: String,
    pub owners: Vec<OwnerReference>,
    pub finalizers: Vec<String>,
    pub deleting: bool,
}

/// All objects, linked.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    vertices: BTreeMap<String, Vertex>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    namespaces: BTreeMap<String, BTreeSet<String>>,
    places: BTreeMap<(Resource, Key), String>,
}

impl Graph {
    pub fn get(&self, uid: &str) -> Option<&Vertex> {
        self.vertices.get(uid)
    }

    /// The objects that name this uid as an owner, in the order of their uids.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Vertex> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.vertices.get(uid))
    }

    /// The objects in a namespace, in the order of their uids.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = &Vertex> {
        self.namespaces.get(namespace).into_iter().flatten().filter_map(|uid| self.vertices.get(uid))
    }

    /// The uid of the object of a resource at a key.
    pub fn uid_at(&self, resource: &Resource, key: &Key) -> Option<&str> {
        self.places.get(&(resource.clone(), key.clone())).map(String::as_str)
    }

    pub(crate) fn insert(&mut self, resource: &Resource, key: &Key, meta: &ObjectMeta) {
        let Some(uid) = meta.uid.clone() else { return };
        let owners = meta.owner_references.clone().unwrap_or_default();
        for owner in &owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        if resource.namespaced {
            self.namespaces.entry(key.namespace.clone()).or_default().insert(uid.clone());
        }
        self.places.insert((resource.clone(), key.clone()), uid.clone());
        let vertex = Vertex {
            resource: resource.clone(),
            key: key.clone(),
            uid: uid.clone(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            owners,
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
        };
        self.vertices.insert(uid, vertex);
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(vertex) = self.vertices.remove(uid) else { return };
        for owner in &vertex.owners {
            remove_from(&mut self.dependents, &owner.uid, uid);
        }
        remove_from(&mut self.namespaces, &vertex.key.namespace, uid);
        self.places.remove(&(vertex.resource, vertex.key));
    }
}

fn remove_from(index: &mut BTreeMap<String, BTreeSet<String>>, word: &str, uid: &str) {
    if let Some(uids) = index.get_mut(word) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(word);
        }
    }
}
