//! A pod's life on a node, decided without touching anything.
//!
//! `io/agent` reports what volumes, sandbox, images, containers, hooks and probes did ([`Life::report`]) and asks what
//! comes next ([`Life::step`]): a [`Decision`] of actions, the pod's status, and when to look again. Environment,
//! resolv.conf, hosts file, hostname, cgroup figures and security context are pure functions beside it.
//!
//! Invariants: a step on a converged pod has no actions; reports may come in any order and end in the same status;
//! every user-visible text is upstream's. There is no clock, no randomness and no file in here: time is a parameter.

mod backoff;
mod decision;
mod departures;
pub mod dns;
mod drain;
pub mod env;
pub mod ephemeral;
mod garbage;
pub mod hostname;
pub mod hosts;
pub mod image;
mod kill;
mod life;
pub mod pressure;
mod probe;
pub mod process;
mod recall;
mod reports;
pub mod resources;
mod restart;
mod run;
pub mod service_env;
mod spec;
mod start;
mod status;
mod stop;

pub use backoff::Backoff;
pub use decision::{Action, Decision, Reason, Severity, StopSignal};
pub use departures::Departures;
pub use drain::{Drain, Sight};
pub use life::{Life, NodeFacts};
pub use probe::{ProbeKind, ProbeOutcome};
pub use reports::{HookKind, ImageFacts, PullError, Report, StartError};
pub use run::{Exit, Run, RunState};
pub use spec::{Role, any_container, container, containers, images, qos_class, role};

#[cfg(test)]
mod tests;
