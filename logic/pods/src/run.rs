//! One run of a container: what the runtime knows about an attempt.
//!
//! Filled by the agent from the runtime's words; the invariant is that `attempt` never repeats within one container.

use jiff::Timestamp;

/// An attempt at running a container, alive or dead.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the container in the pod.
    pub container: String,
    /// 0 for the first, one more a restart: `restartCount`.
    pub attempt: u32,
    /// The runtime's id, without a scheme.
    pub id: String,
    /// The image as the pod spelled it when this run was made.
    pub image: String,
    /// The image under its full name, `docker.io/library/nginx:1.14.2`.
    pub image_name: String,
    /// What `imageID` shows.
    pub image_id: String,
    pub state: RunState,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// Made, not started.
    Created,
    Running {
        started_at: Timestamp,
    },
    Exited(Exit),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// None when it never started.
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
    /// 0–255; 128 + signal when killed by one.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub reason: String,
    /// From the termination message file, at most 4096 bytes.
    pub message: String,
}

/// Reason of a run whose end nobody saw.
pub(crate) const STATUS_UNKNOWN: &str = "ContainerStatusUnknown";

impl Exit {
    /// The reason upstream gives for an exit code.
    pub fn reason_for(exit_code: i32, oom_killed: bool) -> &'static str {
        match (oom_killed, exit_code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        }
    }
}

impl Run {
    pub fn running_since(&self) -> Option<Timestamp> {
        match self.state {
            RunState::Running { started_at } => Some(started_at),
            _ => None,
        }
    }

    pub fn exit(&self) -> Option<&Exit> {
        match &self.state {
            RunState::Exited(exit) => Some(exit),
            _ => None,
        }
    }
}
