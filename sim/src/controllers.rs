//! The controllers' process: watches fold into one view, changes wake tasks, tasks are planned and carried out.
//!
//! As `io/cluster`'s runner, in steps instead of tasks. It may die and start anew at any moment, with nothing but what
//! the API holds.

mod agenda;
mod fold;
mod preemption;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kelson_machinery::meta;
use kelson_plans::kinds::KEPT;
use kelson_plans::{Action, Controller, Key, Plan, Resource, Settings, Task, View};

use crate::api::Api;
use crate::carry::{Luck, carry};
use crate::clock::{Clock, later};
use crate::random::Random;
use crate::watch::Watch;
use agenda::Agenda;
pub(crate) use preemption::GUEST;

/// How long a task waits that the API refused or that met another's write: first, and at most.
const BACKOFF: (SignedDuration, SignedDuration) =
    (SignedDuration::from_millis(100), SignedDuration::from_secs(10));
/// How long the view may take to show what was written.
///
/// Longer than in `io/cluster`: time passes in leaps here, and the watches do not run while it does.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// All controllers over one view.
pub struct Controllers {
    pub clock: Clock,
    view: View,
    watches: Vec<Watch>,
    /// What is there of the kinds that are known by their metadata alone.
    known: BTreeMap<usize, BTreeSet<Key>>,
    agenda: Agenda,
    waiting: BTreeMap<Task, Waiting>,
    failures: BTreeMap<Task, u32>,
    /// How many pods were to be driven away for others.
    pub preempted: usize,
}

struct Waiting {
    written: Vec<(Resource, u64)>,
    until: Timestamp,
}

impl Controllers {
    pub fn new(settings: Settings) -> Self {
        let served = kelson_registry::kinds().iter().filter(|kind| kind.verbs.contains(&"watch"));
        let resources: Vec<Resource> = served.map(|kind| crate::api::resource(kind)).collect();
        let is_kept = |resource: &Resource| KEPT.iter().any(|kept| kept.same_collection(resource));
        let others = resources.iter().filter(|resource| !is_kept(resource) && resource.plural != "events");
        Self {
            clock: Clock::default(),
            watches: KEPT.iter().chain(others).cloned().map(Watch::new).collect(),
            view: View { settings, resources, ..View::default() },
            known: BTreeMap::new(),
            agenda: Agenda::default(),
            waiting: BTreeMap::new(),
            failures: BTreeMap::new(),
            preempted: 0,
        }
    }

    /// The process ends and another begins.
    pub fn restart(&mut self) {
        *self =
            Self { clock: self.clock, preempted: self.preempted, ..Self::new(self.view.settings.clone()) };
    }

    /// A watch breaks.
    pub fn cut(&mut self, random: &mut Random) {
        let index = random.below(self.watches.len());
        self.watches[index].cut(random);
    }

    /// Whether any watch has something to tell.
    pub fn can_hear(&self, api: &Api) -> bool {
        self.watches.iter().any(|watch| watch.is_behind(api))
    }

    /// One change of one resource arrives.
    pub fn hear(&mut self, api: &Api, random: &mut Random) {
        let behind: Vec<usize> =
            (0..self.watches.len()).filter(|index| self.watches[*index].is_behind(api)).collect();
        let Some(index) = random.of(&behind).copied() else { return };
        let Some(heard) = self.watches[index].next(api) else { return };
        let (now, resource) = (self.clock.read(api.now), &self.watches[index].resource);
        let changes = match KEPT.iter().any(|kept| kept == resource) {
            true => fold::kept(&mut self.view, resource, heard, now),
            false => {
                let known = self.known.entry(index).or_default();
                fold::by_metadata(&mut self.view, resource, heard, known)
            }
        };
        for changed in changes {
            kelson_plans::wake(&self.view, &changed).into_iter().for_each(|task| self.agenda.wake(task));
        }
    }

