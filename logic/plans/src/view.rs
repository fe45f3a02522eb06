//! All that plans may know: the objects as last heard of, folded change by change.
//!
//! Between the reflectors (`io/cluster`) or a simulation and every plan. Invariant: two views that heard of
//! the same objects are equal in everything a plan reads, in whatever order kinds were heard of. It reads
//! no clock: `now` comes with the change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::controllers::Task;
use crate::daemon_set::failures::Failures;
use crate::graph::Graph;
use crate::key::{Key, Resource};
use crate::kinds::{Any, Kept, Kinds};
use crate::lean::lean;
use crate::load_balancer::Pool;
use crate::programmed::Ledger;

/// Objects of one kind, in the order of their keys, and found by owner.
#[derive(Clone, Debug)]
pub struct Collection<K> {
    objects: BTreeMap<Arc<Key>, Arc<K>>,
    /// Marks and who carries them. One flat set: most marks are carried once.
    marked: BTreeSet<(Arc<str>, Arc<Key>)>,
}

impl<K> Default for Collection<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), marked: BTreeSet::new() }
    }
}

impl<K: Kept> Collection<K> {
    pub fn get(&self, key: &Key) -> Option<&Arc<K>> {
        self.objects.get(key)
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<K>)> {
        self.objects.iter().map(|(key, object)| (&**key, object))
    }

    /// The objects of one namespace, by name.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = (&Key, &Arc<K>)> {
        let first = Key::new(namespace, "");
        let from_first = self.objects.range::<Key, _>(&first..).map(|(key, object)| (&**key, object));
        from_first.take_while(move |(key, _)| key.namespace == namespace)
    }

    /// The objects that carry a mark (an owner's uid, or one of `Kept::marks`), by name.
    pub fn marked(&self, mark: &str) -> impl Iterator<Item = &Arc<K>> {
        let mark: Arc<str> = mark.into();
        let from_first = self.marked.range((mark.clone(), Arc::default())..);
        let carriers = from_first.take_while(move |(carried, _)| *carried == mark);
        carriers.filter_map(|(_, key)| self.objects.get(key))
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The key as it is kept here already, or to be kept.
    fn shared(&self, key: Key) -> Arc<Key> {
        let known = self.objects.get_key_value(&key).map(|(key, _)| key.clone());
        known.unwrap_or_else(|| Arc::new(key))
    }

    fn put(&mut self, key: &Arc<Key>, object: Option<Arc<K>>) -> Option<Arc<K>> {
        let marks = object.as_ref().map(|object| object.marks()).unwrap_or_default();
        let old = match object {
            Some(object) => self.objects.insert(key.clone(), object),
            None => self.objects.remove(key),
        };
        for mark in old.iter().flat_map(|old| old.marks()) {
            self.marked.remove(&(mark.into(), key.clone()));
        }
        self.marked.extend(marks.into_iter().map(|mark| (mark.into(), key.clone())));
        old
    }
}

/// What one change did to the view: the object before and after, `None` where it did not exist. For a kind
/// known by metadata alone both are `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub resource: Resource,
    pub key: Key,
    pub uids: Vec<String>,
    pub old: Option<Any>,
    pub new: Option<Any>,
}

/// How controllers are set; the same for every plan of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The cluster's CA certificate (PEM), published in each namespace as `kube-root-ca.crt`.
    pub root_ca: Option<String>,
    /// Endpoints in one EndpointSlice at most (`--max-endpoints-per-slice`).
    pub max_endpoints_per_slice: usize,
    /// Addresses mirrored from one Endpoints subset at most (`--mirroring-max-endpoints-per-subset`).
    pub max_mirrored_per_subset: usize,
    /// Seconds a node may be silent before it counts as gone (`--node-monitor-grace-period`).
    pub node_grace_seconds: i64,
    /// Where balancer addresses come from (`--load-balancer-cidr`), in order of preference; none, and Services of that
    /// type stay without.
    pub load_balancer_pools: Vec<Pool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root_ca: None,
            max_endpoints_per_slice: 100,
            max_mirrored_per_subset: 1000,
            node_grace_seconds: 50,
            load_balancer_pools: Vec::new(),
        }
    }
}

/// Everything a plan is told, apart from the time.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The kept kinds; `view.pods` and so on reach them directly.
    pub kinds: Kinds,
    /// Every object of every kind by its uid, with owners and dependents.
    pub graph: Graph,
    /// What the API serves, as discovery says.
    pub resources: Vec<Resource>,
    pub settings: Settings,
    /// Why a task's last plan could not be carried out, until one is.
    pub failures: BTreeMap<Task, String>,
    /// When each node's lease was last seen to be renewed, by the clock of whoever folds.
    pub heartbeats: BTreeMap<String, Timestamp>,
    /// Nodes that pods are bound to though they are not there, and since when.
    pub vanished: BTreeMap<String, Timestamp>,
    /// Services seen to go while Endpoints of their name were there (B4.11).
    pub departed_services: BTreeSet<Key>,
    /// How daemon pods failed lately, by set and node (H5.4).
    pub daemon_failures: Failures,
    /// What every node has applied, and who waits for it.
    pub programmed: Ledger,
}

impl Deref for View {
    type Target = Kinds;

    fn deref(&self) -> &Kinds {
        &self.kinds
    }
}

