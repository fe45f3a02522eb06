//! LimitRanges: what containers get that they did not ask for, and what is too little or too much.
//!
//! A pod or claim being made, the namespace's LimitRanges → the pod completed, or upstream's words for what is wrong.
//! Invariant: what is asked for is never changed; a size that a claim has already is not held against it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};
use kelson_machinery::quantity::Quantity;
use kelson_machinery::{Object, meta, text};
use serde_json::Value;

use crate::amounts::{Amounts, List, read};
use crate::demand;

/// Where a pod says what was given to it.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives containers what they leave open, one LimitRange after the other; whether there was anything to give.
pub fn complete(ranges: &[LimitRange], pod: &mut Object) -> bool {
    let mut any = false;
    for range in ranges {
        let defaults = Defaults::of(range);
        let mut told = Vec::new();
        for (list, called) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                told.extend(defaults.give(container, called));
            }
        }
        if !told.is_empty() {
            let told = format!("LimitRanger plugin set: {}", told.join("; "));
            meta::set(pod, &["metadata", "annotations", ANNOTATION], told);
            any = true;
        }
    }
    any
}

/// What one LimitRange gives to containers.
#[derive(Default)]
struct Defaults {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

impl Defaults {
    fn of(range: &LimitRange) -> Self {
        let mut defaults = Self::default();
        let note = |to: &mut BTreeMap<String, String>, list: &Option<List>| {
            to.extend(list.iter().flatten().map(|(name, amount)| (name.clone(), amount.0.clone())));
        };
        for item in items(range).filter(|item| item.type_ == "Container") {
            note(&mut defaults.requests, &item.default_request);
            note(&mut defaults.limits, &item.default);
        }
        defaults
    }

    /// What was given, in words.
    fn give(&self, container: &mut Value, called: &str) -> Vec<String> {
        let limits = fill(container, "limits", &self.limits);
        let requests = fill(container, "requests", &self.requests);
        let name = container["name"].as_str().unwrap_or_default();
        let told = [(requests, "request"), (limits, "limit")];
        let told = told.into_iter().filter(|(names, _)| !names.is_empty());
        told.map(|(names, side)| format!("{} {side} for {called} {name}", names.join(", "))).collect()
    }
}

fn fill<'a>(container: &mut Value, side: &str, given: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (name, amount) in given {
        if meta::get(container, &["resources", side, name]).is_none() {
            meta::set(container, &["resources", side, name], amount.as_str());
            names.push(name.as_str());
        }
    }
    names
}

/// Whether a new pod is within all limits.
///
/// # Errors
///
/// What the first LimitRange that refuses says.
pub fn check_pod(ranges: &[LimitRange], pod: &Pod) -> Result<(), String> {
    let Some(spec) = &pod.spec else { return Ok(()) };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let each: Vec<(Amounts, Amounts)> = containers
        .map(|container| {
            let resources = container.resources.clone().unwrap_or_default();
            (read(resources.requests.as_ref()), read(resources.limits.as_ref()))
        })
        .collect();
    let bare = k8s_openapi::api::core::v1::PodSpec { overhead: None, ..spec.clone() };
    let whole = (demand::requests(&bare), demand::limits(&bare));
    for range in ranges {
        let mut wrong = Vec::new();
        for item in items(range) {
            match item.type_.as_str() {
                "Container" => each.iter().for_each(|(asked, most)| hold(item, asked, most, &mut wrong)),
                "Pod" => hold(item, &whole.0, &whole.1, &mut wrong),
                _ => {}
            }
        }
        refuse(wrong)?;
    }
    Ok(())
}

