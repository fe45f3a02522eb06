//! Controllers at work: reflectors feed one view, changes wake tasks, tasks are planned and carried out.
//!
//! The middle of the way "a pod becoming ready": API → reflect → **view → plan** → executor → API. One task
//! owns view and queue, so that nothing is locked and every plan sees one consistent state; only requests
//! run beside it. Invariants: a task is never carried out twice at once; it is not planned again before the
//! view has seen what its last plan wrote (or a time-out has passed); a refused task waits longer each time.

mod feed;
mod queue;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Service};
use kelson_plans::kinds::KEPT;
use kelson_plans::{Action, Changed, Controller, Kept, Plan, Resource, Settings, Task, View};
use kelson_process::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::events::{Recorder, Source};
use crate::executor::{self, Carried, Expect};
use crate::{backoff::Backoff, discovery};
use feed::{Feed, News};
use queue::Queue;

/// Changes taken in at once before tasks get their turn.
const BATCH: usize = 512;
/// Plans being carried out at a time.
const FLIGHTS: usize = 64;
/// How long to wait for the view to show what was written: past that, the watch has worse troubles.
const PATIENCE: Duration = Duration::from_secs(5);

/// How controllers are set; see `kelson_plans::Settings`.
pub type ControllerConfig = Settings;

/// Runs every controller of `kelson_plans` until `shutdown`.
pub async fn run_controllers(client: kube::Client, config: ControllerConfig, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = run(client, config, Scope::All, shutdown.clone()) => {}
    }
}

/// Runs the one that gives balancer addresses, and no other, until `shutdown`; it follows what that reads and no more.
pub async fn run_balancer(client: kube::Client, config: ControllerConfig, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = run(client, config, Scope::Balancer, shutdown.clone()) => {}
    }
}

/// Which controllers are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Balancer,
}

impl Scope {
    fn includes(self, controller: Controller) -> bool {
        self == Self::All || controller == Controller::LoadBalancer
    }
}

/// What balancer addresses are decided on.
const OF_BALANCER: &[Resource] = &[<Node as Kept>::RESOURCE, <Service as Kept>::RESOURCE];

async fn run(client: kube::Client, settings: Settings, scope: Scope, shutdown: Shutdown) {
    let (kept, resources) = match scope {
        Scope::All => (KEPT, discovery::resources(&client).await),
        Scope::Balancer => (OF_BALANCER, Vec::new()),
    };
    let mut feed = Feed::start(&client, kept, &resources);
    let source = Source { component: "controllers".to_owned(), host: None };
    let recorder = Recorder::start(client.clone(), source, shutdown);
    let view = View { settings, resources, ..View::default() };
    Runner::new(client, recorder, view, scope).run(&mut feed.news, feed.sources).await;
}

struct Runner {
    client: kube::Client,
    recorder: Recorder,
    view: View,
    scope: Scope,
    queue: Queue,
    flights: JoinSet<(Task, Carried)>,
    waiting: BTreeMap<Task, Waiting>,
    backoffs: BTreeMap<Task, Backoff>,
    heard: BTreeMap<Resource, u64>,
    /// Collections whose first list has not come.
    unheard: usize,
}

/// A task whose last plan was carried out, but is not yet in the view.
struct Waiting {
    expects: Vec<Expect>,
    until: Instant,
}

impl Runner {
    fn new(client: kube::Client, recorder: Recorder, view: View, scope: Scope) -> Self {
        let (queue, flights) = (Queue::default(), JoinSet::new());
        let (waiting, backoffs, heard) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { client, recorder, view, scope, queue, flights, waiting, backoffs, heard, unheard: 0 }
    }

