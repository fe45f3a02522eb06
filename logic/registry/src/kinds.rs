//! The table of kinds: one file each below, one line each here.

mod config_map;
mod deployment;
mod pod;
mod replica_set;
pub mod service;

use crate::kind::Kind;

/// Every kind, in the order discovery lists them within their groups.
pub const ALL: &[&Kind] =
    &[&config_map::KIND, &pod::KIND, &service::KIND, &deployment::KIND, &replica_set::KIND];
