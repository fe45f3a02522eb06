//! What is remembered about a pod between two steps.
//!
//! The state that [`Life::report`] and [`Life::step`] fold over. Invariant: everything in it comes from reports and
//! from actions handed out; the pod's specification is never kept, it is passed in anew each time.

use crate::backoff::Backoff;
use crate::decision::{Decision, Draft};
use crate::drain::Stage;
use crate::kill::Kill;
use crate::probe::{ProbeKind, Prober};
use crate::reports::ImageFacts;
use crate::run::Run;
use crate::{garbage, probe, recall, spec, start, status, stop};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use std::collections::BTreeMap;

/// What a pod's status says about its node.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// The node's addresses, at most one a family, the preferred first.
    pub ips: Vec<String>,
}

/// One pod's life on this node.
#[derive(Clone, Debug)]
pub struct Life {
    pub(crate) node: NodeFacts,
    pub(crate) volumes: Step,
    pub(crate) sandbox: Step,
    pub(crate) setup_backoff: Option<Backoff>,
    pub(crate) ips: Vec<String>,
    pub(crate) images: BTreeMap<String, ImageFacts>,
    pub(crate) containers: BTreeMap<String, Memory>,
    pub(crate) services_known: bool,
    pub(crate) drain: Stage,
    /// When the pod began to end, whatever the cause.
    pub(crate) ending_since: Option<Timestamp>,
    /// Reason and message of a pod that the node itself failed (`DeadlineExceeded`).
    pub(crate) failed: Option<(String, String)>,
    /// The node needs what the pod uses.
    pub(crate) displaced: bool,
    pub(crate) written: Option<PodStatus>,
    pub(crate) gone: bool,
    pub(crate) delete_asked: bool,
    pub(crate) seen_at: Timestamp,
    /// Whether what the API remembers of earlier runs was taken over.
    pub(crate) recalled: bool,
    /// Each condition's value and since when, as computed here.
    pub(crate) flips: BTreeMap<String, (bool, Timestamp)>,
    /// Time of the present step.
    pub(crate) now: Timestamp,
}

/// Something that is put in place once: volumes, the sandbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Absent,
    InFlight,
    Done,
    Failed { at: Timestamp },
    Leaving,
    Gone,
}

/// Why a container does not run yet: `state.waiting`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    pub reason: &'static str,
    pub message: String,
}

impl Waiting {
    pub fn new(reason: &'static str, message: String) -> Waiting {
        Waiting { reason, message }
    }
}

/// What is remembered about one container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Known runs by rising attempt.
    pub runs: Vec<Run>,
    /// The attempt whose start was asked for and not yet answered.
    pub starting: Option<u32>,
    pub pulling: bool,
    /// The image was fetched for the next attempt, as its pull policy wants.
    pub pulled: bool,
    pub pull_backoff: Option<Backoff>,
    pub pull_failed_at: Option<Timestamp>,
    pub pull_error: String,
    pub crash_backoff: Option<Backoff>,
    pub waiting: Option<Waiting>,
    pub retry_at: Option<Timestamp>,
    /// Id of the run whose postStart hook is still to end; that run is not shown as running yet.
    pub post_start: Option<String>,
    /// The run whose postStart hook was asked for.
    pub post_started: Option<String>,
    pub kill: Option<Kill>,
    pub probes: BTreeMap<ProbeKind, Prober>,
    pub removing: Vec<String>,
    /// First attempt of the sandbox of today; earlier runs died with another.
    pub sandbox_from: u32,
    /// The end of the run for which the restart back-off was announced.
    pub backoff_said: Option<Timestamp>,
}

impl Memory {
    /// The latest run.
    pub fn last(&self) -> Option<&Run> {
        self.runs.last()
    }

    /// The run that is alive.
    pub fn running(&self) -> Option<&Run> {
        self.last().filter(|run| run.running_since().is_some())
    }

    /// A start was answered with a run.
    pub fn begun(&mut self) {
        self.starting = None;
        self.pulled = false;
        self.waiting = None;
        self.retry_at = None;
        self.kill = None;
        self.probes.clear();
    }

