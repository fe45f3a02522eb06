//! A node: every pod's life as `logic/pods` decides it, on a faked runtime; its data plane; what it has applied.
//!
//! The node's process may die at any moment: lives are forgotten, the machine goes on, and the next process adopts what
//! it finds. It may also hang, or lose its power and everything with it.

mod act;
mod leases;
mod presence;
mod tended;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kelson_machinery::meta;
use kelson_model::{PodRef, Revision, Ways};
use kelson_plans::{Key, Resource, programmed};
use kelson_pods::{Departures, Life, NodeFacts, Report, Sight};
use serde_json::Value;

use crate::api::{Api, Stored};
use crate::clock::Clock;
use crate::plane::Plane;
use crate::random::Random;
use crate::runtime::Machine;
use crate::watch::{Heard, Watch};
pub(crate) use act::ENDS;
pub use presence::GRACE;
use tended::Tended;
pub(crate) use tended::is_chosen;

/// One node and its process.
pub struct Node {
    pub name: String,
    pub machine: Machine,
    pub plane: Plane,
    pub clock: Clock,
    address: IpAddr,
    watch: Watch,
    floors: Watch,
    volumes: Watch,
    floor: Revision,
    published: Option<Revision>,
    lives: BTreeMap<String, Tended>,
    /// What lately ceased to lead to its pods.
    departures: Departures,
    /// Volumes of this node that nobody claims any more.
    unclaimed: BTreeSet<String>,
    /// Nothing happens on it before this.
    away_until: Option<Timestamp>,
    next_beat: Timestamp,
    /// The version of its last word that it is ready.
    pub ready_version: u64,
    /// Since when the controllers have known that.
    pub settled_at: Option<Timestamp>,
    /// It tells Ingresses where they are served.
    leads: bool,
}

/// A pod was told to stop.
#[derive(Debug)]
pub struct Stopped {
    pub address: IpAddr,
    pub pod: Box<Pod>,
}

/// What a node can do next.
#[derive(Clone, Copy, Debug)]
enum Move {
    Hear,
    HearFloor,
    HearVolumes,
    HearPlane,
    Apply,
    Publish,
    Beat,
    End,
    Reclaim,
    Tend,
}

impl Node {
    pub fn new(index: u8, now: Timestamp) -> Self {
        let name = format!("node-{index}");
        let address = IpAddr::from([192, 0, 2, index]);
        Self {
            machine: Machine::new(index),
            plane: Plane::new(&name, address),
            clock: Clock::default(),
            address,
            name,
            watch: Watch::new(Resource::of::<Pod>(true)),
            floors: Watch::named(Resource::of::<Lease>(true), programmed::FLOOR),
            volumes: Watch::new(Resource::of::<PersistentVolume>(false)),
            floor: Revision::default(),
            published: None,
            lives: BTreeMap::new(),
            departures: Departures::default(),
            unclaimed: BTreeSet::new(),
            away_until: None,
            next_beat: now,
            ready_version: 0,
            settled_at: None,
            leads: index == 1,
        }
    }

    /// The process ends and another begins.
    pub fn restart(&mut self) {
        self.watch.restart();
        self.floors.restart();
        self.volumes.restart();
        self.plane.restart();
        (self.floor, self.published, self.departures) = Default::default();
        self.lives.clear();
        self.unclaimed.clear();
    }

    /// A watch breaks.
    pub fn cut(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => self.watch.cut(random),
            1 => self.floors.cut(random),
            2 => self.volumes.cut(random),
            _ => self.plane.cut(random),
        }
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    fn moves(&self, api: &Api) -> Vec<Move> {
        if self.is_away(api.now) {
            return Vec::new();
        }
        let can = [
            (Move::Hear, self.watch.is_behind(api)),
            (Move::HearFloor, self.floors.is_behind(api)),
            (Move::HearVolumes, self.volumes.is_behind(api)),
            (Move::HearPlane, self.plane.can_hear(api)),
            (Move::Apply, self.plane.can_apply()),
            (Move::Publish, self.can_publish(api)),
            (Move::Beat, self.next_beat <= api.now),
            (Move::End, self.machine.next_end().is_some_and(|at| at <= api.now)),
            (Move::Reclaim, self.can_reclaim(api)),
            (Move::Tend, self.lives.values().any(|tended| tended.is_lively(self.clock.read(api.now)))),
        ];
        can.into_iter().filter_map(|(one, can)| can.then_some(one)).collect()
    }

