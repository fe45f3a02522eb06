//! Folds watch events into the next snapshot, touching only what an event concerns.
//!
//! Invariants: the snapshot is a function of the objects last seen, whatever order they came in and however often;
//! folding events one by one and starting anew from the final objects give equal snapshots. Its generation grows only
//! when something in it changed; its revision says how far the watches have come and never goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{Namespace, Service as ServiceObject};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kelson_model::{Endpoint, Revision, ServiceName, ServicePortName, Snapshot};

use crate::merge::merge;
use crate::service;
use crate::slice::{Slice, slice};

/// Most warnings kept between two calls of [`Tracker::take_warnings`].
const WARNINGS_MAX: usize = 1000;

/// What a watch reports about objects of one kind.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a, K> {
    /// Exactly these exist; what else was known is gone.
    Reset(&'a [Arc<K>]),
    /// Created or changed.
    Applied(&'a K),
    /// Deleted.
    Deleted(&'a K),
}

/// Namespace and name of an object.
type ObjectKey = (Arc<str>, Arc<str>);

/// The kinds that must be listed before a snapshot counts as synced.
#[derive(Debug, Default)]
struct Listed {
    services: bool,
    slices: bool,
    namespaces: bool,
}

/// The objects last seen and the snapshot made of them.
#[derive(Debug, Default)]
pub struct Tracker {
    snapshot: Snapshot,
    published: Arc<Snapshot>,
    slices: BTreeMap<ObjectKey, Slice>,
    /// Each Service's slices, by name. One flat set: a set a Service would be many times the one name in it.
    slices_of: BTreeSet<(ServiceName, Arc<str>)>,
    stale: BTreeSet<ServiceName>,
    listed: Listed,
    warnings: Vec<String>,
}

impl Tracker {
    /// A tracker that has seen nothing: its snapshot has generation 0 and is not synced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds in what a watch of Services reported.
    pub fn services(&mut self, watched: Watched<'_, ServiceObject>) {
        match watched {
            Watched::Reset(objects) => {
                self.listed.services = true;
                let gone =
                    missing(self.snapshot.services.keys(), objects.iter().filter_map(|o| service::name(o)));
                gone.iter().for_each(|name| self.remove_service(name));
                objects.iter().for_each(|object| self.apply_service(object));
            }
            Watched::Applied(object) => self.apply_service(object),
            Watched::Deleted(object) => {
                if let Some(name) = service::name(object) {
                    self.remove_service(&name);
                }
            }
        }
    }

    /// Folds in what a watch of EndpointSlices reported.
    pub fn slices(&mut self, watched: Watched<'_, EndpointSlice>) {
        match watched {
            Watched::Reset(objects) => {
                self.listed.slices = true;
                let gone = missing(self.slices.keys(), objects.iter().filter_map(|o| key(o.metadata())));
                gone.iter().for_each(|key| self.remove_slice(key));
                objects.iter().for_each(|object| self.apply_slice(object));
            }
            Watched::Applied(object) => self.apply_slice(object),
            Watched::Deleted(object) => {
                if let Some(key) = key(object.metadata()) {
                    self.remove_slice(&key);
                }
            }
        }
    }

    /// Folds in what a watch of Namespaces reported.
    pub fn namespaces(&mut self, watched: Watched<'_, Namespace>) {
        let name = |object: &Namespace| object.metadata.name.as_deref().map(Arc::<str>::from);
        let known = &mut self.snapshot.namespaces;
        match watched {
            Watched::Reset(objects) => {
                self.listed.namespaces = true;
                *known = objects.iter().filter_map(|object| name(object)).collect();
            }
            Watched::Applied(object) => {
                if let Some(name) = name(object).filter(|name| !known.contains(name)) {
                    known.insert(name);
                }
            }
            Watched::Deleted(object) => {
                if let Some(name) = name(object) {
                    known.remove(&name);
                }
            }
        }
    }

    /// The watches have come this far: what has been folded in holds every change up to there.
    pub fn reached(&mut self, revision: Revision) {
        self.snapshot.revision = self.snapshot.revision.join(revision);
    }

    /// The snapshot of everything folded in so far: the same `Arc` as before when nothing in it changed. Where only
    /// the revision moved on, the generation stays.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        for name in std::mem::take(&mut self.stale) {
            self.merge_endpoints(&name);
        }
        self.snapshot.synced = self.listed.services && self.listed.slices && self.listed.namespaces;
        let revision = std::mem::replace(&mut self.snapshot.revision, self.published.revision);
        let is_new = self.snapshot != *self.published;
        self.snapshot.generation += u64::from(is_new);
        self.snapshot.revision = revision;
        if is_new || revision != self.published.revision {
            self.published = Arc::new(self.snapshot.clone());
        }
        self.published.clone()
    }

    /// What had to be left out since the last call, one clause an object and field.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn apply_service(&mut self, object: &ServiceObject) {
        let Some(name) = service::name(object) else { return };
        let parsed = service::service(object, &mut self.warnings);
        self.warnings.truncate(WARNINGS_MAX);
        let Some(parsed) = parsed else { return self.remove_service(&name) };
        if self.snapshot.services.get(&name).is_none_or(|known| **known != parsed) {
            self.snapshot.services.insert(name.clone(), Arc::new(parsed));
            self.stale.insert(name);
        }
    }

    fn remove_service(&mut self, name: &ServiceName) {
        if self.snapshot.services.remove(name).is_some() {
            self.stale.insert(name.clone());
        }
    }

    fn apply_slice(&mut self, object: &EndpointSlice) {
        let Some(key) = key(object.metadata()) else { return };
        let parsed = slice(object, &mut self.warnings);
        self.warnings.truncate(WARNINGS_MAX);
        if self.slices.get(&key) == parsed.as_ref() {
            return;
        }
        self.remove_slice(&key);
        if let Some(parsed) = parsed {
            self.stale.insert(parsed.service.clone());
            self.slices_of.insert((parsed.service.clone(), key.1.clone()));
            self.slices.insert(key, parsed);
        }
    }

    fn remove_slice(&mut self, key: &ObjectKey) {
        let Some(slice) = self.slices.remove(key) else { return };
        self.slices_of.remove(&(slice.service.clone(), key.1.clone()));
        self.stale.insert(slice.service);
    }

    /// Joins the slices of one Service anew and writes only the ports whose endpoints changed.
    fn merge_endpoints(&mut self, name: &ServiceName) {
        let service = self.snapshot.services.get(name).map(AsRef::as_ref);
        let own = self.slices_of.range((name.clone(), Arc::from(""))..).take_while(|(of, _)| of == name);
        let keys = own.map(|(of, slice)| (of.namespace.clone(), slice.clone()));
        let slices: Vec<&Slice> = keys.filter_map(|key| self.slices.get(&key)).collect();
        let triggered_ms = slices.iter().map(|slice| slice.triggered_ms).max().unwrap_or(0);
        let merged = merge(service, slices.into_iter());
        note(&mut self.snapshot.triggered_ms, name, triggered_ms);
        let endpoints = &mut self.snapshot.endpoints;
        let before: Vec<ServicePortName> = ports_of(endpoints, name).collect();
        for port in before.iter().filter(|port| !merged.contains_key(&port.port)) {
            endpoints.remove(port);
        }
        for (port, list) in merged {
            let port = ServicePortName { service: name.clone(), port };
            if endpoints.get(&port) != Some(&list) {
                endpoints.insert(port, list);
            }
        }
    }
}

