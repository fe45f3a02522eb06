//! The condition `Programmed` of a Service's status. Leaf: one Service in, the same with its condition out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::PROGRAMMED;
use crate::kinds::Any;

/// Nodes named in a message at most.
const NAMED: usize = 3;

/// The Service with the condition true; `None` if it says so already.
pub(super) fn programmed(service: &Service, now: Timestamp) -> Option<Service> {
    let message = "Every Ready node has applied the Service and its endpoints".to_owned();
    stated(service, "True", "Programmed", message, now)
}

/// The Service with the condition false, naming some of those it waits for; `None` if it is said already.
pub(super) fn pending(service: &Service, behind: &[&str], now: Timestamp) -> Option<Service> {
    let named = behind.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = match behind.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    stated(service, "False", "Pending", format!("Waiting for {named}{more}"), now)
}

fn stated(service: &Service, status: &str, reason: &str, message: String, now: Timestamp) -> Option<Service> {
    let generation = service.metadata.generation;
    let present = condition(service);
    if present.is_some_and(|one| one.status == status && one.observed_generation == generation) {
        return None;
    }
    let same = present.filter(|one| one.status == status);
    let condition = Condition {
        type_: PROGRAMMED.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: same.map_or(Time(now), |one| one.last_transition_time.clone()),
    };
    let mut after = service.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    match conditions.iter_mut().find(|one| one.type_ == PROGRAMMED) {
        Some(present) => *present = condition,
        None => conditions.push(condition),
    }
    Some(after)
}

/// Whether the Service is said to be programmed as its spec is now.
pub(super) fn is_true(service: &Service) -> bool {
    condition(service)
        .is_some_and(|one| one.status == "True" && one.observed_generation == service.metadata.generation)
}

/// Whether a Service changed by the hand of this controller alone.
pub(super) fn is_all_that_changed(old: &Option<Any>, new: &Option<Any>) -> bool {
    let (Some(Any::Service(old)), Some(Any::Service(new))) = (old, new) else { return false };
    condition(old) != condition(new) && without(old) == without(new)
}

/// The Service but for its condition and what any write changes.
fn without(service: &Service) -> Service {
    let mut rest = service.clone();
    (rest.metadata.resource_version, rest.metadata.managed_fields) = (None, None);
    let conditions = rest.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|one| one.type_ != PROGRAMMED);
    rest
}

fn condition(service: &Service) -> Option<&Condition> {
    service.status.as_ref()?.conditions.as_ref()?.iter().find(|one| one.type_ == PROGRAMMED)
}
