//! What the agent reports, and how a life takes it in.
//!
//! Reports carry state rather than change where they can ([`Report::Runs`] is everything the runtime knows), so losing
//! one or hearing one twice does no harm. Taking one in acts on nothing; it returns the events it gives rise to.

use crate::backoff::{self, RESTART, SETUP};
use crate::decision::Reason;
use crate::life::{Life, Step, Waiting};
use crate::probe::{ProbeKind, ProbeOutcome};
use crate::run::{Exit, Run, RunState, STATUS_UNKNOWN};
use crate::spec;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use std::collections::BTreeMap;

/// Which of a container's two handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    PostStart,
    PreStop,
}

/// What is known of an image that is on the node.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFacts {
    /// Bytes, compressed or not as the store counts them.
    pub size: u64,
    /// It was imported by hand and never pulled, so no registry has a newer one.
    pub imported: bool,
}

/// Why a pull failed; the text is the registry client's.
#[derive(Clone, Debug, PartialEq)]
pub struct PullError(pub String);

/// Why a container did not start, and what `state.waiting` says about it.
#[derive(Clone, Debug, PartialEq)]
pub enum StartError {
    /// Its configuration cannot be made: a missing ConfigMap, key, or user.
    Config(String),
    /// The runtime could not make it.
    Create(String),
    /// Made, but the first process could not be started; the runtime's id of it.
    Run { id: String, message: String, image_name: String, image_id: String },
}

/// One thing that happened to a pod.
#[derive(Clone, Debug)]
pub enum Report {
    VolumesMounted,
    /// Events of reason FailedMount, a volume each.
    VolumesFailed(Vec<String>),
    VolumesGone,
    SandboxReady {
        ips: Vec<String>,
    },
    SandboxFailed(String),
    /// It was stopped as asked.
    SandboxGone,
    /// It ended on its own, with everything in it.
    SandboxLost,
    /// Which of the pod's images are on the node, by the pod's spelling. Replaces what was known.
    Images(BTreeMap<String, ImageFacts>),
    Pulled {
        container: String,
        image: String,
        facts: ImageFacts,
        took: SignedDuration,
    },
    PullFailed {
        container: String,
        image: String,
        error: PullError,
    },
    /// Every run the runtime knows of this pod. Runs that it no longer knows stay as last known.
    Runs(Vec<Run>),
    StartFailed {
        container: String,
        attempt: u32,
        error: StartError,
    },
    HookDone {
        id: String,
        kind: HookKind,
        error: Option<String>,
    },
    Probed {
        id: String,
        kind: ProbeKind,
        outcome: ProbeOutcome,
    },
    /// A run was forgotten as asked.
    Removed {
        id: String,
    },
    /// A ConfigMap or Secret that the pod names has changed or appeared.
    SourcesChanged,
    /// Services have been read at least once (E8).
    ServicesKnown,
    /// Whether every node has stopped sending the pod, which is on its way out, new connections.
    Drained(bool),
    /// The pod took more than it may have and has to go; the message is upstream's.
    Evicted(String),
    /// The node is short of something, for which the pod has to go; the message is upstream's.
    Displaced(String),
    /// The node may not run the pod; the reason is upstream's word, the message follows `Pod was rejected: `.
    Rejected {
        reason: &'static str,
        message: String,
    },
    /// The API holds this status now.
    Written(Box<PodStatus>),
    /// The API no longer has the pod.
    Gone,
}

/// How the status of a pod begins that the node would not take.
const REJECTED: &str = "Pod was rejected: ";

/// How long a container that could not be configured or made waits for the next try.
const RETRY_START: SignedDuration = SignedDuration::from_secs(10);

