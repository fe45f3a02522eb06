//! The table of kinds: one file each below, one line each here.

mod cluster_role;
mod cluster_role_binding;
mod config_map;
mod controller_revision;
mod cron_job;
mod daemon_set;
mod deployment;
mod endpoint_slice;
mod endpoints;
mod event;
mod ingress;
mod ingress_class;
mod ip_address;
mod job;
mod lease;
mod limit_range;
mod namespace;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_disruption_budget;
mod priority_class;
mod replica_set;
mod resource_quota;
mod reviews;
mod role;
mod role_binding;
mod secret;
pub mod service;
mod service_account;
mod service_cidr;
mod stateful_set;
mod storage_class;

pub use pod::ephemeral;

use crate::kind::Kind;

/// Every kind, in the order discovery lists them within their groups.
pub const ALL: &[&Kind] = &[
    &config_map::KIND,
    &endpoints::KIND,
    &event::KIND,
    &limit_range::KIND,
    &namespace::KIND,
    &node::KIND,
    &persistent_volume_claim::KIND,
    &persistent_volume::KIND,
    &pod::KIND,
    &resource_quota::KIND,
    &secret::KIND,
    &service_account::KIND,
    &service::KIND,
    &controller_revision::KIND,
    &daemon_set::KIND,
    &deployment::KIND,
    &replica_set::KIND,
    &stateful_set::KIND,
    &cron_job::KIND,
    &job::KIND,
    &lease::KIND,
    &endpoint_slice::KIND,
    &ingress_class::KIND,
    &ingress::KIND,
    &ip_address::KIND,
    &service_cidr::KIND,
    &pod_disruption_budget::KIND,
    &cluster_role_binding::KIND,
    &cluster_role::KIND,
    &role_binding::KIND,
    &role::KIND,
    &reviews::SELF,
    &reviews::TOKEN,
    &reviews::LOCAL_ACCESS,
    &reviews::SELF_ACCESS,
    &reviews::SELF_RULES,
    &reviews::ACCESS,
    &priority_class::KIND,
    &storage_class::KIND,
];

#[cfg(test)]
mod more_tests;
#[cfg(test)]
mod quota_tests;
#[cfg(test)]
mod tests;
