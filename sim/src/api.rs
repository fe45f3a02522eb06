//! The API in memory: every write goes through the registry's functions for its kind, as in `io/apiserver`.
//!
//! Keeps versions, uids, generations, finalizers, grace and claims. Invariants: a version is given once; an address or
//! port has one holder, or `claim` panics; what changes nothing writes nothing. The log is what watches read.

mod delete;
mod quotas;
mod stored;

pub use delete::Deletion;
pub use stored::Stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use kelson_machinery::{Object, meta, names, patch, time};
use kelson_plans::{Key, Resource};
use kelson_registry::Kind;
use kelson_registry::allocate::{self, Claim, Ranges};
use serde_json::Value;

use crate::clock::Clock;
use crate::random::Random;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub resource: Resource,
    pub key: Key,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The object is not there, or is another, or has moved on.
    Stale,
    Exists,
    /// Nothing new comes into the namespace, which is going or gone.
    Closing,
    /// The API will not have it, whoever asks however often.
    Invalid(String),
}

/// Which part of an object a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Main,
    Status,
    /// The server's own subresources, unchecked.
    Internal,
}

/// One change, as watches hear of it: the object as it is now, or that it is gone.
#[derive(Clone, Debug)]
pub struct Event {
    pub version: u64,
    pub key: Key,
    pub object: Option<Arc<Stored>>,
}

/// One write, for whoever judges each.
#[derive(Clone, Debug)]
pub struct Write {
    pub place: Place,
    pub before: Option<Arc<Stored>>,
    pub after: Option<Arc<Stored>>,
}

/// The API server and its store.
pub struct Api {
    /// By the resource's slot.
    objects: Vec<BTreeMap<Key, Arc<Stored>>>,
    logs: Vec<Vec<Event>>,
    claims: BTreeMap<Claim, Place>,
    ranges: Ranges,
    version: u64,
    /// The version of the last write that was more than a node's heartbeat.
    pub news: u64,
    /// Writes that nobody has judged yet.
    pub writes: Vec<Write>,
    /// What must not be, as whoever saw it says.
    pub faults: Vec<String>,
    /// When each pod was first asked to go.
    pub asked: BTreeMap<String, Timestamp>,
    /// Pods that were deleted without waiting for their node, by uid.
    pub forced: BTreeSet<String>,
    /// How often a quota had no room.
    pub over_quota: usize,
    /// Time itself; nobody's clock.
    pub now: Timestamp,
    pub clock: Clock,
    pub random: Random,
}

/// Where a resource's objects are kept: the place of its kind in the registry.
pub fn slot(resource: &Resource) -> usize {
    static SLOTS: LazyLock<BTreeMap<(&str, &str), usize>> = LazyLock::new(|| {
        let kinds = kelson_registry::kinds().iter().enumerate();
        kinds.map(|(slot, kind)| ((kind.plural, kind.group), slot)).collect()
    });
    let name = (resource.plural.as_ref(), resource.group.as_ref());
    *SLOTS.get(&name).unwrap_or_else(|| panic!("the registry has no {resource:?}"))
}

/// Whether a write is no news to anybody but the watcher of heartbeats.
fn is_heartbeat(place: &Place) -> bool {
    place.key.namespace == kelson_plans::view::NODE_LEASES
}

impl Api {
    pub fn new(random: Random, now: Timestamp) -> Self {
        let ranges = Ranges::parse("10.96.0.0/28", (30000, 30031)).expect("the ranges are well formed");
        Self {
            objects: vec![BTreeMap::new(); kelson_registry::kinds().len()],
            logs: vec![Vec::new(); kelson_registry::kinds().len()],
            claims: BTreeMap::new(),
            ranges,
            version: 1,
            news: 1,
            writes: Vec::new(),
            faults: Vec::new(),
            asked: BTreeMap::new(),
            forced: BTreeSet::new(),
            over_quota: 0,
            now,
            clock: Clock::default(),
            random,
        }
    }