/// Whether a claim that is made, or altered from `old`, is within all limits.
///
/// # Errors
///
/// What the first LimitRange that refuses says.
pub fn check_claim(
    ranges: &[LimitRange],
    claim: &PersistentVolumeClaim,
    old: Option<&PersistentVolumeClaim>,
) -> Result<(), String> {
    let requests = |claim: &PersistentVolumeClaim| {
        let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
        read(resources.and_then(|resources| resources.requests.as_ref()))
    };
    let (asked, before) = (requests(claim), old.map(requests).unwrap_or_default());
    let kept = |name: &str| asked.get(name).is_some_and(|amount| before.get(name) == Some(amount));
    for range in ranges {
        let mut wrong = Vec::new();
        for item in items(range).filter(|item| item.type_ == "PersistentVolumeClaim") {
            for (name, least) in read(item.min.as_ref()).iter().filter(|(name, _)| !kept(name)) {
                wrong.extend(too_little(&item.type_, name, least, &asked, &Amounts::new()));
            }
            for (name, most) in read(item.max.as_ref()).iter().filter(|(name, _)| !kept(name)) {
                let head = format!("maximum {name} usage per {} is {most}", item.type_);
                wrong.extend(match asked.get(name) {
                    None => Some(format!("{head}.  No request is specified")),
                    Some(asked) if asked > most => Some(format!("{head}, but request is {asked}")),
                    Some(_) => None,
                });
            }
        }
        refuse(wrong)?;
    }
    Ok(())
}

fn items(range: &LimitRange) -> impl Iterator<Item = &LimitRangeItem> {
    range.spec.iter().flat_map(|spec| spec.limits.iter())
}

fn refuse(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(text::aggregate(wrong)) }
}

/// One item against one container, or a whole pod.
fn hold(item: &LimitRangeItem, asked: &Amounts, most: &Amounts, wrong: &mut Vec<String>) {
    for (name, least) in &read(item.min.as_ref()) {
        wrong.extend(too_little(&item.type_, name, least, asked, most));
    }
    for (name, allowed) in &read(item.max.as_ref()) {
        wrong.extend(too_much(&item.type_, name, allowed, asked, most));
    }
    for (name, ratio) in &read(item.max_limit_request_ratio.as_ref()) {
        wrong.extend(too_far(&item.type_, name, ratio, asked, most));
    }
}

fn too_little(of: &str, name: &str, least: &Quantity, asked: &Amounts, most: &Amounts) -> Option<String> {
    let head = format!("minimum {name} usage per {of} is {least}");
    match (asked.get(name), most.get(name)) {
        (None, _) => Some(format!("{head}.  No request is specified")),
        (Some(asked), _) if asked < least => Some(format!("{head}, but request is {asked}")),
        (_, Some(limit)) if limit < least => Some(format!("{head}, but limit is {limit}")),
        _ => None,
    }
}

fn too_much(of: &str, name: &str, allowed: &Quantity, asked: &Amounts, most: &Amounts) -> Option<String> {
    let head = format!("maximum {name} usage per {of} is {allowed}");
    match (asked.get(name), most.get(name)) {
        (_, None) => Some(format!("{head}.  No limit is specified")),
        (_, Some(limit)) if limit > allowed => Some(format!("{head}, but limit is {limit}")),
        (Some(asked), _) if asked > allowed => Some(format!("{head}, but request is {asked}")),
        _ => None,
    }
}

fn too_far(of: &str, name: &str, ratio: &Quantity, asked: &Amounts, most: &Amounts) -> Option<String> {
    let head = format!("{name} max limit to request ratio per {of} is {ratio}");
    let there = |amount: &&Quantity| !amount.is_zero();
    let Some(asked) = asked.get(name).filter(there) else {
        return Some(format!("{head}, but no request is specified or request is 0"));
    };
    let Some(limit) = most.get(name).filter(there) else {
        return Some(format!("{head}, but no limit is specified or limit is 0"));
    };
    let is = limit.ratio_to(asked);
    (is > ratio.ratio_to(&Quantity::whole(1))).then(|| format!("{head}, but provided ratio is {is:.6}"))
}

#[cfg(test)]
mod tests;
