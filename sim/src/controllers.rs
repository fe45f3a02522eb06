//! The controllers' process: watches fold into one view, changes wake tasks, tasks are planned and carried out.
//!
//! As `io/cluster`'s runner, in steps instead of tasks. It may die and start anew at any moment, with nothing but what
//! the API holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kelson_plans::kinds::KEPT;
use kelson_plans::{Changed, Controller, Kept, Key, Plan, Resource, Settings, Task, View};
use serde_json::Value;

use crate::api::Api;
use crate::carry::carry;
use crate::random::Random;
use crate::watch::{Heard, Watch};

/// How long a task waits that the API refused or that met another's write.
const BACKOFF: SignedDuration = SignedDuration::from_millis(100);
/// How long the view may take to show what was written.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// All controllers over one view.
pub struct Controllers {
    view: View,
    watches: Vec<Watch>,
    woken: BTreeSet<Task>,
    due: BTreeMap<Task, Timestamp>,
    waiting: BTreeMap<Task, Waiting>,
}

struct Waiting {
    written: Vec<(Resource, u64)>,
    until: Timestamp,
}

impl Controllers {
    pub fn new(settings: Settings) -> Self {
        let resources = kelson_registry::kinds().iter().map(|kind| crate::api::resource(kind)).collect();
        Self {
            view: View { settings, resources, ..View::default() },
            watches: KEPT.iter().map(|resource| Watch::new(resource.clone())).collect(),
            woken: BTreeSet::new(),
            due: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The process ends and another begins.
    pub fn restart(&mut self) {
        *self = Self::new(self.view.settings.clone());
    }

    /// A watch breaks.
    pub fn cut(&mut self, random: &mut Random) {
        let index = random.below(self.watches.len());
        self.watches[index].cut();
    }

    /// One change of one resource arrives. Whether there was one.
    pub fn hear(&mut self, api: &Api, random: &mut Random) -> bool {
        let behind: Vec<usize> =
            (0..self.watches.len()).filter(|index| self.watches[*index].is_behind(api)).collect();
        let Some(index) = random.of(&behind) else { return false };
        let resource = self.watches[*index].resource.clone();
        let Some(heard) = self.watches[*index].next(api) else { return false };
        for changed in fold(&mut self.view, &resource, heard, api.now) {
            self.woken.extend(kelson_plans::wake(&self.view, &changed));
        }
        true
    }

    /// One task that is ready is planned and carried out. Whether there was one.
    pub fn work(&mut self, api: &mut Api, random: &mut Random, trouble: bool) -> bool {
        if !self.watches.iter().all(Watch::is_synced) {
            return false;
        }
        self.ripen(api.now);
        let ready: Vec<Task> =
            self.woken.iter().filter(|task| !self.waiting.contains_key(task)).cloned().collect();
        let Some(task) = random.of(&ready) else { return false };
        self.woken.remove(task);
        let plan = kelson_plans::plan(&self.view, task, api.now);
        self.follow(task, &plan, api, |_| trouble && random.once_in(20));
        true
    }

    fn ripen(&mut self, now: Timestamp) {
        let (view_of, watches) = (&mut self.waiting, &self.watches);
        let heard = |resource: &Resource| {
            let watch = watches.iter().find(|watch| watch.resource == *resource);
            watch.map_or(u64::MAX, |watch| watch.version)
        };
        view_of.retain(|_, waiting| {
            waiting.written.retain(|(resource, version)| heard(resource) < *version);
            !waiting.written.is_empty() && waiting.until > now
        });
        let due: Vec<Task> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(task, _)| task.clone()).collect();
        for task in due {
            self.due.remove(&task);
            self.woken.insert(task);
        }
    }

    fn follow(&mut self, task: &Task, plan: &Plan, api: &mut Api, mut unlucky: impl FnMut(()) -> bool) {
        if let Some(after) = plan.requeue_after {
            self.due.insert(task.clone(), later(api.now, after));
        }
        if plan.is_empty() {
            self.view.failures.remove(task);
            return;
        }
        let carried = carry(api, plan, || unlucky(()));
        match carried.refusal {
            Some(refusal) => {
                self.view.failures.insert(task.clone(), refusal);
                self.due.insert(task.clone(), later(api.now, BACKOFF));
            }
            None if carried.stale => drop(self.due.insert(task.clone(), later(api.now, BACKOFF))),
            None if self.view.failures.remove(task).is_some() => drop(self.woken.insert(task.clone())),
            None => {}
        }
        if !carried.written.is_empty() {
            let until = later(api.now, PATIENCE);
            self.waiting.insert(task.clone(), Waiting { written: carried.written, until });
        }
    }

    /// Whether anything is left to do without time passing.
    pub fn is_busy(&self, api: &Api) -> bool {
        !self.woken.is_empty() || self.watches.iter().any(|watch| watch.is_behind(api))
    }

    /// When the next task is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.values().chain(self.waiting.values().map(|waiting| &waiting.until)).min().copied()
    }

    /// The plans that would do something, asked of every object there is.
    pub fn left(&self, api: &Api) -> Vec<(Task, Plan)> {
        let mut keys = BTreeSet::from([Key::default()]);
        for (place, object) in api.everything() {
            keys.insert(place.key.clone());
            keys.insert(Key::cluster(kelson_machinery::meta::uid(object)));
        }
        let tasks = Controller::ALL
            .iter()
            .flat_map(|controller| keys.iter().map(|key| Task::new(*controller, key.clone())));
        let plans = tasks.map(|task| (task.clone(), kelson_plans::plan(&self.view, &task, api.now)));
        plans.filter(|(_, plan)| !plan.is_empty()).collect()
    }
}

fn later(now: Timestamp, after: SignedDuration) -> Timestamp {
    now.checked_add(after).unwrap_or(Timestamp::MAX)
}

/// Folds what was heard of any kept kind.
fn fold(view: &mut View, resource: &Resource, heard: Heard, now: Timestamp) -> Vec<Changed> {
    macro_rules! fold_kind {
        ($kind:ident) => {
            if *resource == <$kind as Kept>::RESOURCE {
                return fold_typed::<$kind>(view, heard, now);
            }
        };
    }
    use k8s_openapi::api::{
        apps::v1::*, batch::v1::*, coordination::v1::*, core::v1::*, discovery::v1::*, storage::v1::*,
    };
    kelson_plans::for_each_kept_kind!(fold_kind);
    unreachable!("{resource:?} is not watched")
}

fn fold_typed<K: Kept + PartialEq + serde::de::DeserializeOwned>(
    view: &mut View,
    heard: Heard,
    now: Timestamp,
) -> Vec<Changed> {
    match heard {
        Heard::Listed(objects) => view.reset::<K>(objects.iter().map(|object| typed(object)).collect(), now),
        Heard::Applied(object) => vec![view.applied::<K>(typed(&object), now)],
        Heard::Deleted(key) => view.deleted::<K>(&key, now).into_iter().collect(),
    }
}

/// The typed form of what the registry has canonicalised.
pub fn typed<K: serde::de::DeserializeOwned>(object: &Value) -> Arc<K> {
    Arc::new(serde_json::from_value(object.clone()).expect("the registry stores what the types can read"))
}
