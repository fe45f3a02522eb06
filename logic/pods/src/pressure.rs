//! A node that runs short of memory, disk or process ids: what it says of itself, whom it takes, and which pod has to go
//! (upstream: node-pressure eviction, hard thresholds).
//!
//! What was measured → [`Pressure::observe`] → conditions, and the resource that is starved. Which pod goes for it is
//! [`rank`]'s to say, whether a new one may come [`refusal`]'s. Measuring, sparing and removing images, and ending the pod
//! are the agent's. Invariants: a condition clears only after the threshold was not met for [`TRANSITION`]; a critical
//! pod never goes.

mod admission;
mod limits;
mod rank;
mod thresholds;

pub use admission::refusal;
pub use limits::{is_limited, overrun};
pub use rank::{Candidate, ContainerUsage, Usage, is_critical, message, rank};
pub use thresholds::{Amount, Threshold, Thresholds};

use jiff::{SignedDuration, Timestamp};
use kelson_machinery::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// How long a condition stays after its threshold was last met.
pub const TRANSITION: SignedDuration = SignedDuration::from_secs(300);

/// Something the node may run out of, as a threshold names it. In the order in which it is seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    MemoryAvailable,
    NodeFsAvailable,
    NodeFsInodesFree,
    ImageFsAvailable,
    ImageFsInodesFree,
    PidAvailable,
}

/// What a pod takes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Memory,
    Storage,
    Inodes,
    Pids,
}

/// A condition of the Node; upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    Memory,
    Disk,
    Pid,
}

impl Signal {
    pub const ALL: [Signal; 6] = [
        Signal::MemoryAvailable,
        Signal::NodeFsAvailable,
        Signal::NodeFsInodesFree,
        Signal::ImageFsAvailable,
        Signal::ImageFsInodesFree,
        Signal::PidAvailable,
    ];

    /// As flags and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::MemoryAvailable => "memory.available",
            Signal::NodeFsAvailable => "nodefs.available",
            Signal::NodeFsInodesFree => "nodefs.inodesFree",
            Signal::ImageFsAvailable => "imagefs.available",
            Signal::ImageFsInodesFree => "imagefs.inodesFree",
            Signal::PidAvailable => "pid.available",
        }
    }

    pub fn resource(self) -> Resource {
        match self {
            Signal::MemoryAvailable => Resource::Memory,
            Signal::NodeFsAvailable | Signal::ImageFsAvailable => Resource::Storage,
            Signal::NodeFsInodesFree | Signal::ImageFsInodesFree => Resource::Inodes,
            Signal::PidAvailable => Resource::Pids,
        }
    }

    pub fn condition(self) -> Condition {
        match self.resource() {
            Resource::Memory => Condition::Memory,
            Resource::Storage | Resource::Inodes => Condition::Disk,
            Resource::Pids => Condition::Pid,
        }
    }

    /// An amount of it as messages write it: bytes in powers of two, the rest in powers of ten.
    fn quantity(self, amount: i64) -> Quantity {
        match self.resource() {
            Resource::Memory | Resource::Storage => Quantity::bytes(amount),
            Resource::Inodes | Resource::Pids => Quantity::whole(amount),
        }
    }
}

impl Resource {
    /// As upstream's messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Storage => "ephemeral-storage",
            Resource::Inodes => "inodes",
            Resource::Pids => "pids",
        }
    }
}

impl Condition {
    pub const ALL: [Condition; 3] = [Condition::Memory, Condition::Disk, Condition::Pid];

    /// The type of the Node's condition.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Memory => "MemoryPressure",
            Condition::Disk => "DiskPressure",
            Condition::Pid => "PIDPressure",
        }
    }

    /// Reason and message of the Node's condition.
    pub fn words(self, holds: bool) -> (&'static str, &'static str) {
        match (self, holds) {
            (Condition::Memory, true) => {
                ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
            }
            (Condition::Memory, false) => {
                ("KubeletHasSufficientMemory", "kubelet has sufficient memory available")
            }
            (Condition::Disk, true) => ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            (Condition::Disk, false) => ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            (Condition::Pid, true) => ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            (Condition::Pid, false) => ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        }
    }

    /// The word of the event that tells of a change.
    pub fn event(self, holds: bool) -> &'static str {
        match (self, holds) {
            (Condition::Memory, true) => "NodeHasInsufficientMemory",
            (Condition::Memory, false) => "NodeHasSufficientMemory",
            (Condition::Disk, true) => "NodeHasDiskPressure",
            (Condition::Disk, false) => "NodeHasNoDiskPressure",
            (Condition::Pid, true) => "NodeHasInsufficientPID",
            (Condition::Pid, false) => "NodeHasSufficientPID",
        }
    }
}

/// How much there is of a signal, and how much there could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    pub available: i64,
    pub capacity: i64,
}

/// What could be measured.
pub type Observations = BTreeMap<Signal, Observation>;

/// What the node has too little of, as messages put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starved {
    pub signal: Signal,
    /// What there should be at least.
    pub threshold: Quantity,
    pub available: Quantity,
}

/// What an observation comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Conditions that hold.
    pub conditions: BTreeSet<Condition>,
    /// What has to be won back first, if anything is short now.
    pub starved: Option<Starved>,
}

/// Thresholds, and when each condition's were last met.
#[derive(Clone, Debug, Default)]
pub struct Pressure {
    thresholds: Thresholds,
    met_at: BTreeMap<Condition, Timestamp>,
}

impl Pressure {
    pub fn new(thresholds: Thresholds) -> Pressure {
        Pressure { thresholds, met_at: BTreeMap::new() }
    }

    /// Weighs what was measured. A signal that could not be measured is not short.
    pub fn observe(&mut self, observations: &Observations, now: Timestamp) -> Verdict {
        let starved: Vec<Starved> = self.thresholds.met(observations).collect();
        self.met_at.extend(starved.iter().map(|it| (it.signal.condition(), now)));
        self.met_at.retain(|_, at| now.duration_since(*at) < TRANSITION);
        Verdict { conditions: self.met_at.keys().copied().collect(), starved: starved.into_iter().next() }
    }
}

#[cfg(test)]
mod tests;
