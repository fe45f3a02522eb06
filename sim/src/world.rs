//! One run: steps by chance while the user is at work, then rest, then judgement.

use jiff::{SignedDuration, Timestamp};
use kelson_machinery::meta;
use kelson_plans::{Action, Resource, Settings};
use serde_json::{Value, json};

use crate::always::Always;
use crate::api::Api;
use crate::carry::Luck;
use crate::chaos;
use crate::check;
use crate::clock::later;
use crate::controllers::Controllers;
use crate::node::{GRACE, Node, Stopped, is_chosen};
use crate::random::Random;
use crate::user;

/// Steps a world may take to come to rest before it counts as restless.
const REST: usize = 200_000;
/// Without a write for so long a world is at rest: longer than any back-off, and than a node is ever away.
const QUIET: SignedDuration = SignedDuration::from_secs(430);
/// How much of its grace a pod may be kept from ending, and the longest it may be (`kelson_pods`' bound).
const DRAIN: (i64, i64) = (3, 10);
/// Balancer addresses there are: two.
const BALANCERS: &str = "198.51.100.64/30";

/// How long the user is at work.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pub steps: usize,
    /// Every write is printed.
    pub tell: bool,
}

impl Length {
    /// So many steps, and nothing told.
    pub fn of(steps: usize) -> Self {
        Self { steps, tell: false }
    }
}

/// What a run was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Whether nothing failed of itself, so that rollouts had to keep within their bounds.
    pub calm: bool,
    pub writes: u64,
    pub pods_stopped: usize,
    pub services: usize,
    pub ingresses: usize,
    pub jobs: usize,
    /// Pods that were to be driven away for more important ones.
    pub preempted: usize,
    /// Times that a quota had no room.
    pub over_quota: usize,
    /// Pods bound that have a port of their node.
    pub host_ports: usize,
    pub ready_pods: usize,
    /// Steps from the user's last work to rest.
    pub steps_to_rest: usize,
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
    always: Always,
    calm: bool,
    stopped: usize,
}

/// Who may do something next.
#[derive(Clone, Copy)]
enum Actor {
    Watches,
    Plans,
    Node(usize),
}

