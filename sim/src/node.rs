//! A node: every pod's life as `logic/pods` decides it, on a faked runtime; its data plane; what it has applied.
//!
//! The node's process may die at any moment: lives are forgotten, the machine goes on, and the next process adopts what
//! it finds.

mod act;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, PodStatus, Service};
use kelson_machinery::meta;
use kelson_model::{PodRef, Revision, Ways};
use kelson_plans::{Key, Resource, programmed, select};
use kelson_pods::{Drain, Life, NodeFacts, Report, Sight};
use serde_json::Value;

use crate::api::{Api, Part, Place};
use crate::controllers::typed;
use crate::plane::Plane;
use crate::random::Random;
use crate::runtime::Machine;
use crate::watch::{Heard, Watch};

/// One node and its process.
pub struct Node {
    pub name: String,
    pub machine: Machine,
    pub plane: Plane,
    address: IpAddr,
    watch: Watch,
    floors: Watch,
    floor: Revision,
    published: Revision,
    lives: BTreeMap<String, Tended>,
}

/// A pod under the node's care.
struct Tended {
    pod: Pod,
    life: Life,
    drain: Drain,
    /// What happened and was not yet told, in any order.
    reports: Vec<Report>,
    wake_at: Option<Timestamp>,
    /// The status the API was last told, or was found to say already.
    told: Option<PodStatus>,
    stale: bool,
}

/// A pod was told to stop.
#[derive(Debug)]
pub struct Stopped {
    pub address: IpAddr,
    pub pod: Box<Pod>,
}

impl Node {
    pub fn new(index: u8) -> Self {
        let name = format!("node-{index}");
        let address = IpAddr::from([192, 0, 2, index]);
        Self {
            machine: Machine::new(index),
            plane: Plane::new(&name, address),
            address,
            name,
            watch: Watch::new(Resource::of::<Pod>(true)),
            floors: Watch::new(Resource::of::<Lease>(true)),
            floor: Revision::default(),
            published: Revision::default(),
            lives: BTreeMap::new(),
        }
    }

    /// The process ends and another begins.
    pub fn restart(&mut self) {
        self.watch.cut();
        self.floors.cut();
        self.plane.restart();
        (self.floor, self.published) = Default::default();
        self.lives.clear();
    }

    /// A watch breaks.
    pub fn cut(&mut self, random: &mut Random) {
        match random.below(3) {
            0 => self.watch.cut(),
            1 => self.floors.cut(),
            _ => self.plane.cut(random),
        }
    }

    /// One thing the node can do, by chance. Whether there was one of the kind chance chose.
    pub fn step(&mut self, api: &mut Api, random: &mut Random, trouble: bool) -> (bool, Option<Stopped>) {
        match random.below(8) {
            0 | 1 => (self.hear(api), None),
            2 => (self.hear_floor(api), None),
            3 => (self.plane.hear(api, random), None),
            4 => (self.plane.apply() | self.publish(api), None),
            _ => self.tend(api, random, trouble),
        }
    }

    /// Hears of one pod.
    fn hear(&mut self, api: &Api) -> bool {
        let Some(heard) = self.watch.next(api) else { return false };
        match heard {
            Heard::Listed(objects) => {
                let ours: Vec<Arc<Value>> = objects.into_iter().filter(|pod| self.is_ours(pod)).collect();
                let known: BTreeSet<&str> = ours.iter().map(|pod| meta::uid(pod)).collect();
                self.machine.sweep(|uid| known.contains(uid) || self.lives.contains_key(uid));
                for (_, tended) in self.lives.iter_mut().filter(|(uid, _)| !known.contains(uid.as_str())) {
                    tended.tell(Report::Gone);
                }
                ours.iter().for_each(|pod| self.see(pod, api.now));
            }
            Heard::Applied(pod) if self.is_ours(&pod) => self.see(&pod, api.now),
            Heard::Applied(_) => {}
            Heard::Deleted(key) => {
                let gone = self.lives.values_mut().filter(|tended| Key::of(&tended.pod.metadata) == key);
                gone.for_each(|tended| tended.tell(Report::Gone));
            }
        }
        true
    }