    /// Whether there is anything to do now.
    pub fn is_busy(&self, api: &Api) -> bool {
        !self.moves(api).is_empty()
    }

    /// One thing the node can do, by chance; `rough` when it may fail.
    pub fn step(&mut self, api: &mut Api, random: &mut Random, rough: bool) -> Option<Stopped> {
        match *random.of(&self.moves(api))? {
            Move::Hear => self.hear(api),
            Move::HearFloor => self.hear_floor(api),
            Move::HearVolumes => self.hear_volumes(api),
            Move::HearPlane => self.plane.hear(api, random),
            Move::Apply => {
                self.plane.apply();
                self.departures.see(&self.plane.snapshot, &self.name, self.clock.read(api.now));
                self.tell_ingresses(api);
            }
            Move::Publish => self.publish(api),
            Move::Beat => self.beat(api),
            Move::End => self.end_one(api),
            Move::Reclaim => self.reclaim(api),
            Move::Tend => return self.tend(api, random, rough),
        }
        None
    }

    /// Hears of one pod.
    fn hear(&mut self, api: &Api) {
        let Some(heard) = self.watch.next(api) else { return };
        let now = self.clock.read(api.now);
        match heard {
            Heard::Listed(objects) => {
                let ours: Vec<Arc<Stored>> = objects.into_iter().filter(|pod| self.is_ours(pod)).collect();
                let known: BTreeSet<&str> = ours.iter().map(|pod| meta::uid(pod)).collect();
                self.machine.sweep(|uid| known.contains(uid) || self.lives.contains_key(uid));
                for (_, tended) in self.lives.iter_mut().filter(|(uid, _)| !known.contains(uid.as_str())) {
                    tended.tell(Report::Gone);
                }
                ours.iter().for_each(|pod| self.see(pod, now));
            }
            Heard::Applied(pod) if self.is_ours(&pod) => self.see(&pod, now),
            Heard::Applied(_) => {}
            Heard::Deleted(key) => {
                let gone = self.lives.values_mut().filter(|tended| Key::of(&tended.pod.metadata) == key);
                gone.for_each(|tended| tended.tell(Report::Gone));
            }
        }
    }

    fn is_ours(&self, pod: &Value) -> bool {
        meta::get_str(pod, &["spec", "nodeName"]) == self.name
    }

    fn see(&mut self, pod: &Stored, now: Timestamp) {
        let uid = meta::uid(pod).to_owned();
        let pod: Pod = (*pod.typed::<Pod>()).clone();
        if let Some(tended) = self.lives.get_mut(&uid) {
            return tended.see(pod);
        }
        // Of the same name, but another: the old one is gone.
        let key = Key::of(&pod.metadata);
        let namesakes = self.lives.values_mut().filter(|tended| Key::of(&tended.pod.metadata) == key);
        namesakes.for_each(|tended| tended.tell(Report::Gone));
        let mut life = Life::new(NodeFacts { ips: vec![self.address.to_string()] }, now);
        if let Some(sandbox) = self.machine.sandbox(&uid) {
            life.adopt(vec![sandbox.address.clone()], sandbox.runs.clone());
        }
        self.lives.insert(uid, Tended::new(pod, life));
    }

    /// One pod's life goes on by a step.
    fn tend(&mut self, api: &mut Api, random: &mut Random, rough: bool) -> Option<Stopped> {
        let now = self.clock.read(api.now);
        let lively = self.lives.iter().filter(|(_, tended)| tended.is_lively(now));
        let lively: Vec<&String> = lively.map(|(uid, _)| uid).collect();
        let uid = random.of(&lively).map(|uid| (*uid).clone())?;
        let mut tended = self.lives.remove(&uid)?;
        if !tended.reports.is_empty() {
            let report = tended.reports.swap_remove(random.below(tended.reports.len()));
            tended.life.report(&tended.pod, report, now);
        }
        self.watch_the_ways(&mut tended, api);
        let decision = tended.life.step(&tended.pod, now);
        (tended.wake_at, tended.stale) = (decision.wake_at, false);
        let mut stopped = None;
        for action in decision.actions {
            stopped = self.act(&uid, &mut tended, action, api, random, rough).or(stopped);
        }
        if decision.finished {
            return stopped;
        }
        if tended.told.as_ref() != Some(&decision.status) {
            let lost = rough && random.once_in(20);
            tended.write_status(decision.status, api, now, lost);
        }
        self.lives.insert(uid, tended);
        stopped
    }

