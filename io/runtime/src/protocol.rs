//! The words kelson and a pod's shim exchange: JSON in frames (see `wire`), one request answered at a time.
//!
//! The shim greets first with the protocol it speaks. Fields are only ever added, with defaults; a change that an older
//! shim would misread raises [`PROTOCOL`], and kelson keeps speaking to every version since [`OLDEST`].
//! File descriptors never stand in the JSON: they accompany the frame, in the order the comments give.

use crate::config::{AttachConfig, ContainerConfig, ExecConfig};
use crate::state::ContainerState;
use serde::{Deserialize, Serialize};

/// What this binary speaks.
pub const PROTOCOL: u32 = 2;
/// Since when a shim takes a root file system that is mounted nowhere.
pub const TAKES_ROOTS: u32 = 2;
/// The oldest shim this binary still understands.
pub const OLDEST: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub struct Greeting {
    pub protocol: u32,
    pub pid: i32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Request {
    /// Takes a container's configuration on.
    Create {
        config: Box<ContainerConfig>,
    },
    /// Makes its process; answered once the process runs. Frame carries the root file system (a mount that is nowhere
    /// attached) unless it is mounted where the configuration says.
    Start {
        id: String,
    },
    /// `all`: every process of the container, not only the first.
    Signal {
        id: String,
        signal: i32,
        all: bool,
    },
    /// Forgets a container, ending it if it still runs.
    Remove {
        id: String,
    },
    States,
    /// Answers with the states now and again after each change, until the connection ends.
    Subscribe,
    /// Frame carries, in order, the process's standard input, output and error where asked (none with a tty).
    /// Answered by `Started` (with the terminal's master where there is one), later by `Ended`.
    Exec {
        id: String,
        exec: ExecConfig,
    },
    /// Frame carries the pipes to copy standard output and error to, where asked. Answered by `Started` with the
    /// container's standard input where asked and then its terminal where it has one; later by `Ended`.
    Attach {
        id: String,
        attach: AttachConfig,
    },
    /// On the connection of an exec: signals the exec'd process.
    Kill {
        signal: i32,
    },
    /// Ends every container, undoes the pod's mounts and cgroups, and exits after answering.
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Reply {
    Done,
    States {
        states: Vec<ContainerState>,
    },
    Started {
        pid: i32,
    },
    Ended {
        code: i32,
    },
    Failed {
        reason: String,
    },
    /// There is no such container.
    Unknown {
        id: String,
    },
}
