//! What a step returns: actions for the agent, events for the user, the status for the API, and when to look again.
//!
//! Shapes only. An action is given once; the agent answers each with a report.

use crate::probe::ProbeKind;
use crate::reports::HookKind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

/// One thing for the agent to do. Containers are named as in the pod, runs by their runtime id.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Put every volume of the pod in place.
    MountVolumes,
    /// Make the pod's namespaces, with its address in them.
    StartSandbox,
    /// Fetch an image; `image` is spelled as in the pod.
    Pull { container: String, image: String },
    /// Create and start the container's run number `attempt`.
    Start { container: String, attempt: u32 },
    /// Run the container's `postStart` or `preStop` handler, for at most `limit_seconds`.
    Hook { container: String, id: String, kind: HookKind, limit_seconds: i64 },
    /// Signal the run's first process.
    Signal { container: String, id: String, signal: StopSignal },
    /// Run one probe now.
    Probe { container: String, id: String, kind: ProbeKind },
    /// Forget a run that ended: its root filesystem and its log.
    Remove { container: String, id: String },
    /// End the sandbox and give the address back.
    StopSandbox,
    /// Take the volumes away.
    UnmountVolumes,
    /// Delete the API object: grace period 0, precondition uid.
    DeletePod,
}

/// How a run is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// The container's stop signal: the pod's, else the image's, else SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
}

/// Whether an event is bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// One event about the pod, in upstream's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub severity: Severity,
    /// Machine-readable word, `Pulled`.
    pub reason: &'static str,
    pub message: String,
    /// `spec.containers{web}` when it concerns one container.
    pub field_path: Option<String>,
}

/// What one step decided.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// To be carried out in this order; each is given only once.
    pub actions: Vec<Action>,
    /// What `status` of the API object should be.
    pub status: PodStatus,
    /// Something is on its way and nothing is wrong: the write of `status` may wait a moment for what follows.
    pub settling: bool,
    /// Look again at this time, if nothing is reported before.
    pub wake_at: Option<Timestamp>,
    /// Events to record.
    pub reasons: Vec<Reason>,
    /// Nothing of the pod is left on the node and the API has been told: forget it.
    pub finished: bool,
}

/// A decision in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub actions: Vec<Action>,
    pub reasons: Vec<Reason>,
    wake_at: Option<Timestamp>,
}

impl Draft {
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Looks again at `at`, or earlier if something else asked for it.
    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
    }

    pub fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }
}

impl Reason {
    pub(crate) fn normal(reason: &'static str, message: String) -> Reason {
        Reason { severity: Severity::Normal, reason, message, field_path: None }
    }

    pub(crate) fn warning(reason: &'static str, message: String) -> Reason {
        Reason { severity: Severity::Warning, reason, message, field_path: None }
    }

    pub(crate) fn about(mut self, field_path: String) -> Reason {
        self.field_path = Some(field_path);
        self
    }
}