/// Runs one seed.
pub fn run(seed: u64, length: Length) -> Result<Report, Failure> {
    let mut world = World::new(seed);
    world.always.tells = length.tell;
    let fail = |step, what| Failure { seed, step, what };
    for step in 0..length.steps {
        world.step(true).map_err(|what| fail(step, what))?;
    }
    user::leave(&mut world.api);
    world.nodes.iter_mut().for_each(Node::recover);
    let steps = world.rest().map_err(|what| fail(length.steps, what))?;
    check::all(&world).map_err(|what| fail(length.steps + steps, what))?;
    Ok(world.report(steps))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let start = Timestamp::from_second(1_700_000_000).expect("within range");
        let calm = random.once_in(4);
        let api = Api::new(Random(random.draw()), start);
        let settings = Settings {
            root_ca: Some("-----BEGIN CERTIFICATE-----".to_owned()),
            node_grace_seconds: GRACE.as_secs(),
            load_balancer_pools: vec![BALANCERS.parse().expect("a range")],
            ..Settings::default()
        };
        let nodes = (1..=2 + random.below(2) as u8).map(|index| Node::new(index, start)).collect();
        let controllers = Controllers::new(settings);
        let mut world = Self { api, controllers, nodes, random, always: Always::new(calm), calm, stopped: 0 };
        world.furnish();
        world
    }

    /// What every cluster begins with.
    fn furnish(&mut self) {
        for name in ["default", "kube-system", "kube-node-lease", "shop"] {
            self.must_create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        self.must_create(json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "kelson.dev/local", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
        }));
        for (name, controller) in [("kelson", "kelson.dev/ingress"), ("other", "example.com/other")] {
            self.must_create(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
                "spec": {"controller": controller},
            }));
        }
    }

    fn must_create(&mut self, object: Value) {
        self.api.create(object.clone()).unwrap_or_else(|refusal| panic!("{refusal:?}: {object}"));
    }

    /// Whether nothing fails of itself in this world.
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// How many of a job's pods have succeeded, by its uid.
    pub fn succeeded(&self, job: &str) -> usize {
        self.always.succeeded(job)
    }

    /// One thing happens, by chance; false if there was nothing to do.
    fn step(&mut self, trouble: bool) -> Result<bool, String> {
        self.api.now = later(self.api.now, SignedDuration::from_micros(self.random.below(2000) as i64));
        self.controllers.ripen(self.api.now);
        let done = match trouble {
            true if self.random.once_in(25) => self.act_as_user(),
            true if self.random.once_in(80) => self.strike(),
            _ => self.somebody_acts(trouble)?,
        };
        self.settle_nodes();
        self.always.look(&mut self.api, &self.nodes)?;
        Ok(done)
    }

    fn act_as_user(&mut self) -> bool {
        user::act(&mut self.api, &mut self.random, self.calm);
        true
    }

    fn strike(&mut self) -> bool {
        chaos::strike(self);
        true
    }

    fn somebody_acts(&mut self, trouble: bool) -> Result<bool, String> {
        let actor = match self.random.of(&self.actors()) {
            Some(actor) => *actor,
            None if trouble => {
                let idle = SignedDuration::from_millis(self.random.below(3000) as i64);
                self.api.now = later(self.api.now, idle);
                return Ok(false);
            }
            None => return Ok(false),
        };
        match actor {
            Actor::Watches => self.controllers.hear(&self.api, &mut self.random),
            Actor::Plans => self.plan(trouble),
            Actor::Node(index) => {
                let rough = trouble && !self.calm;
                let stopped = self.nodes[index].step(&mut self.api, &mut self.random, rough);
                if let Some(stopped) = stopped {
                    self.stopped += 1;
                    self.judge_stop(index, &stopped)?;
                }
            }
        }
        Ok(true)
    }

    fn actors(&self) -> Vec<Actor> {
        let mut actors = Vec::new();
        actors.extend(self.controllers.can_hear(&self.api).then_some(Actor::Watches));
        actors.extend(self.controllers.can_work().then_some(Actor::Plans));
        let busy = (0..self.nodes.len()).filter(|index| self.nodes[*index].is_busy(&self.api));
        actors.extend(busy.map(Actor::Node));
        actors
    }

    fn plan(&mut self, trouble: bool) {
        let (always, calm) = (&mut self.always, self.calm);
        let mut luck = Random(self.random.draw());
        let luck = |action: &Action| match luck.below(60) {
            _ if !trouble => Luck::Good,
            0 | 1 => Luck::Conflict,
            2 => Luck::Lost,
            // What has no name yet is made twice where the answer was lost, in upstream too.
            3 if !(calm && matches!(action, Action::Create { .. })) => {
                always.spoil(action);
                Luck::Unanswered
            }
            _ => Luck::Good,
        };
        self.controllers.work(&mut self.api, &mut self.random, luck);
    }

    /// Notes which nodes the controllers know to be ready.
    fn settle_nodes(&mut self) {
        for node in &mut self.nodes {
            let heard = self.controllers.heard_of_nodes() >= node.ready_version && node.ready_version > 0;
            if heard && node.settled_at.is_none() {
                node.settled_at = Some(self.api.now);
            }
        }
    }

    /// Nobody sends new connections to a pod that was told to stop, unless it has waited as long as it may. Only nodes
    /// count that were known to be ready when the pod was asked to go.
    fn judge_stop(&self, index: usize, stopped: &Stopped) -> Result<(), String> {
        let meta = &stopped.pod.metadata;
        let Some(asked) = meta.uid.as_ref().and_then(|uid| self.api.asked.get(uid)).copied() else {
            return Ok(());
        };
        let grace = meta.deletion_grace_period_seconds.unwrap_or(0);
        let waited = self.api.now.duration_since(asked).as_secs_f64();
        // Of a pod taken out of its Services before, its node can know that somebody still sends to it if it saw that.
        let known =
            is_chosen(&stopped.pod, &self.api) || self.nodes[index].saw_leave(&stopped.pod, self.api.now);
        if meta.deletion_timestamp.is_none() || !known {
            return Ok(());
        }
        let jumped = self.nodes[index].clock.jumped.is_some_and(|jumped| jumped >= asked);
        if jumped || grace <= 1 || waited + 1.0 >= (grace as f64 / DRAIN.0 as f64).min(DRAIN.1 as f64) {
            return Ok(());
        }
        let counts =
            |node: &&Node| node.settled_at.is_some_and(|since| since < asked) && node.is_ready(&self.api);
        match self.nodes.iter().filter(counts).find(|node| node.plane.sends_to(stopped.address)) {
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
        let (mut news, mut since) = (self.api.news, self.api.now);
        for steps in 0..REST {
            let done = self.step(false)?;
            if self.api.news != news {
                (news, since) = (self.api.news, self.api.now);
            }
            if done {
                continue;
            }
            match self.next_due() {
                _ if self.api.now.duration_since(since) > QUIET => return Ok(steps),
                Some(due) => self.api.now = self.api.now.max(due),
                None => return Ok(steps),
            }
        }
        Err(format!("no rest after {REST} steps: {}", self.unrest()))
    }

    /// Who is still at it, for the message.
    fn unrest(&self) -> String {
        let busy = self.nodes.iter().filter(|node| node.is_busy(&self.api)).map(|node| node.name.as_str());
        let busy: Vec<&str> = busy.collect();
        let (due, tasks) = (self.next_due(), self.controllers.unrest());
        let last = self.api.last_writes(6);
        format!("{busy:?} at {}, next due {due:?}, {tasks}; last written: {last}", self.api.now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        let nodes = self.nodes.iter().filter_map(|node| node.next_due(self.api.now));
        nodes.chain(self.controllers.next_due()).min()
    }

    fn report(&self, steps_to_rest: usize) -> Report {
        let count = |plural: &str| self.api.all(&resource(plural)).count();
        Report {
            calm: self.calm,
            writes: self.api.version(),
            pods_stopped: self.stopped,
            services: count("services"),
            ingresses: count("ingresses"),
            jobs: count("jobs"),
            preempted: self.controllers.preempted,
            over_quota: self.api.over_quota,
            host_ports: self.always.ports,
            ready_pods: self.api.all(&resource("pods")).filter(|(_, pod)| is_ready(pod)).count(),
            steps_to_rest,
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
