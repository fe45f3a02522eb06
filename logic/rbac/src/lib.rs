//! Role-based access control as upstream evaluates it: roles and bindings in, "may they?" and why out.
//!
//! Where it stands: `io/apiserver` feeds [`Policy`] every role and binding it stores and asks it about every request;
//! [`defaults`] is what a cluster begins with, [`reconcile`] how that is kept. Pure; never denies, only does not allow.

mod aggregate;
mod cover;
pub mod defaults;
pub mod node;
mod policy;
pub mod reconcile;
mod rule;
mod subject;

/// The group of all four kinds.
pub const GROUP: &str = "rbac.authorization.k8s.io";

pub use aggregate::{aggregated_rules, is_aggregated};
pub use cover::{missing, say_missing};
pub use policy::{Decision, Kind, Policy};
pub use rule::{Rule, rules_of};
pub use subject::{Who, account_name, split_account_name};
