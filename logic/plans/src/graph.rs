//! Who owns whom: every object by its uid, its owners, and the other way round.
//!
//! Kept by `View`, read by `garbage` and `namespace`. Invariant: `dependents` holds exactly the references
//! that the vertices name, also to owners that are not there.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::key::{Key, Resource};

/// One object, as far as ownership and deletion are concerned. There is one for every object of the cluster: what many
/// of them say alike is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    pub resource: Arc<Resource>,
    pub key: Arc<Key>,
    pub uid: Arc<str>,
    pub resource_version: Box<str>,
    pub owners: Box<[OwnerReference]>,
    pub finalizers: Box<[String]>,
    pub deleting: bool,
}

/// All objects, linked.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    vertices: BTreeMap<Arc<str>, Vertex>,
    dependents: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    namespaces: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// The uids of objects known by metadata alone; the others' are in the objects.
    places: BTreeMap<(Arc<Resource>, Arc<Key>), Arc<str>>,
    /// Each resource once.
    resources: BTreeSet<Arc<Resource>>,
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

    /// Takes in an object that is known by its metadata alone, or that it is gone; the uids that were and are there.
    pub(crate) fn note(&mut self, resource: &Resource, key: &Key, meta: Option<&ObjectMeta>) -> Vec<String> {
        let place = (self.shared(resource), Arc::new(key.clone()));
        let old = self.places.remove(&place);
        if let Some(uid) = &old {
            self.remove(uid);
        }
        let new = meta.and_then(|meta| self.insert(resource, &place.1, meta));
        if let Some(uid) = &new {
            self.places.insert(place, uid.clone());
        }
        let mut uids: Vec<String> = old.iter().chain(&new).map(|uid| uid.to_string()).collect();
        uids.dedup();
        uids
    }

    /// Takes in an object; its uid, if it has one.
    pub(crate) fn insert(
        &mut self,
        resource: &Resource,
        key: &Arc<Key>,
        meta: &ObjectMeta,
    ) -> Option<Arc<str>> {
        let uid: Arc<str> = meta.uid.as_deref()?.into();
        let owners = meta.owner_references.as_deref().unwrap_or_default();
        for owner in owners {
            self.dependents.entry(owner.uid.as_str().into()).or_default().insert(uid.clone());
        }
        if resource.namespaced {
            match self.namespaces.get_mut(&key.namespace) {
                Some(uids) => uids.insert(uid.clone()),
                None => self.namespaces.entry(key.namespace.clone()).or_default().insert(uid.clone()),
            };
        }
        let vertex = Vertex {
            resource: self.shared(resource),
            key: key.clone(),
            uid: uid.clone(),
            resource_version: meta.resource_version.as_deref().unwrap_or_default().into(),
            owners: owners.into(),
            finalizers: meta.finalizers.as_deref().unwrap_or_default().into(),
            deleting: meta.deletion_timestamp.is_some(),
        };
        self.vertices.insert(uid.clone(), vertex);
        Some(uid)
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(vertex) = self.vertices.remove(uid) else { return };
        for owner in &vertex.owners {
            remove_from(&mut self.dependents, owner.uid.as_str(), uid);
        }
        remove_from(&mut self.namespaces, vertex.key.namespace.as_str(), uid);
    }

    fn shared(&mut self, resource: &Resource) -> Arc<Resource> {
        if let Some(known) = self.resources.get(resource) {
            return known.clone();
        }
        let resource = Arc::new(resource.clone());
        self.resources.insert(resource.clone());
        resource
    }
}

fn remove_from<W: Ord + Borrow<str>>(index: &mut BTreeMap<W, BTreeSet<Arc<str>>>, word: &str, uid: &str) {
    if let Some(uids) = index.get_mut(word) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(word);
        }
    }
}
