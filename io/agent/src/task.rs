//! One pod at work: observe → decide → act → tell the API; the only writer of this pod's status.
//!
//! Everything that takes time is a job beside the loop, so the loop always hears the next thing. Invariants: actions are
//! carried out once each; one status write is in flight at a time, always of the latest status; the task ends when the
//! pod is gone from node and API, or when kelson stops, which stops no container.

mod act;

use crate::error::chain;
use crate::host::Host;
use crate::jobs::Outcome;
use crate::objects::{Followed, Key, Kind, Known};
use crate::routes::Draining;
use crate::status::{self, Writer};
use crate::volumes::Mounted;
use crate::{labels, sandbox, volumes};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kelson_pods::{Decision, ImageFacts, Life, NodeFacts, Report, Run};
use kelson_process::Shutdown;
use kelson_runtime::{ContainerConfig, ContainerState, Phase};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a status that is only a station may wait for the one that follows.
const SETTLE: Duration = Duration::from_millis(250);
/// Longest sleep without news; a safety net against a clock that was set.
const SLEEP_MAX: Duration = Duration::from_secs(300);

/// The pod as the API has it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub pod: Arc<Pod>,
    /// The API no longer has it; `pod` is its last state.
    pub gone: bool,
    /// It has to go for what it uses of the node; the message is upstream's.
    pub displaced: Option<String>,
}

/// What others may know about a pod that is at work: its handle and its containers.
#[derive(Clone, Default)]
pub struct Public {
    pub pod: Option<Arc<Pod>>,
    pub shim: Option<kelson_runtime::Pod>,
    pub runs: Vec<Run>,
}

/// Works on one pod until it is gone.
pub async fn run(
    host: Arc<Host>,
    seen: watch::Receiver<Seen>,
    adopted: Option<kelson_runtime::Pod>,
    public: watch::Sender<Public>,
    shutdown: Shutdown,
) {
    let mut task = Task::new(host, seen, public);
    task.adopt(adopted).await;
    tokio::select! {
        () = task.work() => {}
        () = shutdown.cancelled() => {}
    }
}

struct Task {
    host: Arc<Host>,
    seen: watch::Receiver<Seen>,
    services: watch::Receiver<crate::services::Services>,
    public: watch::Sender<Public>,
    pod: Arc<Pod>,
    life: Life,
    shim: Option<kelson_runtime::Pod>,
    states: Option<watch::Receiver<Arc<Vec<ContainerState>>>>,
    configs: BTreeMap<String, ContainerConfig>,
    /// Runs as last reported, by id; an exit is read once, with its message.
    runs: BTreeMap<String, Run>,
    ips: Vec<String>,
    jobs: JoinSet<Outcome>,
    /// The objects the pod names: each followed as long as it is held here, and its changes.
    followed: Vec<(Arc<Followed>, watch::Receiver<Known>)>,
    writer: Writer,
    mounted: Mounted,
    /// The pod is on its way out, and Services may lead to it.
    draining: Option<Draining>,
    /// An update of the volumes' files is under way; another is wanted after it.
    refreshing: bool,
    refresh_again: bool,
}

/// Why the loop woke up.
enum News {
    Seen,
    Job(Outcome),
    States,
    Sources,
    Services,
    Routes,
    Written(Box<status::Answer>),
    Time,
}

impl Task {
    fn new(host: Arc<Host>, mut seen: watch::Receiver<Seen>, public: watch::Sender<Public>) -> Task {
        let pod = seen.borrow_and_update().pod.clone();
        let life = Life::new(NodeFacts { ips: host.node_ips() }, kelson_process::now());
        let writer = Writer::new(host.client.clone());
        let services = host.services.clone();
        let followed = follow(&host, &pod);
        Task {
            host,
            seen,
            services,
            public,
            pod,
            life,
            shim: None,
            states: None,
            configs: BTreeMap::new(),
            runs: BTreeMap::new(),
            ips: Vec::new(),
            jobs: JoinSet::new(),
            followed,
            writer,
            mounted: Mounted::default(),
            draining: None,
            refreshing: false,
            refresh_again: false,
        }
    }

    fn uid(&self) -> String {
        self.pod.metadata.uid.clone().unwrap_or_default()
    }

    /// Takes over what an earlier kelson started.
    async fn adopt(&mut self, shim: Option<kelson_runtime::Pod>) {
        let Some(shim) = shim else { return };
        self.configs = shim.containers().into_iter().map(|config| (config.id.clone(), config)).collect();
        // A sandbox without a container may be half made: another is made sooner than this one understood.
        if !shim.is_alive() || self.configs.is_empty() {
            tracing::info!(
                pod = self.name(),
                "a pod's containers are gone, or never were; they are started anew"
            );
            self.configs.clear();
            sandbox::stop(&self.host, &self.uid(), Some(shim), self.roots()).await;
            return;
        }
        self.ips = match sandbox::host_network(&self.pod) {
            true => self.host.node_ips(),
            false => self.held_addresses().await,
        };
        *self.mounted.lock().await = true;
        self.join(shim);
        let runs = self.observe();
        tracing::debug!(pod = self.name(), containers = runs.len(), "adopted");
        self.life.adopt(self.ips.clone(), runs);
    }

