//! Names of resources that are counted and limited: which are standard, and what upstream says of the others.
//!
//! Pure leaves for ResourceQuota, LimitRange and containers. Invariant: a name without a `/` is standard or refused.

use crate::metadata::checked;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;

/// What a container may ask for, without a domain of its own.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What only is counted, never asked for in parts.
const WHOLE: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const AMOUNTS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "requests.storage",
];
const HUGE_PAGES: &str = "hugepages-";

/// Whether quotas can be set for a name that has no domain.
pub fn is_standard_for_quota(name: &str) -> bool {
    WHOLE.contains(&name)
        || AMOUNTS.contains(&name)
        || name.strip_prefix("requests.").unwrap_or(name).starts_with(HUGE_PAGES)
}

/// Whether a name lies in Kubernetes' own domain, said or unsaid.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether amounts of it are whole numbers.
pub fn is_whole(name: &str) -> bool {
    let extended = !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_ok();
    WHOLE.contains(&name) || extended
}

/// Whether more of it may be promised than there is.
pub fn is_overcommitted(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE_PAGES)
}

/// Any resource.
pub fn validate(name: &str, at: &Path) -> Vec<FieldError> {
    let errors = checked(at, name, names::qualified_name(name));
    let standard = is_standard_for_quota(name) || name == "storage";
    if errors.is_empty() && !name.contains('/') && !standard {
        return vec![FieldError::invalid(at, name, "must be a standard resource type or fully qualified")];
    }
    errors
}

/// What a container or pod may ask for.
pub fn validate_of_container(name: &str, at: &Path) -> Vec<FieldError> {
    let mut errors = validate(name, at);
    let standard = OF_CONTAINERS.contains(&name) || name.starts_with(HUGE_PAGES);
    if !name.contains('/') && !standard {
        errors.push(FieldError::invalid(at, name, "must be a standard resource for containers"));
    }
    errors
}

/// What a quota may limit.
pub fn validate_of_quota(name: &str, at: &Path) -> Vec<FieldError> {
    let mut errors = validate(name, at);
    if !name.contains('/') && !is_standard_for_quota(name) {
        errors.push(FieldError::invalid(at, name, "must be a standard resource for quota"));
    }
    errors
}