    fn is_ours(&self, pod: &Value) -> bool {
        meta::get_str(pod, &["spec", "nodeName"]) == self.name
    }

    fn see(&mut self, pod: &Value, now: Timestamp) {
        let uid = meta::uid(pod).to_owned();
        let pod: Pod = (*typed::<Pod>(pod)).clone();
        if let Some(tended) = self.lives.get_mut(&uid) {
            (tended.pod, tended.stale) = (pod, true);
            return;
        }
        // Of the same name, but another: the old one is gone.
        let key = Key::of(&pod.metadata);
        let namesakes = self.lives.values_mut().filter(|tended| Key::of(&tended.pod.metadata) == key);
        namesakes.for_each(|tended| tended.tell(Report::Gone));
        let mut life = Life::new(NodeFacts { ips: vec![self.address.to_string()] }, now);
        if let Some(sandbox) = self.machine.sandbox(&uid) {
            life.adopt(vec![sandbox.address.clone()], sandbox.runs.clone());
        }
        let (reports, drain) = (vec![Report::ServicesKnown], Drain::default());
        self.lives.insert(uid, Tended { pod, life, drain, reports, wake_at: None, told: None, stale: true });
    }

    /// Hears how far all nodes have come.
    fn hear_floor(&mut self, api: &Api) -> bool {
        let Some(heard) = self.floors.next(api) else { return false };
        let leases = match heard {
            Heard::Listed(objects) => objects,
            Heard::Applied(object) => vec![object],
            Heard::Deleted(_) => Vec::new(),
        };
        for lease in leases.iter().filter(|lease| meta::name(lease) == programmed::FLOOR) {
            self.floor = self.floor.join(programmed::revision(&typed::<Lease>(lease)));
            self.lives.values_mut().for_each(|tended| tended.stale = true);
        }
        true
    }

    /// Tells the others how far this data plane has come.
    fn publish(&mut self, api: &mut Api) -> bool {
        let revision = self.plane.snapshot.revision;
        if revision == self.published || !self.plane.snapshot.synced {
            return false;
        }
        let name = programmed::lease_name(&self.name);
        let lease = programmed::lease(&name, &self.name, revision, api.now);
        let mut lease = serde_json::to_value(&lease).expect("a Lease is JSON");
        meta::set_type(&mut lease, "coordination.k8s.io/v1", "Lease");
        let key = Key::new(programmed::NAMESPACE, name);
        let place = Place { resource: Resource::of::<Lease>(true), key };
        let annotations = lease["metadata"]["annotations"].clone();
        let told = match api.get(&place.resource, &place.key) {
            None => api.create(lease).map(drop),
            Some(_) => api.edit(&place, Part::Main, |object| object["metadata"]["annotations"] = annotations),
        };
        if told.is_ok() {
            self.published = revision;
        }
        true
    }

    /// One pod's life goes on by a step.
    fn tend(&mut self, api: &mut Api, random: &mut Random, trouble: bool) -> (bool, Option<Stopped>) {
        let lively = self.lives.iter().filter(|(_, tended)| tended.is_lively(api.now));
        let lively: Vec<String> = lively.map(|(uid, _)| uid.clone()).collect();
        let Some(uid) = random.of(&lively) else { return (false, None) };
        let Some(mut tended) = self.lives.remove(uid) else { return (false, None) };
        if !tended.reports.is_empty() {
            let report = tended.reports.swap_remove(random.below(tended.reports.len()));
            tended.life.report(&tended.pod, report, api.now);
        }
        self.watch_the_ways(&mut tended, api);
        let decision = tended.life.step(&tended.pod, api.now);
        (tended.wake_at, tended.stale) = (decision.wake_at, false);
        let mut stopped = None;
        for action in decision.actions {
            stopped = self.act(uid, &mut tended, action, api, random, trouble).or(stopped);
        }
        if decision.finished {
            return (true, stopped);
        }
        if tended.told.as_ref() != Some(&decision.status) {
            write_status(&mut tended, decision.status, api);
        }
        self.lives.insert(uid.clone(), tended);
        (true, stopped)
    }

