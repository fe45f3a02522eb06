//! One run: steps by chance while the user is at work, then rest, then judgement.

use jiff::{SignedDuration, Timestamp};
use kelson_machinery::{meta, time};
use kelson_plans::{Resource, Settings};
use serde_json::{Value, json};

use crate::api::{Api, Part, Place};
use crate::chaos;
use crate::check;
use crate::controllers::Controllers;
use crate::node::{Node, Stopped, is_chosen};
use crate::random::Random;
use crate::user;

/// Steps a world may take to come to rest before it counts as restless.
const REST: usize = 400_000;
/// Without a write for so long a world is at rest: longer than any back-off.
const QUIET: SignedDuration = SignedDuration::from_secs(330);
/// How much of its grace a pod may be kept from ending, and the longest it may be (`kelson_pods`' bound).
const DRAIN: (i64, i64) = (3, 10);

/// How long the user is at work.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pub steps: usize,
}

/// What a run was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub writes: u64,
    pub pods_stopped: usize,
    pub services: usize,
    pub ready_pods: usize,
}

/// Something that must not be, and after which step it was seen.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub step: usize,
    pub what: String,
}

/// Everything there is.
pub(crate) struct World {
    pub api: Api,
    pub controllers: Controllers,
    pub nodes: Vec<Node>,
    pub random: Random,
    stopped: usize,
}

/// Runs one seed.
pub fn run(seed: u64, length: Length) -> Result<Report, Failure> {
    let mut world = World::new(seed);
    let fail = |step, what| Failure { seed, step, what };
    for step in 0..length.steps {
        world.step(true).map_err(|what| fail(step, what))?;
    }
    let steps = world.rest().map_err(|what| fail(length.steps, what))?;
    check::all(&world).map_err(|what| fail(length.steps + steps, what))?;
    Ok(world.report())
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let start = Timestamp::from_second(1_700_000_000).expect("within range");
        let api = Api::new(Random(random.draw()), start);
        // Nodes here send no heartbeats, so their silence means nothing.
        let settings = Settings { node_grace_seconds: 100_000_000, ..Settings::default() };
        let nodes = (1..=2 + random.below(2) as u8).map(Node::new).collect();
        let mut world = Self { api, controllers: Controllers::new(settings), nodes, random, stopped: 0 };
        world.furnish();
        world
    }

    /// What every cluster begins with.
    fn furnish(&mut self) {
        for name in ["default", "kube-system", "shop"] {
            self.must_create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        for name in names {
            let place =
                self.must_create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
            let status = json!({
                "allocatable": {"cpu": "64", "memory": "64Gi", "pods": "50"},
                "capacity": {"cpu": "64", "memory": "64Gi", "pods": "50"},
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time::seconds(self.api.now)}],
            });
            let told = self.api.edit(&place, Part::Status, |node| node["status"] = status);
            told.expect("a node's status is taken");
        }
    }

    fn must_create(&mut self, object: Value) -> Place {
        self.api.create(object.clone()).unwrap_or_else(|refusal| panic!("{refusal:?}: {object}"))
    }

    /// One thing happens, by chance. Whether anything did.
    fn step(&mut self, trouble: bool) -> Result<bool, String> {
        self.api.now += SignedDuration::from_micros(self.random.below(2000) as i64);
        let happened = match self.random.below(12) {
            0..=2 => self.controllers.hear(&self.api, &mut self.random),
            3..=5 => self.controllers.work(&mut self.api, &mut self.random, trouble),
            6 if trouble => {
                user::act(&mut self.api, &mut self.random);
                true
            }
            7 if trouble && self.random.once_in(10) => {
                chaos::strike(self);
                true
            }
            _ => self.node_step(trouble)?,
        };
        Ok(happened)
    }

    fn node_step(&mut self, trouble: bool) -> Result<bool, String> {
        let index = self.random.below(self.nodes.len());
        let (happened, stopped) = self.nodes[index].step(&mut self.api, &mut self.random, trouble);
        if let Some(stopped) = stopped {
            self.stopped += 1;
            self.judge_stop(&stopped)?;
        }
        Ok(happened)
    }

    /// Nobody sends new connections to a pod that was told to stop, unless it has waited as long as it may.
    fn judge_stop(&self, stopped: &Stopped) -> Result<(), String> {
        let meta = &stopped.pod.metadata;
        let Some(deadline) = meta.deletion_timestamp.as_ref().map(|time| time.0) else { return Ok(()) };
        let grace = meta.deletion_grace_period_seconds.unwrap_or(0);
        let waited = self.api.now.duration_since(deadline).as_secs_f64() + grace as f64;
        // A pod taken out of its Services just before is not waited for: its node cannot know who has not heard of it.
        if !is_chosen(&stopped.pod, &self.api) {
            return Ok(());
        }
        if grace <= 1 || waited + 1.0 >= (grace as f64 / DRAIN.0 as f64).min(DRAIN.1 as f64) {
            return Ok(());
        }
        match self.nodes.iter().find(|node| node.plane.sends_to(stopped.address)) {
            None => Ok(()),
            Some(node) => Err(format!(
                "{} was told to stop {waited:.3} s into its grace of {grace} s while {} still sends to {}",
                meta.name.as_deref().unwrap_or_default(),
                node.name,
                stopped.address
            )),
        }
    }

    /// Goes on without user and trouble until nothing has been written for so long that nothing is awaited any more; how
    /// many steps that took.
    fn rest(&mut self) -> Result<usize, String> {
        let (mut version, mut since) = (self.api.version(), self.api.now);
        for steps in 0..REST {
            self.step(false)?;
            if self.api.version() != version {
                (version, since) = (self.api.version(), self.api.now);
            }
            if self.is_busy() {
                continue;
            }
            match self.next_due() {
                _ if self.api.now.duration_since(since) > QUIET => return Ok(steps),
                Some(due) if due <= self.api.now => {}
                Some(due) if due < self.api.now + QUIET => self.api.now = due,
                _ => return Ok(steps),
            }
        }
        Err(format!("no rest after {REST} steps: {}", self.unrest()))
    }

    /// Who is still at it, for the message.
    fn unrest(&self) -> String {
        let busy = self.nodes.iter().filter(|node| node.is_busy(&self.api)).map(|node| node.name.as_str());
        let busy: Vec<&str> =
            busy.chain(self.controllers.is_busy(&self.api).then_some("controllers")).collect();
        format!("{busy:?} at {}, next due {:?}", self.api.now, self.next_due())
    }

    fn is_busy(&self) -> bool {
        self.controllers.is_busy(&self.api) || self.nodes.iter().any(|node| node.is_busy(&self.api))
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.nodes.iter().filter_map(Node::next_due).chain(self.controllers.next_due()).min()
    }

    fn report(&self) -> Report {
        let count = |plural: &str, of: &dyn Fn(&Value) -> bool| {
            let all =
                self.api.everything().filter(|(place, object)| place.resource.plural == plural && of(object));
            all.count()
        };
        Report {
            writes: self.api.version(),
            pods_stopped: self.stopped,
            services: count("services", &|_| true),
            ready_pods: count("pods", &is_ready),
        }
    }
}

/// Whether a pod takes requests.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = meta::get_list(pod, &["status", "conditions"]);
    meta::deletion_timestamp(pod).is_none()
        && conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// The resource of a registry's kind, by its plural.
pub(crate) fn resource(plural: &str) -> Resource {
    let kind = kelson_registry::kinds().iter().find(|kind| kind.plural == plural);
    crate::api::resource(kind.unwrap_or_else(|| panic!("no kind is called {plural}")))
}