    /// How often anything was written.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, resource: &Resource, key: &Key) -> Option<&Arc<Stored>> {
        self.objects[slot(resource)].get(key)
    }

    fn at(&self, place: &Place) -> Option<&Arc<Stored>> {
        self.get(&place.resource, &place.key)
    }

    /// All objects of a resource, by key.
    pub fn all(&self, resource: &Resource) -> impl Iterator<Item = (&Key, &Arc<Stored>)> + use<'_> {
        self.objects[slot(resource)].iter()
    }

    /// Every object there is.
    pub fn everything(&self) -> impl Iterator<Item = (Resource, &Key, &Arc<Stored>)> {
        let kinds = kelson_registry::kinds().iter().zip(&self.objects);
        kinds.flat_map(|(kind, all)| all.iter().map(|(key, object)| (resource(kind), key, object)))
    }

    /// The events of a resource by its slot, oldest first.
    pub fn log(&self, slot: usize) -> &[Event] {
        &self.logs[slot]
    }

    /// The newest writes, for a message.
    pub fn last_writes(&self, count: usize) -> String {
        let mut all: Vec<(&str, &Event)> = Vec::new();
        for (kind, log) in kelson_registry::kinds().iter().zip(&self.logs) {
            all.extend(log.iter().rev().take(count).map(|event| (kind.plural, event)));
        }
        all.sort_by_key(|(_, event)| std::cmp::Reverse(event.version));
        let told = all.iter().take(count).map(|(plural, event)| {
            let what = event.object.as_ref().map_or_else(|| "gone".to_owned(), |object| object.to_string());
            format!("{plural} {} {}: {what}", event.key, event.version)
        });
        told.collect::<Vec<_>>().join("\n")
    }

    /// What the server's clock shows.
    pub fn time(&self) -> Timestamp {
        self.clock.read(self.now)
    }

    /// POST.
    pub fn create(&mut self, object: Value) -> Result<Place, Refusal> {
        let kind = kind_of(&object)?;
        let mut object = decode(kind, object)?;
        if meta::name(&object).is_empty() {
            let name = names::generate_name(meta::generate_name(&object), self.random.draw());
            meta::set_name(&mut object, &name);
        }
        let place = place(kind, &object);
        if self.at(&place).is_some() {
            return Err(Refusal::Exists);
        }
        self.accepts(&place)?;
        self.admits(&place)?;
        (kind.default)(&mut object);
        meta::set_uid(&mut object, &format!("uid-{}", self.version + 1));
        (kind.prepare_create)(&mut object);
        meta::set_creation_timestamp(&mut object, &time::seconds(self.time()));
        refuse((kind.validate)(&object))?;
        let charges = self.charge(&place, &object, None)?;
        self.allocate(&place, &mut object, None)?;
        self.count_quota(&place, &mut object, None);
        self.put(place.clone(), object);
        self.book(charges);
        Ok(place)
    }

    /// Nothing new comes into a namespace that is not there or on its way out.
    fn accepts(&self, place: &Place) -> Result<(), Refusal> {
        let namespace = &place.key.namespace;
        let resource = Resource::of::<k8s_openapi::api::core::v1::Namespace>(false);
        let known = self.get(&resource, &Key::cluster(namespace));
        let open = known.is_some_and(|known| meta::deletion_timestamp(known).is_none());
        match namespace.is_empty() || open {
            true => Ok(()),
            false => Err(Refusal::Closing),
        }
    }

    /// A pod needs the account it runs as.
    fn admits(&self, place: &Place) -> Result<(), Refusal> {
        let account = Key::new(&place.key.namespace, "default");
        let accounts = Resource::of::<k8s_openapi::api::core::v1::ServiceAccount>(true);
        match place.resource.plural == "pods" && self.get(&accounts, &account).is_none() {
            true => Err(Refusal::Invalid(format!("error looking up service account {account}"))),
            false => Ok(()),
        }
    }

    /// PATCH with a merge patch; `uid` and `version` are preconditions where they are given.
    pub fn patch(
        &mut self,
        place: &Place,
        part: Part,
        uid: Option<&str>,
        version: Option<&str>,
        changes: &Value,
    ) -> Result<(), Refusal> {
        let before = self.at(place).cloned().ok_or(Refusal::Stale)?;
        let other = |wanted: Option<&str>, is: &str| wanted.is_some_and(|wanted| wanted != is);
        if other(uid, meta::uid(&before)) || other(version, meta::resource_version(&before)) {
            return Err(Refusal::Stale);
        }
        let mut after = (**before).clone();
        patch::merge_patch(&mut after, changes);
        self.replace(place, part, &before, after)
    }

    /// Alters an object as it is now, whatever that is.
    pub fn edit(
        &mut self,
        place: &Place,
        part: Part,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Refusal> {
        let before = self.at(place).cloned().ok_or(Refusal::Stale)?;
        let mut after = (**before).clone();
        change(&mut after);
        self.replace(place, part, &before, after)
    }

    fn replace(
        &mut self,
        place: &Place,
        part: Part,
        before: &Arc<Stored>,
        after: Value,
    ) -> Result<(), Refusal> {
        let kind = kind_of(&after)?;
        let mut after = decode(kind, after)?;
        keep_metadata(&mut after, before);
        if part != Part::Internal {
            (kind.default)(&mut after);
        }
        match part {
            Part::Status => {
                (kind.prepare_status_update)(&mut after, before);
                refuse((kind.validate_status_update)(&after, before))?;
            }
            Part::Main => {
                (kind.prepare_update)(&mut after, before);
                refuse((kind.validate)(&after))?;
                refuse((kind.validate_update)(&after, before))?;
            }
            Part::Internal => {}
        }
        let charges = match part {
            Part::Main => self.charge(place, &after, Some(before))?,
            Part::Status | Part::Internal => Vec::new(),
        };
        self.allocate(place, &mut after, Some(before))?;
        self.count_quota(place, &mut after, Some(before));
        match after == ***before {
            true => {}
            false if delete::is_over(&after) => self.remove(place),
            false => {
                self.put(place.clone(), after);
                self.book(charges);
            }
        }
        Ok(())
    }

    /// Fills in what a Service needs and books what it holds.
    fn allocate(
        &mut self,
        place: &Place,
        object: &mut Object,
        before: Option<&Object>,
    ) -> Result<(), Refusal> {
        if place.resource.plural != "services" {
            return Ok(());
        }
        let random = self.random.draw();
        let taken = |claim: &Claim| self.claims.contains_key(claim);
        let plan = match before {
            None => allocate::plan_create(object, &self.ranges, &taken, random),
            Some(before) => allocate::plan_update(object, before, &self.ranges, &taken, random),
        };
        let plan = plan.map_err(|status| Refusal::Invalid(status.message))?;
        for claim in plan.releases {
            self.claims.remove(&claim);
        }
        for claim in plan.claims {
            let holder = self.claims.insert(claim, place.clone());
            assert!(holder.is_none(), "{claim:?} is handed out twice: to {place:?} and {holder:?}");
        }
        Ok(())
    }

    fn put(&mut self, place: Place, mut object: Object) {
        self.version += 1;
        meta::set_resource_version(&mut object, &self.version.to_string());
        self.log_write(place, Some(Stored::new(object)));
    }

    fn remove(&mut self, place: &Place) {
        self.version += 1;
        let Some(object) = self.at(place).cloned() else { return };
        if place.resource.plural == "services" {
            for claim in allocate::plan_delete(&object) {
                self.claims.remove(&claim);
            }
        }
        self.log_write(place.clone(), None);
    }

    fn log_write(&mut self, place: Place, after: Option<Arc<Stored>>) {
        let slot = slot(&place.resource);
        let before = match &after {
            Some(object) => self.objects[slot].insert(place.key.clone(), object.clone()),
            None => self.objects[slot].remove(&place.key),
        };
        if !is_heartbeat(&place) {
            self.news = self.version;
        }
        self.logs[slot].push(Event { version: self.version, key: place.key.clone(), object: after.clone() });
        self.writes.push(Write { place, before, after });
    }
}