    async fn held_addresses(&self) -> Vec<String> {
        let uid = self.uid();
        let held = self.host.network.list().await;
        held.into_iter().filter(|it| it.pod_uid == uid).map(|it| it.address.to_string()).collect()
    }

    fn name(&self) -> String {
        let meta = &self.pod.metadata;
        format!(
            "{}/{}",
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        )
    }

    /// Every root file system of this pod that may be mounted.
    fn roots(&self) -> Vec<String> {
        let prefix = format!("{}-", self.uid());
        let names = std::fs::read_dir(self.host.paths.roots()).into_iter().flatten().flatten();
        names
            .filter_map(|it| it.file_name().into_string().ok())
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }

    fn join(&mut self, shim: kelson_runtime::Pod) {
        self.states = Some(shim.watch());
        self.shim = Some(shim);
        self.publish();
        self.measure();
    }

    fn publish(&self) {
        let public = Public {
            pod: Some(self.pod.clone()),
            shim: self.shim.clone(),
            runs: self.runs.values().cloned().collect(),
        };
        self.public.send_replace(public);
    }

    async fn work(&mut self) {
        self.report(Report::Images(self.images()));
        if self.services.borrow().is_some() {
            self.report(Report::ServicesKnown);
        }
        self.take_up();
        loop {
            let decision = self.life.step(&self.pod, kelson_process::now());
            // What the API already says need not be written, but has to be known as said.
            let told = self.writer.already_told(&decision.status, &self.pod);
            if told {
                self.report(Report::Written(Box::new(decision.status.clone())));
            }
            let finished = decision.finished;
            let wake = self.carry_out(decision);
            if finished {
                return self.forget().await;
            }
            if !told {
                let news = self.wait(wake).await;
                self.hear(news).await;
            }
        }
    }

    fn carry_out(&mut self, decision: Decision) -> Option<Timestamp> {
        for reason in decision.reasons {
            self.host.recorder.record(&self.pod, reason);
        }
        for action in decision.actions {
            self.act(action);
        }
        let hold = if decision.settling { Some(SETTLE) } else { None };
        let gone = self.seen.borrow().gone;
        let held_until = if gone { None } else { self.writer.offer(&self.pod, decision.status, hold) };
        decision.wake_at.into_iter().chain(held_until).min()
    }

    /// Sleeps until something happens. Cancel-safe in every branch.
    async fn wait(&mut self, wake: Option<Timestamp>) -> News {
        let mut sources: FuturesUnordered<_> = self.followed.iter_mut().map(|(_, it)| it.changed()).collect();
        let states = async {
            let told = match &mut self.states {
                Some(states) => states.changed().await.is_ok(),
                None => false,
            };
            if !told {
                std::future::pending().await
            }
        };
        let routes = async {
            match &mut self.draining {
                Some(draining) => draining.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(outcome) = self.jobs.join_next() => match outcome {
                Ok(outcome) => News::Job(outcome),
                Err(error) => {
                    tracing::error!(%error, "a job of a pod failed");
                    News::Time
                }
            },
            answer = self.writer.answer() => News::Written(Box::new(answer)),
            () = states => News::States,
            Ok(()) = self.seen.changed() => News::Seen,
            () = routes => News::Routes,
            Ok(()) = self.services.changed() => News::Services,
            Some(Ok(())) = sources.next() => News::Sources,
            () = tokio::time::sleep(until(wake)) => News::Time,
        }
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Time => {
                self.report(Report::Images(self.images()));
                self.refresh();
            }
            News::Seen => self.take_up(),
            News::Routes => self.drain(),
            News::Services if self.services.borrow().is_some() => self.report(Report::ServicesKnown),
            News::Services => {}
            News::Sources => {
                self.report(Report::SourcesChanged);
                self.refresh();
            }
            News::Written(answer) => {
                if let Some(status) = self.writer.take(*answer) {
                    self.report(Report::Written(Box::new(status)));
                }
            }
            News::States => self.states_changed().await,
            News::Job(outcome) => self.done(outcome),
        }
    }

