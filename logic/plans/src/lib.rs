//! Controllers, each a pure function from what is known to what should be done.
//!
//! `View` (objects and what was heard of them) → `plan` → `Plan { stages, requeue_after, reasons }`. Carried
//! out by `io/cluster`, or by a simulation. Invariants: a plan on a converged view is empty; iteration is
//! always ordered; an action carries its precondition, so that a stale plan conflicts instead of undoing
//! what is newer. Never here: a clock, randomness, a request.

pub mod controllers;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod election;
pub mod endpoint_slice;
pub mod endpoint_slice_mirroring;
pub mod endpoints;
pub mod garbage;
pub mod graph;
pub mod job;
pub mod key;
#[macro_use]
pub mod kinds;
pub mod load_balancer;
pub mod namespace;
pub mod node_lifecycle;
pub mod owners;
pub mod persistent_volume;
pub mod plan;
pub mod pod;
pub mod pod_garbage;
pub mod programmed;
pub mod provision;
pub mod replica_set;
pub mod resource_quota;
pub mod schedule;
pub mod select;
pub mod service_account;
pub mod stateful_set;
pub mod storage;
pub mod view;

mod claiming;
mod lean;
mod revisions;
mod service;
mod taints;

pub use controllers::{Controller, Task, plan, remarks, wake};
pub use key::{Key, Resource};
pub use kinds::Kept;
pub use plan::{Action, Ending, Plan, Reason, Severity, Step};
pub use view::{Changed, Settings, View};

#[cfg(test)]
mod world;