    async fn run(&mut self, news: &mut mpsc::Receiver<News>, sources: usize) {
        self.unheard = sources;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = self.next_due();
            tokio::select! {
                count = news.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|one| self.take_in(one));
                }
                Some(done) = self.flights.join_next() => self.landed(done),
                () = tokio::time::sleep_until(due) => {}
            }
            if self.unheard == 0 {
                self.look();
            }
        }
    }

    /// Folds one change and wakes whom it concerns.
    fn take_in(&mut self, news: News) {
        let heard = self.heard.entry(news.resource).or_default();
        *heard = (*heard).max(news.version);
        for changed in (news.fold)(&mut self.view, kelson_process::now()) {
            let woken = kelson_plans::wake(&self.view, &changed).into_iter();
            let scope = self.scope;
            woken.filter(|task| scope.includes(task.controller)).for_each(|task| self.queue.push(task));
            // What the first lists hold was there before: nobody changed it.
            if self.unheard == 0 {
                self.remark(&changed);
            }
        }
        self.unheard -= usize::from(news.first);
    }

    /// Tells what a change gives occasion to, though nothing is to be done about it.
    fn remark(&self, changed: &Changed) {
        for (controller, reason) in kelson_plans::remarks(&self.view, changed) {
            self.recorder.signed(controller.component()).record(&reason, &reason.message);
        }
    }

    /// When something is due though nothing happens.
    fn next_due(&self) -> Instant {
        let patience = self.waiting.values().map(|waiting| waiting.until);
        let far = Instant::now() + Duration::from_secs(3600);
        patience.chain(self.queue.next_due()).min().unwrap_or(far)
    }

    /// Plans every task that is ready, as far as there is room.
    fn look(&mut self) {
        self.release();
        self.queue.ripen(Instant::now());
        while self.flights.len() < FLIGHTS
            && let Some(task) = self.queue.pop()
        {
            if !self.waiting.contains_key(&task) {
                self.plan(task);
            } else {
                self.queue.defer(task);
            }
        }
    }

    /// Lets go the tasks whose writes the view has seen, and those that waited long enough.
    fn release(&mut self) {
        let (view, heard, now) = (&self.view, &self.heard, Instant::now());
        let is_met = |expect: &Expect| is_met(expect, view, heard);
        let mut released = Vec::new();
        self.waiting.retain(|task, waiting| {
            waiting.expects.retain(|expect| !is_met(expect));
            let late = waiting.until <= now;
            if late && !waiting.expects.is_empty() {
                warn!(?task, expects = ?waiting.expects, "the watch does not show what was written; going on");
            }
            let done = late || waiting.expects.is_empty();
            if done {
                released.push(task.clone());
            }
            !done
        });
        released.into_iter().for_each(|task| self.queue.undefer(task));
    }

    fn plan(&mut self, task: Task) {
        let plan = kelson_plans::plan(&self.view, &task, kelson_process::now());
        if let Some(after) = plan.requeue_after {
            self.queue.push_at(task.clone(), Instant::now() + duration(after));
        }
        if plan.is_empty() {
            self.backoffs.remove(&task);
            self.view.failures.remove(&task);
            return;
        }
        debug!(?task, stages = plan.stages.len(), "carrying out");
        let collected = self.collected(&plan);
        let recorder = self.recorder.signed(task.controller.component());
        let flight = executor::carry(self.client.clone(), recorder, plan);
        self.queue.fly(task.clone());
        self.flights.spawn(async move {
            let mut carried = flight.await;
            carried.expects.extend(collected);
            (task, carried)
        });
    }

    /// The objects that a plan deletes by collection: the view must see them go, too.
    fn collected(&self, plan: &Plan) -> Vec<Expect> {
        let mut expects = Vec::new();
        for action in plan.actions() {
            let Action::DeleteCollection { resource, namespace } = action else { continue };
            let within = self.view.graph.within(namespace);
            let going = within.filter(|vertex| vertex.resource.same_collection(resource));
            expects.extend(going.map(|vertex| Expect::Leaving(vertex.uid.to_string())));
        }
        expects
    }

    fn landed(&mut self, done: Result<(Task, Carried), tokio::task::JoinError>) {
        let (task, carried) = match done {
            Ok(landed) => landed,
            Err(error) => {
                // The task stays marked as under way: better one object unattended than all of them.
                error!(%error, "carrying out a plan broke off");
                return;
            }
        };
        self.queue.land(&task);
        match carried.refusal {
            Some(refusal) => {
                let wait = self.backoffs.entry(task.clone()).or_default().next();
                info!(?task, refusal, wait_ms = wait.as_millis() as u64, "the API refused; trying again");
                self.view.failures.insert(task.clone(), refusal);
                self.queue.push_at(task.clone(), Instant::now() + wait);
            }
            None if carried.stale => {
                let wait = self.backoffs.entry(task.clone()).or_default().next() / 10;
                self.queue.push_at(task.clone(), Instant::now() + wait);
            }
            None => {
                self.backoffs.remove(&task);
                if self.view.failures.remove(&task).is_some() {
                    self.queue.push(task.clone());
                }
            }
        }
        let expects = carried.expects;
        if !expects.is_empty() {
            self.waiting.insert(task, Waiting { expects, until: Instant::now() + PATIENCE });
        }
    }
}

fn is_met(expect: &Expect, view: &View, heard: &BTreeMap<Resource, u64>) -> bool {
    match expect {
        // A collection that nobody follows is not waited for.
        Expect::Heard(resource, version) => heard.get(resource).is_none_or(|heard| heard >= version),
        Expect::Leaving(uid) => view.graph.get(uid).is_none_or(|vertex| vertex.deleting),
        Expect::Bound(uid) => view.graph.get(uid).is_none_or(|vertex| {
            view.pods.get(&vertex.key).is_none_or(|pod| kelson_plans::pod::node(pod).is_some())
        }),
    }
}

fn duration(after: SignedDuration) -> Duration {
    Duration::try_from(after).unwrap_or(Duration::ZERO)
}
