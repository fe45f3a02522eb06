//! Whether the quotas of a namespace have room for an object, and what they count once it is there.
//!
//! Quotas, the object, what it was → each quota's new `used`, or upstream's words for why not. Invariant: none of the
//! answers lets `used` rise above `hard`; what does not rise is never refused for what others took.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceQuota};
use kelson_machinery::quantity::Quantity;

use crate::amounts::{self, Amounts, read};
use crate::scope;
use crate::usage::{self, Subject};

/// What pods must say once a quota limits it (upstream calls it a mistake, and keeps it).
const REQUIRED: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// A quota that counts more than before.
#[derive(Clone, Debug, PartialEq)]
pub struct Charged {
    /// Its place among those asked.
    pub index: usize,
    /// All of its `used` from now on.
    pub used: Amounts,
}

/// Asks every quota for an object that is made (`old` is `None`) or changed.
///
/// # Errors
///
/// What the first quota that refuses says, without the `is forbidden` before it.
pub fn charge(
    quotas: &[&ResourceQuota],
    new: &Subject<'_>,
    old: Option<&Subject<'_>>,
    now: Timestamp,
) -> Result<Vec<Charged>, String> {
    if old.is_some() && !usage::grows(new) {
        return Ok(Vec::new());
    }
    let mut concerned = Vec::new();
    for (index, quota) in quotas.iter().enumerate() {
        let names = limited(quota, new);
        if names.is_empty() || !scope::covers(quota, new) {
            continue;
        }
        accepts(quota, &names, new)?;
        concerned.push((index, *quota));
    }
    let usage = usage::usage(new, now);
    let negative: Vec<&str> =
        usage.iter().filter(|(_, amount)| amount.is_negative()).map(|(name, _)| name.as_str()).collect();
    if !concerned.is_empty() && !negative.is_empty() {
        return Err(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    let mut charged = Vec::new();
    for (index, quota) in concerned {
        let before = old.filter(|old| scope::covers(quota, old)).map(|old| usage::usage(old, now));
        let rise = amounts::rise(&usage, &before.unwrap_or_default());
        charged.extend(take(quota, rise)?.map(|used| Charged { index, used }));
    }
    Ok(charged)
}

/// Whether a quota limits anything of such objects.
pub fn limits(quota: &ResourceQuota, subject: &Subject<'_>) -> bool {
    !limited(quota, subject).is_empty()
}

/// The names a quota limits of such objects.
fn limited<'a>(quota: &'a ResourceQuota, subject: &Subject<'_>) -> Vec<&'a str> {
    let hard = quota.status.as_ref().and_then(|status| status.hard.as_ref());
    let names = hard.into_iter().flatten().map(|(name, _)| name.as_str());
    names.filter(|name| usage::concerns(subject, name)).collect()
}

/// A pod says what is limited, and the quota knows what is used of it.
fn accepts(quota: &ResourceQuota, names: &[&str], subject: &Subject<'_>) -> Result<(), String> {
    let name = quota.metadata.name.as_deref().unwrap_or_default();
    if let Subject::Pod(pod) = subject
        && let Some(missing) = missing(pod, names)
    {
        return Err(format!("failed quota: {name}: must specify {missing}"));
    }
    let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
    let known = |name: &str| used.is_some_and(|used| used.contains_key(name));
    match names.iter().all(|name| known(name)) {
        true => Ok(()),
        false => Err(format!("status unknown for quota: {name}, resources: {}", names.join(","))),
    }
}

/// What containers do not say of what they must: `limits.cpu for: a,b; limits.memory for: b`.
fn missing(pod: &Pod, names: &[&str]) -> Option<String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let spec = pod.spec.as_ref()?;
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let said = said(container);
        for name in names.iter().filter(|name| REQUIRED.contains(name) && !said.contains_key(**name)) {
            missing.entry(name).or_default().insert(&container.name);
        }
    }
    let told = missing.into_iter().map(|(name, containers)| {
        let containers: Vec<&str> = containers.into_iter().collect();
        format!("{name} for: {}", containers.join(","))
    });
    Some(told.collect::<Vec<_>>().join("; ")).filter(|told| !told.is_empty())
}

fn said(container: &Container) -> Amounts {
    let resources = container.resources.as_ref();
    let requests = read(resources.and_then(|resources| resources.requests.as_ref()));
    usage::compute(&requests, &read(resources.and_then(|resources| resources.limits.as_ref())))
}

/// The quota's use with so much more of what it limits; `None` when that is nothing.
fn take(quota: &ResourceQuota, mut rise: Amounts) -> Result<Option<Amounts>, String> {
    let status = quota.status.as_ref();
    let hard = read(status.and_then(|status| status.hard.as_ref()));
    let mut used = read(status.and_then(|status| status.used.as_ref()));
    let before = used.clone();
    rise.retain(|name, _| hard.contains_key(name));
    if rise.is_empty() {
        return Ok(None);
    }
    amounts::add(&mut used, &rise);
    let nothing = Quantity::whole(0);
    let over = |name: &str| used.get(name).unwrap_or(&nothing) > &hard[name];
    let exceeded: Vec<&str> = rise.keys().map(String::as_str).filter(|name| over(name)).collect();
    if exceeded.is_empty() {
        return Ok(Some(used));
    }
    Err(format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.metadata.name.as_deref().unwrap_or_default(),
        amounts::told(&rise, &exceeded),
        amounts::told(&before, &exceeded),
        amounts::told(&hard, &exceeded)
    ))
}

#[cfg(test)]
mod tests;