    /// Looks whether new connections may still be sent to a pod on its way out.
    /// Which Services choose the pod is asked of the API itself: a node that has not heard of a Service cannot wait for it.
    fn watch_the_ways(&self, tended: &mut Tended, api: &Api) {
        if tended.pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let meta = &tended.pod.metadata;
        let text = |text: &Option<String>| Arc::<str>::from(text.as_deref().unwrap_or_default());
        let pod = PodRef { namespace: text(&meta.namespace), name: text(&meta.name) };
        let snapshot = &self.plane.snapshot;
        let sight = Sight {
            ways: if snapshot.synced { snapshot.ways_to(&pod) } else { Ways::Open },
            expected: kelson_plans::pod::is_ready(&tended.pod) && is_chosen(&tended.pod, api),
            seen: snapshot.revision,
            everywhere: self.floor,
        };
        let over = tended.drain.is_over(&sight);
        tended.life.report(&tended.pod, Report::Drained(over), api.now);
    }

    pub fn is_busy(&self, api: &Api) -> bool {
        let watches = [&self.watch, &self.floors];
        watches.iter().any(|watch| watch.is_behind(api))
            || self.plane.is_busy(api)
            || self.plane.snapshot.revision != self.published
            || self.lives.values().any(|tended| tended.is_lively(api.now))
    }

    /// The pods under care that should have gone, with where they stand.
    pub fn lingering(&self) -> impl Iterator<Item = String> + '_ {
        let going = self.lives.values().filter(|tended| tended.pod.metadata.deletion_timestamp.is_some());
        going.map(|tended| format!("{} on {}: {:#?}", Key::of(&tended.pod.metadata), self.name, tended.life))
    }

    /// When the next pod is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lives.values().filter_map(|tended| tended.wake_at).min()
    }

    /// A container of one of the pods dies of itself.
    pub fn crash(&mut self, random: &mut Random, now: Timestamp) {
        let uids: Vec<String> = self.lives.keys().cloned().collect();
        let Some(uid) = random.of(&uids) else { return };
        let Some(sandbox) = self.machine.sandbox(uid) else { return };
        let alive: Vec<String> = sandbox.alive().map(|run| run.id.clone()).collect();
        let Some(id) = random.of(&alive) else { return };
        let runs = sandbox.end(id, 1, now);
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
            self.machine.stop(uid);
        }
    }
}

impl Tended {
    fn tell(&mut self, report: Report) {
        self.reports.push(report);
    }

    fn is_lively(&self, now: Timestamp) -> bool {
        self.stale || !self.reports.is_empty() || self.wake_at.is_some_and(|at| at <= now)
    }
}

/// Whether a Service with an address of its own chooses the pod, as the API has it.
pub(crate) fn is_chosen(pod: &Pod, api: &Api) -> bool {
    let resource = Resource::of::<Service>(true);
    let mut selectors = api
        .all(&resource)
        .filter(|(key, _)| Some(&key.namespace) == pod.metadata.namespace.as_ref())
        .filter(|(_, service)| !matches!(meta::get_str(service, &["spec", "clusterIP"]), "" | "None"))
        .map(|(_, service)| typed::<Service>(service).spec.clone().and_then(|spec| spec.selector));
    selectors.any(|selector| {
        let selector = selector.filter(|selector| !selector.is_empty());
        selector.is_some_and(|selector| select::matches_all(&selector, pod.metadata.labels.as_ref()))
    })
}

fn write_status(tended: &mut Tended, status: PodStatus, api: &mut Api) {
    let place = Place { resource: Resource::of::<Pod>(true), key: Key::of(&tended.pod.metadata) };
    let uid = tended.pod.metadata.uid.clone().unwrap_or_default();
    if api.get(&place.resource, &place.key).is_none_or(|pod| meta::uid(pod) != uid) {
        return;
    }
    let json = serde_json::to_value(&status).expect("a status is JSON");
    let written = api.edit(&place, Part::Status, |pod| pod["status"] = json);
    written.unwrap_or_else(|refusal| panic!("the API refuses a pod's status: {refusal:?}\n{status:#?}"));
    tended.told = Some(status.clone());
    // At once, for there is one write in flight at a time: two answers never overtake each other.
    tended.life.report(&tended.pod, Report::Written(Box::new(status)), api.now);
    tended.stale = true;
}
