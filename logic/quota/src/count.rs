//! A quota's status, counted anew from the objects there are.
//!
//! Invariant: every limited name that can be counted is in `used`, if only with 0; what cannot be is not.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use kelson_machinery::quantity::Quantity;

use crate::amounts::{Amounts, add, read, write};
use crate::scope;
use crate::usage::{self, Subject};

/// A kind of objects that must be looked through to count what a quota limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The API group; empty for core.
    pub group: String,
    /// The resource.
    pub plural: String,
}

impl Counted {
    fn core(plural: &str) -> Self {
        Self { group: String::new(), plural: plural.to_owned() }
    }
}

/// The kinds a quota counts; none for names that are nobody's.
pub fn counted(quota: &ResourceQuota) -> BTreeSet<Counted> {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    hard.into_iter().flatten().filter_map(|(name, _)| counted_as(name)).collect()
}

fn counted_as(name: &str) -> Option<Counted> {
    if let Some(counted) = name.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        // Events come and go; upstream never counts them.
        let kept = plural != "events";
        return kept.then(|| Counted { group: group.to_owned(), plural: plural.to_owned() });
    }
    let of_services = matches!(name, "services" | "services.nodeports" | "services.loadbalancers");
    match usage::alias(name) {
        Some(plural) => Some(Counted::core(plural)),
        None if of_services => Some(Counted::core("services")),
        None if usage::is_of_claims(name) => Some(Counted::core("persistentvolumeclaims")),
        None if usage::is_of_pods(name) => Some(Counted::core("pods")),
        None => None,
    }
}

/// Adds up what objects use of one quota.
pub struct Tally<'a> {
    quota: &'a ResourceQuota,
    used: Amounts,
    now: Timestamp,
}

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub fn new(quota: &'a ResourceQuota, now: Timestamp) -> Self {
        let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
        let names = hard.into_iter().flatten().map(|(name, _)| name);
        let countable = names.filter(|name| counted_as(name).is_some());
        let used = countable.map(|name| (name.clone(), Quantity::whole(0))).collect();
        Self { quota, used, now }
    }

    /// Counts one object, if the quota is about it.
    pub fn add(&mut self, subject: &Subject<'_>) {
        if !scope::covers(self.quota, subject) {
            return;
        }
        let mut used = usage::usage(subject, self.now);
        used.retain(|name, _| self.used.contains_key(name));
        add(&mut self.used, &used);
    }

    /// The status.
    pub fn status(&self) -> ResourceQuotaStatus {
        let hard = self.quota.spec.as_ref().and_then(|spec| spec.hard.clone());
        let used = write(&self.used);
        ResourceQuotaStatus { hard: Some(hard.unwrap_or_default()), used: Some(used) }
    }
}

/// Whether two statuses say the same, however they write it.
pub fn agree(one: Option<&ResourceQuotaStatus>, other: &ResourceQuotaStatus) -> bool {
    one.is_some_and(|one| {
        one.hard.is_some()
            && one.used.is_some()
            && read(one.hard.as_ref()) == read(other.hard.as_ref())
            && read(one.used.as_ref()) == read(other.used.as_ref())
    })
}

#[cfg(test)]
mod tests;