/// Keeps the time of a Service's youngest trigger, if there is one.
fn note(triggered_ms: &mut imbl::OrdMap<ServiceName, u64>, name: &ServiceName, now: u64) {
    match triggered_ms.get(name).copied().unwrap_or(0) {
        known if known == now => {}
        _ if now == 0 => drop(triggered_ms.remove(name)),
        _ => drop(triggered_ms.insert(name.clone(), now)),
    }
}

/// The keys of one Service in the endpoint map, which lie side by side.
fn ports_of<'a>(
    endpoints: &'a imbl::OrdMap<ServicePortName, Arc<[Endpoint]>>,
    name: &'a ServiceName,
) -> impl Iterator<Item = ServicePortName> + 'a {
    let from_first = endpoints.range(name.port("")..);
    from_first.map(|(port, _)| port).take_while(move |port| port.service == *name).cloned()
}

/// Those of `known` that are not among `present`.
fn missing<'a, T: Ord + Clone + 'a>(
    known: impl Iterator<Item = &'a T>,
    present: impl Iterator<Item = T>,
) -> Vec<T> {
    let present: BTreeSet<T> = present.collect();
    known.filter(|one| !present.contains(one)).cloned().collect()
}

fn key(metadata: &ObjectMeta) -> Option<ObjectKey> {
    Some((metadata.namespace.as_deref()?.into(), metadata.name.as_deref()?.into()))
}

#[cfg(test)]
mod tests;