impl Life {
    /// Takes a report in and returns the events it gives rise to.
    pub fn report(&mut self, pod: &Pod, report: Report, now: Timestamp) -> Vec<Reason> {
        match report {
            Report::VolumesMounted => self.volumes = Step::Done,
            Report::VolumesFailed(messages) => return self.volumes_failed(messages, now),
            Report::VolumesGone => self.volumes = Step::Gone,
            Report::SandboxReady { ips } => (self.sandbox, self.ips) = (Step::Done, ips),
            Report::SandboxFailed(message) => return self.sandbox_failed(message, now),
            Report::SandboxGone => self.sandbox = Step::Gone,
            Report::SandboxLost => return self.sandbox_lost(now),
            Report::Images(images) => self.images = images,
            Report::Pulled { container, image, facts, took } => {
                return self.pulled(pod, &container, image, facts, took);
            }
            Report::PullFailed { container, image, error } => {
                return self.pull_failed(pod, &container, &image, error, now);
            }
            Report::Runs(runs) => return self.runs(pod, runs),
            Report::StartFailed { container, attempt, error } => {
                return self.start_failed(pod, &container, attempt, error, now);
            }
            Report::HookDone { id, kind, error } => return self.hook_done(pod, &id, kind, error, now),
            Report::Probed { id, kind, outcome } => return self.probed(pod, &id, kind, outcome, now),
            Report::Removed { id } => self.removed(&id),
            Report::SourcesChanged => self.sources_changed(),
            Report::ServicesKnown => self.services_known = true,
            Report::Drained(drained) => self.drained(drained, now),
            Report::Evicted(message) => return self.evicted(message),
            Report::Displaced(message) => {
                self.displaced |= self.ending_since.is_none();
                return self.evicted(message);
            }
            Report::Rejected { reason, message } => return self.rejected(reason, message),
            Report::Written(status) => self.written = Some(*status),
            Report::Gone => self.gone = true,
        }
        Vec::new()
    }

    fn volumes_failed(&mut self, messages: Vec<String>, now: Timestamp) -> Vec<Reason> {
        self.setup_backoff = backoff::raised(&self.setup_backoff, SETUP, now, now);
        self.volumes = Step::Failed { at: now };
        messages.into_iter().map(|message| Reason::warning("FailedMount", message)).collect()
    }

    fn evicted(&mut self, message: String) -> Vec<Reason> {
        if self.ending_since.is_some() {
            return Vec::new();
        }
        self.failed = Some(("Evicted".to_owned(), message.clone()));
        vec![Reason::warning("Evicted", message)]
    }

    /// Whether the node would not take the pod.
    pub(crate) fn is_rejected(&self) -> bool {
        self.failed.as_ref().is_some_and(|(_, message)| message.starts_with(REJECTED))
    }

    fn rejected(&mut self, reason: &'static str, message: String) -> Vec<Reason> {
        self.volumes = Step::Absent;
        self.failed = Some((reason.to_owned(), format!("{REJECTED}{message}")));
        vec![Reason::warning(reason, message)]
    }