fn refuse(errors: Vec<kelson_machinery::FieldError>) -> Result<(), Refusal> {
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(Refusal::Invalid(error.to_string())),
    }
}

fn kind_of(object: &Object) -> Result<&'static Kind, Refusal> {
    let (group, version) = meta::split_api_version(meta::api_version(object));
    let found = kelson_registry::by_kind(group, version, meta::kind(object));
    let unknown =
        || Refusal::Invalid(format!("no kind {} {}", meta::api_version(object), meta::kind(object)));
    found.map(|(kind, _)| kind).ok_or_else(unknown)
}

fn decode(kind: &Kind, object: Value) -> Result<Object, Refusal> {
    let decoded = (kind.decode)(object).map_err(|error| Refusal::Invalid(format!("{error:?}")))?;
    Ok(decoded.object)
}

fn place(kind: &Kind, object: &Object) -> Place {
    Place { resource: resource(kind), key: Key::new(meta::namespace(object), meta::name(object)) }
}

/// The resource of a registry's kind.
pub fn resource(kind: &Kind) -> Resource {
    Resource {
        group: kind.group.into(),
        version: kind.version.into(),
        kind: kind.kind.into(),
        plural: kind.plural.into(),
        namespaced: kind.namespaced,
    }
}

/// Metadata that no update changes.
fn keep_metadata(after: &mut Object, before: &Object) {
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        match meta::get(before, &["metadata", field]) {
            Some(value) => meta::set(after, &["metadata", field], value.clone()),
            None => drop(meta::remove(after, &["metadata", field])),
        }
    }
    if meta::finalizers(after).is_empty() {
        meta::remove(after, &["metadata", "finalizers"]);
    }
    meta::set_resource_version(after, meta::resource_version(before));
}