    /// The pod's object changed, or is gone.
    fn take_up(&mut self) {
        let seen = self.seen.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.pod, seen.pod);
        if references(&self.pod) != references(&before) {
            self.followed = follow(&self.host, &self.pod);
        }
        let (meta, old) = (&self.pod.metadata, &before.metadata);
        if (&meta.labels, &meta.annotations) != (&old.labels, &old.annotations) {
            self.refresh();
        }
        if !kelson_pods::images(&self.pod).eq(kelson_pods::images(&before)) {
            self.report(Report::Images(self.images()));
        }
        self.writer.seen(&self.pod);
        self.publish();
        if let Some(message) = seen.displaced {
            self.report(Report::Displaced(message));
        }
        if seen.gone {
            self.report(Report::Gone);
        }
        self.drain();
    }

    /// Tells whether connections may still come to a pod that was told to go.
    fn drain(&mut self) {
        let Some(routes) = &self.host.config.routes else { return };
        if self.pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let draining = self.draining.get_or_insert_with(|| Draining::new(routes.clone()));
        let over = draining.look(
            &self.pod,
            &self.host.services.borrow(),
            &self.host.left,
            &self.host.config.node_name,
        );
        self.report(Report::Drained(over));
    }

    async fn states_changed(&mut self) {
        let Some(shim) = &self.shim else { return };
        if !shim.is_alive() {
            tracing::warn!(pod = self.name(), "a pod's shim is gone, and its containers with it");
            let shim = self.shim.take();
            self.states = None;
            sandbox::stop(&self.host, &self.uid(), shim, self.roots()).await;
            self.runs.clear();
            self.publish();
            return self.report(Report::SandboxLost);
        }
        let runs = self.observe();
        self.publish();
        self.report(Report::Images(self.images()));
        self.report(Report::Runs(runs));
    }

    fn done(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reports(reports) => reports.into_iter().for_each(|report| self.report(report)),
            Outcome::Sandbox(sandbox) => {
                self.ips.clone_from(&sandbox.ips);
                self.join(sandbox.pod);
                self.report(Report::SandboxReady { ips: sandbox.ips });
            }
            Outcome::SandboxGone => self.report(Report::SandboxGone),
            Outcome::Refreshed => {
                self.refreshing = false;
                if std::mem::take(&mut self.refresh_again) {
                    self.refresh();
                }
            }
            Outcome::Measured(None) => self.measure(),
            Outcome::Measured(Some(message)) => self.report(Report::Evicted(message)),
            Outcome::Started { config } => {
                self.configs.insert(config.id.clone(), *config);
                let runs = self.observe();
                self.publish();
                self.report(Report::Runs(runs));
            }
            Outcome::Pulled(reports) => {
                reports.into_iter().for_each(|report| self.report(report));
                self.report(Report::Images(self.images()));
            }
        }
    }

    /// The runs as the shim last told them. An exit, with its message, is read once and kept.
    fn observe(&mut self) -> Vec<Run> {
        let Some(states) = &mut self.states else { return Vec::new() };
        let states = states.borrow_and_update().clone();
        for state in states.iter() {
            let Some(config) = self.configs.get(&state.id) else { continue };
            if self.runs.get(&state.id).is_some_and(|run| run.exit().is_some()) {
                continue;
            }
            let message = match state.phase {
                Phase::Exited => self.last_words(config, state),
                Phase::Created | Phase::Running => String::new(),
            };
            self.runs.insert(state.id.clone(), labels::run(config, state, message));
        }
        self.runs.values().cloned().collect()
    }

    fn last_words(&self, config: &ContainerConfig, state: &ContainerState) -> String {
        let path = self.host.paths.termination_message(&self.uid(), &config.id);
        let policy = config.labels.get(labels::MESSAGE_POLICY).map(String::as_str).unwrap_or_default();
        status::last_words(&path, &config.log_path, policy, state.exit_code)
    }

    /// Which of the pod's images are on the node.
    fn images(&self) -> BTreeMap<String, ImageFacts> {
        kelson_pods::images(&self.pod)
            .filter_map(|image| {
                let found = self.host.images.find(image)?;
                Some((image.clone(), ImageFacts { size: found.size, imported: found.digests.is_empty() }))
            })
            .collect()
    }

    fn report(&mut self, report: Report) {
        for reason in self.life.report(&self.pod, report, kelson_process::now()) {
            self.host.recorder.record(&self.pod, reason);
        }
    }

    /// The last traces: jobs, logs, tokens.
    async fn forget(&mut self) {
        self.jobs.abort_all();
        let uid = self.uid();
        self.host.tokens.forget(&uid);
        let meta = &self.pod.metadata;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let logs = self.host.paths.pod_logs(&text(&meta.namespace), &text(&meta.name), &uid);
        for dir in [logs, self.host.paths.pod(&uid)] {
            if let Err(error) = volumes::remove(&dir) {
                tracing::warn!(dir = %dir.display(), error = chain(&error), "a pod's files could not be removed");
            }
        }
    }
}

/// How long until `wake`.
fn until(wake: Option<Timestamp>) -> Duration {
    let Some(wake) = wake else { return SLEEP_MAX };
    let left = wake.duration_since(kelson_process::now());
    Duration::try_from(left).unwrap_or(Duration::ZERO).min(SLEEP_MAX)
}

/// The ConfigMaps and Secrets the pod names.
fn references(pod: &Pod) -> Vec<(Kind, String)> {
    let mut all = volumes::references(pod);
    let of_env = kelson_pods::env::references(pod).into_iter();
    all.extend(of_env.map(|(secret, name)| (if secret { Kind::Secret } else { Kind::ConfigMap }, name)));
    all.sort();
    all.dedup();
    all
}

fn follow(host: &Host, pod: &Pod) -> Vec<(Arc<Followed>, watch::Receiver<Known>)> {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let key = |(kind, name)| Key { kind, namespace: namespace.clone(), name };
    let followed = references(pod).into_iter().map(|it| host.objects.follow(&key(it)));
    followed.map(|it| (it.clone(), it.watch())).collect()
}