    fn sandbox_failed(&mut self, message: String, now: Timestamp) -> Vec<Reason> {
        self.setup_backoff = backoff::raised(&self.setup_backoff, SETUP, now, now);
        self.sandbox = Step::Failed { at: now };
        vec![Reason::warning("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {message}"))]
    }

    /// Everything in the sandbox died with it; nobody knows how.
    fn sandbox_lost(&mut self, now: Timestamp) -> Vec<Reason> {
        self.sandbox = Step::Absent;
        for memory in self.containers.values_mut() {
            memory.starting = None;
            memory.kill = None;
            memory.sandbox_from = memory.last().map_or(0, |run| run.attempt + 1);
            for run in &mut memory.runs {
                if run.exit().is_none() {
                    run.state = RunState::Exited(unknown_exit(run.running_since(), now));
                }
            }
        }
        vec![Reason::normal(
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.".to_owned(),
        )]
    }

    fn pulled(
        &mut self,
        pod: &Pod,
        name: &str,
        image: String,
        facts: ImageFacts,
        took: SignedDuration,
    ) -> Vec<Reason> {
        let message = format!(
            "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {} bytes.",
            facts.size,
            took = millis(took)
        );
        self.images.insert(image, facts);
        let memory = self.memory(name);
        memory.pulling = false;
        memory.pulled = true;
        memory.pull_backoff = None;
        vec![Reason::normal("Pulled", message).about(spec::field_path(pod, name))]
    }

    fn pull_failed(
        &mut self,
        pod: &Pod,
        name: &str,
        image: &str,
        error: PullError,
        now: Timestamp,
    ) -> Vec<Reason> {
        let path = spec::field_path(pod, name);
        let memory = self.memory(name);
        memory.pulling = false;
        memory.pull_backoff = backoff::raised(&memory.pull_backoff, RESTART, now, now);
        memory.pull_failed_at = Some(now);
        memory.pull_error = error.0.clone();
        memory.waiting = Some(Waiting::new("ErrImagePull", error.0.clone()));
        vec![
            Reason::warning("Failed", format!("Failed to pull image \"{image}\": {}", error.0))
                .about(path.clone()),
            Reason::warning("Failed", "Error: ErrImagePull".to_owned()).about(path),
        ]
    }

    /// Merges what the runtime knows; an exit once seen is never taken back.
    fn runs(&mut self, pod: &Pod, runs: Vec<Run>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for run in runs {
            let path = spec::field_path(pod, &run.container);
            let name = run.container.clone();
            let memory = self.memory(&name);
            if memory.starting == Some(run.attempt) && !matches!(run.state, RunState::Created) {
                memory.begun();
                reasons.push(
                    Reason::normal("Created", format!("Created container: {name}")).about(path.clone()),
                );
                reasons.push(Reason::normal("Started", format!("Started container {name}")).about(path));
            }
            memory.learn(run);
        }
        reasons
    }

    fn start_failed(
        &mut self,
        pod: &Pod,
        name: &str,
        attempt: u32,
        error: StartError,
        now: Timestamp,
    ) -> Vec<Reason> {
        let path = spec::field_path(pod, name);
        let image = spec::any_container(pod, name).and_then(|it| it.image.clone()).unwrap_or_default();
        let memory = self.memory(name);
        if memory.starting != Some(attempt) {
            return Vec::new();
        }
        memory.starting = None;
        memory.retry_at = Some(backoff::later(now, RETRY_START));
        let (reason, message) = match error {
            StartError::Config(message) => ("CreateContainerConfigError", message),
            StartError::Create(message) => ("CreateContainerError", message),
            StartError::Run { id, message, image_name, image_id } => {
                memory.retry_at = None;
                let state = RunState::Exited(start_exit(&message, now));
                memory.learn(Run {
                    container: name.to_owned(),
                    attempt,
                    id,
                    image,
                    image_name,
                    image_id,
                    state,
                });
                ("RunContainerError", message)
            }
        };
        let created = (reason == "RunContainerError")
            .then(|| Reason::normal("Created", format!("Created container: {name}")).about(path.clone()));
        let event = Reason::warning("Failed", format!("Error: {message}")).about(path);
        memory.waiting = Some(Waiting::new(reason, message));
        created.into_iter().chain([event]).collect()
    }

    fn removed(&mut self, id: &str) {
        for memory in self.containers.values_mut() {
            memory.runs.retain(|run| run.id != id);
            memory.removing.retain(|removing| removing != id);
        }
    }

    /// What failed for want of a source is tried again at once.
    fn sources_changed(&mut self) {
        if matches!(self.volumes, Step::Failed { .. }) {
            self.volumes = Step::Absent;
        }
        for memory in self.containers.values_mut() {
            memory.retry_at = None;
        }
    }
}

/// The end of a run that nobody saw, as upstream words it.
pub(crate) fn unknown_exit(started_at: Option<Timestamp>, now: Timestamp) -> Exit {
    Exit {
        started_at,
        finished_at: now,
        exit_code: 137,
        reason: STATUS_UNKNOWN.to_owned(),
        message: "The container could not be located when the pod was terminated".to_owned(),
    }
}

/// The end of a run that never began: exit code 128 and no start, as containerd reports it.
fn start_exit(message: &str, now: Timestamp) -> Exit {
    Exit {
        started_at: Some(Timestamp::UNIX_EPOCH),
        finished_at: now,
        exit_code: 128,
        reason: "StartError".to_owned(),
        message: message.to_owned(),
    }
}

/// A duration to the millisecond as Go prints one: `1.2s`, `340ms`, `1m0.5s`.
fn millis(took: SignedDuration) -> String {
    let millis = took.as_millis().max(0);
    match (millis / 60_000, millis % 60_000) {
        (0, millis) if millis < 1000 => format!("{millis}ms"),
        (0, millis) => format!("{}s", millis as f64 / 1000.0),
        (minutes, millis) => format!("{minutes}m{}s", millis as f64 / 1000.0),
    }
}