    /// Looks whether new connections may still be sent to a pod on its way out.
    /// Which Services choose the pod is asked of the API itself: a node that has not heard of a Service cannot wait for it.
    fn watch_the_ways(&self, tended: &mut Tended, api: &Api) {
        if tended.pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let (pod, now) = (reference(&tended.pod), self.clock.read(api.now));
        let snapshot = &self.plane.snapshot;
        let sight = Sight {
            ways: if snapshot.synced { snapshot.ways_to(&pod) } else { Ways::Open },
            expected: kelson_plans::pod::is_ready(&tended.pod) && is_chosen(&tended.pod, api),
            left: self.departures.of(&pod, now),
            seen: snapshot.revision,
            everywhere: self.floor,
        };
        let over = tended.drain.is_over(&sight);
        tended.life.report(&tended.pod, Report::Drained(over), now);
    }

    /// Whether it saw a moment ago how a Service ceased to lead to the pod.
    pub fn saw_leave(&self, pod: &Pod, now: Timestamp) -> bool {
        self.departures.of(&reference(pod), self.clock.read(now)).is_some()
    }

    /// The pods under care that should have gone, with where they stand.
    pub fn lingering(&self) -> impl Iterator<Item = String> + '_ {
        let going = self.lives.values().filter(|tended| tended.pod.metadata.deletion_timestamp.is_some());
        going.map(|tended| format!("{} on {}: {:#?}", Key::of(&tended.pod.metadata), self.name, tended.life))
    }

    /// When the next thing is due.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_away(now) {
            return self.away_until;
        }
        let wakes = self.lives.values().filter_map(|tended| tended.wake_at).map(|at| self.clock.when(at));
        wakes.chain(self.machine.next_end()).chain([self.next_beat]).min()
    }

    /// A program that has come to its end ends.
    fn end_one(&mut self, api: &Api) {
        let Some((uid, runs)) = self.machine.end_next(api.now, self.clock.read(api.now)) else { return };
        if let Some(tended) = self.lives.get_mut(&uid) {
            tended.tell(Report::Runs(runs));
        }
    }

    /// A container of one of the pods dies of itself.
    pub fn crash(&mut self, random: &mut Random, now: Timestamp) {
        let uids: Vec<String> = self.lives.keys().cloned().collect();
        let Some(uid) = random.of(&uids) else { return };
        let Some(sandbox) = self.machine.sandbox(uid) else { return };
        let alive: Vec<String> = sandbox.alive().map(|run| run.id.clone()).collect();
        let Some(id) = random.of(&alive) else { return };
        let runs = sandbox.end(id, 1, self.clock.read(now));
        if let Some(tended) = self.lives.get_mut(uid) {
            tended.tell(Report::Runs(runs));
        }
    }

    /// A whole sandbox is lost, as with its shim.
    pub fn lose(&mut self, random: &mut Random) {
        let uids: Vec<String> = self.machine.sandboxes().map(|(uid, _)| uid.clone()).collect();
        let Some(uid) = random.of(&uids) else { return };
        if let Some(tended) = self.lives.get_mut(uid) {
            // Nothing is heard any more of what it had or was about to be.
            tended.reports.retain(|report| !matches!(report, Report::Runs(_) | Report::SandboxReady { .. }));
            tended.tell(Report::SandboxLost);
            self.machine.lose(uid);
        }
    }
}

fn reference(pod: &Pod) -> PodRef {
    let text = |text: &Option<String>| Arc::<str>::from(text.as_deref().unwrap_or_default());
    PodRef { namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name) }
}