    /// Lets go the tasks whose time has come, or whose writes were seen.
    pub fn ripen(&mut self, now: Timestamp) {
        let watches = &self.watches;
        let heard = |resource: &Resource| {
            let watch = watches.iter().find(|watch| watch.resource == *resource);
            watch.map_or(u64::MAX, |watch| watch.version)
        };
        self.waiting.retain(|_, waiting| {
            waiting.written.retain(|(resource, version)| heard(resource) < *version);
            !waiting.written.is_empty() && waiting.until > now
        });
        self.agenda.ripen(now);
    }

    fn is_free(&self, task: &Task) -> bool {
        !self.waiting.contains_key(task)
    }

    /// Whether any task can be planned.
    pub fn can_work(&self) -> bool {
        self.agenda.woken().any(|task| self.is_free(task)) && self.watches.iter().all(Watch::is_synced)
    }

    /// One task that is ready is planned and carried out.
    pub fn work(&mut self, api: &mut Api, random: &mut Random, luck: impl FnMut(&Action) -> Luck) {
        let ready: Vec<&Task> = self.agenda.woken().filter(|task| self.is_free(task)).collect();
        let Some(task) = random.of(&ready).map(|task| (*task).clone()) else { return };
        self.agenda.take(&task);
        let plan = kelson_plans::plan(&self.view, &task, self.clock.read(api.now));
        if task.controller == Controller::Schedule {
            self.preempted += preemption::victims(&plan).len();
            api.faults.extend(preemption::fault(&self.view, &plan));
        }
        self.follow(task, &plan, api, luck);
    }

    fn follow(&mut self, task: Task, plan: &Plan, api: &mut Api, luck: impl FnMut(&Action) -> Luck) {
        if let Some(after) = plan.requeue_after {
            self.agenda.wake_at(task.clone(), later(api.now, after));
        }
        if plan.is_empty() {
            self.failures.remove(&task);
            self.view.failures.remove(&task);
            return;
        }
        let carried = carry(api, plan, luck);
        match carried.refusal {
            Some(refusal) => {
                self.view.failures.insert(task.clone(), refusal);
                let again = self.next_try(&task, api.now);
                self.agenda.wake_at(task.clone(), again);
            }
            None if carried.stale => {
                let again = self.next_try(&task, api.now);
                self.agenda.wake_at(task.clone(), again);
            }
            None => {
                self.failures.remove(&task);
                if self.view.failures.remove(&task).is_some() {
                    self.agenda.wake(task.clone());
                }
            }
        }
        if !carried.written.is_empty() {
            let until = later(api.now, PATIENCE);
            self.waiting.insert(task, Waiting { written: carried.written, until });
        }
    }

    fn next_try(&mut self, task: &Task, now: Timestamp) -> Timestamp {
        let failures = self.failures.entry(task.clone()).or_default();
        *failures = (*failures + 1).min(10);
        later(now, (BACKOFF.0 * (1 << (*failures - 1))).min(BACKOFF.1))
    }

    /// Up to which version Nodes were heard of.
    pub fn heard_of_nodes(&self) -> u64 {
        let nodes = self.watches.iter().find(|watch| watch.resource.plural == "nodes");
        nodes.map_or(0, |watch| watch.version)
    }

    /// When something is due though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.values().map(|waiting| waiting.until).chain(self.agenda.next_due()).min()
    }

    /// The plans that would do something, asked of every object there is.
    pub fn left(&self, api: &Api) -> Vec<(Task, Plan)> {
        let mut keys = BTreeSet::from([Key::default()]);
        for (_, key, object) in api.everything() {
            keys.insert(key.clone());
            keys.insert(Key::cluster(meta::uid(object)));
        }
        let tasks = Controller::ALL
            .iter()
            .flat_map(|controller| keys.iter().map(|key| Task::new(*controller, key.clone())));
        let now = self.clock.read(api.now);
        let plans = tasks.map(|task| (task.clone(), kelson_plans::plan(&self.view, &task, now)));
        plans.filter(|(_, plan)| plan.actions().next().is_some()).collect()
    }

    /// What is left to do, for a message.
    pub fn unrest(&self) -> String {
        let woken: Vec<&Task> = self.agenda.woken().take(5).collect();
        format!("tasks {woken:?}")
    }
}