impl View {
    /// An object was made or altered.
    pub fn applied<K: Kept>(&mut self, object: Arc<K>, now: Timestamp) -> Changed {
        self.take_in(Arc::new(lean(Arc::unwrap_or_clone(object))), now)
    }

    fn take_in<K: Kept>(&mut self, object: Arc<K>, now: Timestamp) -> Changed {
        let key = K::collection(self).shared(Key::of(object.metadata()));
        let old = K::collection_mut(self).put(&key, Some(object.clone()));
        let uids = self.relink(&K::RESOURCE, &key, old.as_deref().map(K::metadata), Some(object.metadata()));
        let (old, new) = (old.map(K::any), Some(K::any(object)));
        let changed = Changed { resource: K::RESOURCE, key: Key::clone(&key), uids, old, new };
        self.remember(&changed, now);
        changed
    }

    /// An object is gone. `None` if it was not known.
    pub fn deleted<K: Kept>(&mut self, key: &Key, now: Timestamp) -> Option<Changed> {
        let shared = K::collection(self).shared(key.clone());
        let old = K::collection_mut(self).put(&shared, None)?;
        let uids = self.relink(&K::RESOURCE, &shared, Some(old.metadata()), None);
        let changed =
            Changed { resource: K::RESOURCE, key: key.clone(), uids, old: Some(K::any(old)), new: None };
        self.remember(&changed, now);
        Some(changed)
    }

    /// A whole collection was listed: what is not in it is gone, what is in it as known has not changed.
    pub fn reset<K: Kept + PartialEq>(&mut self, objects: Vec<Arc<K>>, now: Timestamp) -> Vec<Changed> {
        let listed: BTreeSet<Key> = objects.iter().map(|object| Key::of(object.metadata())).collect();
        let known = K::collection(self).iter().map(|(key, _)| key);
        let gone: Vec<Key> = known.filter(|key| !listed.contains(*key)).cloned().collect();
        let mut changes: Vec<Changed> = gone.iter().filter_map(|key| self.deleted::<K>(key, now)).collect();
        for object in objects {
            let object = Arc::new(lean(Arc::unwrap_or_clone(object)));
            if K::collection(self).get(&Key::of(object.metadata())) != Some(&object) {
                changes.push(self.take_in(object, now));
            }
        }
        changes
    }

    /// An object of a kind that is not kept was made or altered (`Some`) or is gone (`None`).
    pub fn noted(&mut self, resource: &Resource, key: &Key, meta: Option<&ObjectMeta>) -> Changed {
        let uids = self.graph.note(resource, key, meta);
        Changed { resource: resource.clone(), key: key.clone(), uids, old: None, new: None }
    }

    /// The resource that an owner reference means, if the API serves it.
    pub fn resource_of(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let of_kind = |resource: &&Resource| resource.kind == kind && resource.group == group;
        self.resources.iter().chain(crate::kinds::KEPT).find(of_kind)
    }

    fn relink(
        &mut self,
        resource: &Resource,
        key: &Arc<Key>,
        old: Option<&ObjectMeta>,
        new: Option<&ObjectMeta>,
    ) -> Vec<String> {
        let old_uid = old.and_then(|meta| meta.uid.as_deref());
        if let Some(uid) = old_uid {
            self.graph.remove(uid);
        }
        if let Some(meta) = new {
            self.graph.insert(resource, key, meta);
        }
        let new_uid = new.and_then(|meta| meta.uid.as_deref());
        let mut uids: Vec<String> = old_uid.into_iter().chain(new_uid).map(str::to_owned).collect();
        uids.dedup();
        uids
    }

    /// Keeps the facts that the objects alone do not tell.
    fn remember(&mut self, changed: &Changed, now: Timestamp) {
        self.programmed.remember(&self.kinds, changed, now);
        self.daemon_failures.remember(&self.kinds, changed, now);
        match (&changed.old, &changed.new) {
            (Some(Any::Service(_)), None) if self.endpoints.get(&changed.key).is_some() => {
                self.departed_services.insert(changed.key.clone());
            }
            (_, Some(Any::Service(_))) | (Some(Any::Endpoints(_)), None) => {
                self.departed_services.remove(&changed.key);
            }
            (old, Some(Any::Lease(lease)))
                if changed.key.namespace == NODE_LEASES
                    && old.as_ref().is_none_or(|old| renewed(old) != renewed_by(lease)) =>
            {
                self.heartbeats.insert(changed.key.name.clone(), now);
            }
            (None, Some(Any::Node(_))) => {
                self.heartbeats.entry(changed.key.name.clone()).or_insert(now);
                self.vanished.remove(&changed.key.name);
            }
            (Some(Any::Node(_)), None) => {
                self.heartbeats.remove(&changed.key.name);
                self.vanished.insert(changed.key.name.clone(), now);
            }
            (_, Some(Any::Pod(pod))) => {
                let node =
                    crate::pod::node(pod).filter(|node| self.nodes.get(&Key::cluster(*node)).is_none());
                if let Some(node) = node {
                    self.vanished.entry(node.to_owned()).or_insert(now);
                }
            }
            _ => {}
        }
    }
}

fn renewed(any: &Any) -> Option<Timestamp> {
    match any {
        Any::Lease(lease) => renewed_by(lease),
        _ => None,
    }
}

fn renewed_by(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

/// The namespace of the nodes' heartbeats.
pub const NODE_LEASES: &str = "kube-node-lease";