    /// Adds or renews a run; an end once seen stays.
    pub fn learn(&mut self, run: Run) {
        match self.runs.iter_mut().find(|known| known.id == run.id) {
            Some(known) if known.exit().is_some() => {}
            Some(known) => *known = run,
            None => {
                self.runs.push(run);
                self.runs.sort_by_key(|run| run.attempt);
            }
        }
    }
}

impl Life {
    /// The life of a pod that has just been seen; `now` becomes `status.startTime` unless the pod has one.
    pub fn new(node: NodeFacts, now: Timestamp) -> Life {
        Life {
            node,
            volumes: Step::Absent,
            sandbox: Step::Absent,
            setup_backoff: None,
            ips: Vec::new(),
            images: BTreeMap::new(),
            containers: BTreeMap::new(),
            services_known: false,
            drain: Stage::Unneeded,
            ending_since: None,
            failed: None,
            displaced: false,
            written: None,
            gone: false,
            delete_asked: false,
            seen_at: now,
            recalled: false,
            flips: BTreeMap::new(),
            now,
        }
    }

    /// Tells what `Report`s would have told, for a pod that ran before kelson was restarted.
    pub fn adopt(&mut self, ips: Vec<String>, runs: Vec<Run>) {
        (self.volumes, self.sandbox, self.ips) = (Step::Done, Step::Done, ips);
        for run in runs {
            let name = run.container.clone();
            let memory = self.memory(&name);
            memory.post_started = Some(run.id.clone());
            memory.learn(run);
        }
    }

    /// Decides what comes next. Called after each report and each change of the pod.
    pub fn step(&mut self, pod: &Pod, now: Timestamp) -> Decision {
        let mut draft = Draft::default();
        self.now = now;
        self.prepare(pod);
        stop::notice(self, pod, now, &mut draft);
        match self.ending_since {
            None => start::step(self, pod, now, &mut draft),
            Some(_) => stop::step(self, pod, now, &mut draft),
        }
        probe::step(self, pod, now, &mut draft);
        garbage::step(self, pod, &mut draft);
        let status = status::build(self, pod);
        self.remember_flips(&status);
        let finished = stop::finish(self, pod, &status, &mut draft);
        let settling = status::settling(self, &status);
        Decision {
            wake_at: draft.wake_at(),
            actions: draft.actions,
            reasons: draft.reasons,
            status,
            settling,
            finished,
        }
    }

    /// When the condition took the value it has now; the present if it takes it in this step.
    pub(crate) fn flipped_at(&self, condition: &str, holds: bool) -> Timestamp {
        self.flips.get(condition).filter(|(held, _)| *held == holds).map_or(self.now, |(_, since)| *since)
    }

    /// Keeps transition times, so that a status that is not yet written does not get a new one each step.
    fn remember_flips(&mut self, status: &PodStatus) {
        for condition in status.conditions.iter().flatten() {
            let since = condition.last_transition_time.as_ref().map_or(self.now, |time| time.0);
            self.flips.insert(condition.type_.clone(), (condition.status == "True", since));
        }
    }

    /// Every container of the pod has a memory, so that later code need not ask.
    fn prepare(&mut self, pod: &Pod) {
        for name in spec::names(pod).filter(|name| !self.containers.contains_key(*name)).collect::<Vec<_>>() {
            self.containers.insert(name.clone(), Memory::default());
        }
        if !std::mem::replace(&mut self.recalled, true) {
            recall::runs(self, pod);
        }
    }

    pub(crate) fn memory(&mut self, container: &str) -> &mut Memory {
        self.containers.entry(container.to_owned()).or_default()
    }

    /// The memory of a container, if there is one.
    pub(crate) fn remembered(&self, container: &str) -> Option<&Memory> {
        self.containers.get(container)
    }

    /// The pod's addresses: its own, or the node's for a pod on the host's network.
    pub(crate) fn pod_ips(&self, pod: &Pod) -> Vec<String> {
        match spec::host_network(pod) {
            true => self.node.ips.clone(),
            false => self.ips.clone(),
        }
    }
}
