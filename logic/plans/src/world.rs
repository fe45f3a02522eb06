//! A tiny API in memory, for tests: plans are carried out on it, and its changes reach the view when told to.
//!
//! It keeps what matters to plans: versions, uids, generations, finalizers, grace, preconditions. Changes of
//! one resource arrive in order, those of different resources in any order, as watches do. All chance comes
//! from one seed.

mod objects;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::*;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::*;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::plan::{Absent, Propagation};
use crate::{Action, Changed, Ending, Kept, Key, Plan, Resource, Task, View};

/// A small deterministic generator (splitmix64).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) use objects::{cron_job, daemon_set, deployment, job, node, pod, running, service, stateful_set};

pub(crate) struct World {
    objects: BTreeMap<(Resource, Key), Value>,
    undelivered: BTreeMap<Resource, VecDeque<(Key, u64, Option<Value>)>>,
    heard: BTreeMap<Resource, u64>,
    version: u64,
    pub(crate) view: View,
    pub(crate) now: Timestamp,
    pub(crate) random: Random,
    woken: BTreeSet<Task>,
    due: BTreeMap<Task, Timestamp>,
    waiting: BTreeMap<Task, Vec<(Resource, u64)>>,
    /// Everything told, as `reason: message`.
    pub(crate) told: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        // Nodes here send no heartbeats, so their silence means nothing.
        let settings = crate::Settings { node_grace_seconds: 100_000_000, ..crate::Settings::default() };
        let view = View { resources: crate::kinds::KEPT.to_vec(), settings, ..View::default() };
        Self {
            objects: BTreeMap::new(),
            undelivered: BTreeMap::new(),
            heard: BTreeMap::new(),
            version: 1,
            view,
            now: time(0),
            random: Random(seed),
            woken: BTreeSet::new(),
            due: BTreeMap::new(),
            waiting: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// A world with these objects, all of them heard of.
    pub(crate) fn with(objects: Vec<Value>) -> Self {
        let mut world = Self::new(1);
        objects.into_iter().for_each(|object| drop(world.create(object)));
        world.deliver_all();
        world
    }

    /// Puts an object in, with what the API would add; returns its key.
    pub(crate) fn create(&mut self, mut object: Value) -> Result<Key, ()> {
        let resource = resource_of(&object);
        let meta = &mut object["metadata"];
        if meta["name"].is_null() {
            let random = self.random.next();
            let base = meta["generateName"].as_str().unwrap_or_default();
            meta["name"] = kelson_machinery::names::generate_name(base, random).into();
        }
        if resource.namespaced && meta["namespace"].is_null() {
            meta["namespace"] = "default".into();
        }
        let namespace = if resource.namespaced { meta["namespace"].as_str().unwrap_or_default() } else { "" };
        let key = Key::new(namespace, meta["name"].as_str().unwrap_or_default());
        if self.objects.contains_key(&(resource.clone(), key.clone())) {
            return Err(());
        }
        for (field, value) in [
            ("uid", json!(format!("uid-{}", self.version + 1))),
            ("creationTimestamp", json!(self.now)),
            ("generation", json!(1)),
        ] {
            if meta[field].is_null() {
                meta[field] = value;
            }
        }
        self.put(resource, key.clone(), object);
        Ok(key)
    }

    fn put(&mut self, resource: Resource, key: Key, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert((resource.clone(), key.clone()), object.clone());
        self.undelivered.entry(resource).or_default().push_back((key, self.version, Some(object)));
    }

    fn remove(&mut self, resource: Resource, key: Key) {
        self.version += 1;
        self.objects.remove(&(resource.clone(), key.clone()));
        self.undelivered.entry(resource).or_default().push_back((key, self.version, None));
    }

    pub(crate) fn get<K: Kept + DeserializeOwned>(&self, key: &Key) -> Option<K> {
        let object = self.objects.get(&(K::RESOURCE, key.clone()))?;
        Some(serde_json::from_value(object.clone()).unwrap())
    }

    pub(crate) fn all<K: Kept + DeserializeOwned>(&self) -> Vec<K> {
        let of_kind = self.objects.iter().filter(|((resource, _), _)| *resource == K::RESOURCE);
        of_kind.map(|(_, object)| serde_json::from_value(object.clone()).unwrap()).collect()
    }

    /// Alters an object as a client other than the controllers would.
    pub(crate) fn edit<K: Kept>(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        let place = (K::RESOURCE, key.clone());
        let Some(mut object) = self.objects.get(&place).cloned() else { return };
        let before = object.clone();
        change(&mut object);
        self.replace(place, &before, object);
    }

    fn replace(&mut self, place: (Resource, Key), before: &Value, mut object: Value) {
        if before["spec"] != object["spec"] {
            object["metadata"]["generation"] =
                (object["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        let graceful = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
        if !object["metadata"]["deletionTimestamp"].is_null() && !held && !graceful {
            return self.remove(place.0, place.1);
        }
        if *before != object {
            self.put(place.0, place.1, object);
        }
    }

    /// Deletes as a client would.
    pub(crate) fn delete(
        &mut self,
        resource: &Resource,
        key: &Key,
        propagation: Option<Propagation>,
        force: bool,
    ) {
        let place = (resource.clone(), key.clone());
        let Some(mut object) = self.objects.get(&place).cloned() else { return };
        let before = object.clone();
        let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.extend(match propagation {
            Some(Propagation::Foreground) => Some(json!("foregroundDeletion")),
            Some(Propagation::Orphan) => Some(json!("orphan")),
            _ => None,
        });
        finalizers.dedup();
        let is_running = resource.plural == "pods" && !object["spec"]["nodeName"].is_null() && !force;
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(self.now);
        }
        object["metadata"]["deletionGracePeriodSeconds"] = if is_running { 30.into() } else { 0.into() };
        if !finalizers.is_empty() {
            object["metadata"]["finalizers"] = finalizers.into();
        }
        self.replace(place, &before, object);
    }

    /// Carries out one action; what the API answered, or that a precondition did not hold.
    pub(crate) fn act(&mut self, action: &Action) -> Result<(Resource, Key), ()> {
        match action {
            Action::Create { resource, object, .. } => Ok((resource.clone(), self.create(object.clone())?)),
            Action::Patch { resource, key, uid, resource_version, patch, .. } => {
                let place = (resource.clone(), key.clone());
                let before = self.objects.get(&place).cloned().ok_or(())?;
                let same_version = resource_version
                    .as_deref()
                    .is_none_or(|version| before["metadata"]["resourceVersion"] == version);
                if before["metadata"]["uid"] != uid.as_str() || !same_version {
                    return Err(());
                }
                let mut after = before.clone();
                kelson_machinery::patch::merge_patch(&mut after, patch);
                self.replace(place.clone(), &before, after);
                Ok(place)
            }
            Action::Delete { resource, key, uid, propagation, grace_seconds, absent, .. } => {
                let place = (resource.clone(), key.clone());
                let present = self.objects.get(&place).ok_or(())?;
                if present["metadata"]["uid"] != uid.as_str()
                    || absent.iter().any(|absent| self.is_there(absent))
                {
                    return Err(());
                }
                self.delete(resource, key, *propagation, *grace_seconds == Some(0));
                Ok(place)
            }
            Action::DeleteCollection { resource, namespace } => {
                let keys: Vec<Key> = self
                    .objects
                    .keys()
                    .filter(|(of, key)| of == resource && key.namespace == *namespace)
                    .map(|(_, key)| key.clone())
                    .collect();
                keys.iter().for_each(|key| self.delete(resource, key, None, false));
                Ok((resource.clone(), Key::default()))
            }
            Action::Bind { pod, uid, node } => {
                let present = self.objects.get(&(Pod::RESOURCE, pod.clone())).ok_or(())?;
                if present["metadata"]["uid"] != uid.as_str() || !present["spec"]["nodeName"].is_null() {
                    return Err(());
                }
                let node = node.clone();
                self.edit::<Pod>(pod, |pod| pod["spec"]["nodeName"] = node.into());
                Ok((Pod::RESOURCE, pod.clone()))
            }
            Action::Finalize { namespace, object, empty } => {
                if self
                    .objects
                    .keys()
                    .any(|(resource, key)| empty.contains(resource) && key.namespace == *namespace)
                {
                    return Err(());
                }
                let key = Key::cluster(namespace);
                if object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
                    self.remove(Namespace::RESOURCE, key.clone());
                }
                Ok((Namespace::RESOURCE, key))
            }
        }
    }

    fn is_there(&self, absent: &Absent) -> bool {
        let object = self.objects.get(&(absent.resource.clone(), absent.key.clone()));
        object.is_some_and(|object| absent.uid.is_empty() || object["metadata"]["uid"] == absent.uid.as_str())
    }

    /// Carries out a plan as the executor does; what it wrote, by resource and version.
    pub(crate) fn carry(&mut self, plan: &Plan) -> Vec<(Resource, u64)> {
        let mut written = Vec::new();
        self.told.extend(plan.reasons.iter().map(|reason| format!("{}: {}", reason.reason, reason.message)));
        for stage in &plan.stages {
            let mut stale = false;
            for step in stage {
                let Ok((resource, key)) = self.act(&step.action) else {
                    stale = true;
                    continue;
                };
                if let Some(reason) = &step.done {
                    let name = if reason.ending == Ending::Name { key.name } else { String::new() };
                    self.told.push(format!("{}: {}{name}", reason.reason, reason.message));
                }
                written.push((resource, self.version));
            }
            if stale {
                break;
            }
        }
        written
    }

    /// One change of one resource reaches the view.
    pub(crate) fn deliver(&mut self, resource: &Resource) {
        let Some((key, version, object)) = self.undelivered.get_mut(resource).and_then(VecDeque::pop_front)
        else {
            return;
        };
        self.undelivered.retain(|_, changes| !changes.is_empty());
        self.heard.insert(resource.clone(), version);
        if let Some(changed) = self.fold(resource, &key, object) {
            self.woken.extend(crate::wake(&self.view, &changed));
            let remarks = crate::remarks(&self.view, &changed).into_iter();
            self.told.extend(remarks.map(|(_, reason)| format!("{}: {}", reason.reason, reason.message)));
        }
    }

    fn fold(&mut self, resource: &Resource, key: &Key, object: Option<Value>) -> Option<Changed> {
        macro_rules! fold_kind {
            ($kind:ident) => {
                if *resource == <$kind as Kept>::RESOURCE {
                    return match object {
                        Some(object) => {
                            let object: $kind = serde_json::from_value(object).unwrap();
                            Some(self.view.applied(Arc::new(object), self.now))
                        }
                        None => self.view.deleted::<$kind>(key, self.now),
                    };
                }
            };
        }
        for_each_kept_kind!(fold_kind);
        panic!("no such kind: {resource:?}")
    }

    pub(crate) fn deliver_all(&mut self) {
        while let Some(resource) = self.undelivered.keys().next().cloned() {
            self.deliver(&resource);
        }
    }

    /// Takes one step by chance: a change arrives, a task is done, a pod lives on, or time passes.
    /// Returns whether anything was left to do but waiting.
    pub(crate) fn step(&mut self, mut chance: impl FnMut(&mut World)) -> bool {
        let due: Vec<Task> =
            self.due.iter().filter(|(_, at)| **at <= self.now).map(|(task, _)| task.clone()).collect();
        for task in due {
            self.due.remove(&task);
            self.woken.insert(task);
        }
        self.waiting.retain(|_, written| {
            written
                .retain(|(resource, version)| self.heard.get(resource).is_none_or(|heard| heard < version));
            !written.is_empty()
        });
        let ready: Vec<Task> =
            self.woken.iter().filter(|task| !self.waiting.contains_key(task)).cloned().collect();
        let arriving: Vec<Resource> = self.undelivered.keys().cloned().collect();
        match self.random.below(8) {
            0..=2 if !arriving.is_empty() => {
                let index = self.random.below(arriving.len());
                self.deliver(&arriving[index]);
            }
            3..=5 if !ready.is_empty() => {
                let index = self.random.below(ready.len());
                self.attend(&ready[index]);
            }
            6 => self.live(),
            _ => chance(self),
        }
        !self.undelivered.is_empty()
            || !self.woken.is_empty()
            || !self.waiting.is_empty()
            || !self.lively_pods().is_empty()
    }

    fn attend(&mut self, task: &Task) {
        self.woken.remove(task);
        let plan = crate::plan(&self.view, task, self.now);
        if let Some(after) = plan.requeue_after {
            self.due.insert(task.clone(), self.now + after);
        }
        let written = self.carry(&plan);
        if written.len() < plan.actions().count() {
            self.woken.insert(task.clone());
        }
        let known = written.into_iter().filter(|(resource, _)| self.undelivered.contains_key(resource));
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            self.waiting.insert(task.clone(), known);
        }
    }

    /// How often anything was written: what did not change need not be checked again.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The pods that have a step of their life before them.
    fn lively_pods(&self) -> Vec<(&Key, Life)> {
        let pods = self
            .objects
            .range((Pod::RESOURCE, Key::default())..)
            .take_while(|((resource, _), _)| *resource == Pod::RESOURCE);
        pods.filter_map(|((_, key), pod)| Some((key, lives_on(pod)?))).collect()
    }

    /// One pod, by chance, takes the next step of its life.
    fn live(&mut self) {
        let index = self.random.next() as usize;
        let lively = self.lively_pods();
        let Some((key, life)) = lively.get(index % lively.len().max(1)) else { return };
        let key = (*key).clone();
        match life {
            Life::Gone => self.delete(&Pod::RESOURCE, &key, None, true),
            Life::Ready => self.make_ready(&key),
        }
    }

    pub(crate) fn make_ready(&mut self, key: &Key) {
        let now = self.now;
        let number = self.version;
        self.edit::<Pod>(key, |pod| {
            pod["status"]["phase"] = "Running".into();
            let ip = format!("10.244.{}.{}", number / 250 % 250, number % 250 + 1);
            pod["status"]["podIP"] = ip.clone().into();
            pod["status"]["podIPs"] = json!([{"ip": ip}]);
            pod["status"]["conditions"] =
                json!([{"type": "Ready", "status": "True", "lastTransitionTime": now}]);
        });
    }

    /// Steps until nothing is left to do; panics if that never comes.
    pub(crate) fn settle(&mut self, mut check: impl FnMut(&World)) {
        for _ in 0..200_000 {
            let busy = self.step(|_| {});
            check(self);
            if busy {
                continue;
            }
            // Nothing happens any more: only time is left to pass, if anybody waits for it.
            match self.due.values().min().copied() {
                Some(at) if at < self.now + SignedDuration::from_hours(1) && self.is_soon(at) => {
                    self.now = at
                }
                _ => return,
            }
        }
        panic!("the world never came to rest; tasks left: {:?}", self.woken);
    }

    /// Deadlines of rollouts are not waited for: only availability is.
    fn is_soon(&self, at: Timestamp) -> bool {
        at.duration_since(self.now) < SignedDuration::from_secs(60)
    }

    /// All tasks that could be asked of any object there is.
    pub(crate) fn plans_left(&self) -> Vec<(Task, Plan)> {
        let keys = self.objects.keys().map(|(_, key)| key.clone());
        let uids =
            self.objects.values().filter_map(|object| object["metadata"]["uid"].as_str()).map(Key::cluster);
        let keys: BTreeSet<Key> = keys.chain(uids).chain([Key::default()]).collect();
        let tasks = crate::Controller::ALL
            .iter()
            .flat_map(|controller| keys.iter().map(|key| Task::new(*controller, key.clone())));
        let plans = tasks.map(|task| (task.clone(), crate::plan(&self.view, &task, self.now)));
        plans.filter(|(_, plan)| !plan.is_empty()).collect()
    }
}

enum Life {
    Ready,
    Gone,
}

/// What a node would do next with the pod.
fn lives_on(pod: &Value) -> Option<Life> {
    if pod["spec"]["nodeName"].is_null() {
        return None;
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Some(Life::Gone);
    }
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let ready = pod["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    (!ready && !matches!(phase, "Succeeded" | "Failed")).then_some(Life::Ready)
}

fn resource_of(object: &Value) -> Resource {
    let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let found =
        crate::kinds::KEPT.iter().find(|resource| resource.api_version() == version && resource.kind == kind);
    found.unwrap_or_else(|| panic!("no such kind: {version} {kind}")).clone()
}
