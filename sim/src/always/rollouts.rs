//! Rollouts of a world in which nothing fails of itself: never too many pods, never too few that are ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kelson_machinery::meta;
use kelson_plans::Key;
use serde_json::Value;

use super::{Judgement, is_over, owner};
use crate::api::{Api, Stored, Write};
use crate::world::{is_ready, resource};

#[derive(Default)]
pub(super) struct Rollouts {
    /// Deployments that once had all their pods available, by uid.
    complete: BTreeSet<String>,
    /// ReplicaSets that are to have no pods, by uid, and since which version.
    ended: BTreeMap<String, u64>,
}

impl Rollouts {
    pub(super) fn look(&mut self, write: &Write, api: &Api) -> Judgement {
        self.note_set(write);
        match write.place.resource.plural.as_ref() {
            "pods" | "replicasets" => {
                let namespace = &write.place.key.namespace;
                let all = api.all(&resource("deployments"));
                for (key, deployment) in all.filter(|(key, _)| key.namespace == *namespace) {
                    self.deployment(key, deployment, write, api)?;
                }
                in_order(write, api)
            }
            _ => Ok(()),
        }
    }

    fn deployment(&mut self, key: &Key, deployment: &Stored, write: &Write, api: &Api) -> Judgement {
        let uid = meta::uid(deployment);
        let sets: Vec<&Arc<Stored>> = controlled(api, "replicasets", uid).collect();
        let pods: Vec<&Arc<Stored>> =
            sets.iter().flat_map(|set| controlled(api, "pods", meta::uid(set))).collect();
        let wanted = meta::get_i64(deployment, &["spec", "replicas"]).unwrap_or(1);
        if meta::get_str(deployment, &["spec", "strategy", "type"]) == "Recreate" {
            return self.recreated(key, &sets, write, api);
        }
        let (surge, unavailable) = bounds(deployment, wanted);
        let told: i64 = sets.iter().filter_map(|set| meta::get_i64(set, &["spec", "replicas"])).sum();
        // By what the sets are told, as upstream: pods that a set has yet to delete may be there besides.
        if told > wanted + surge {
            return Err(format!("{key} wants {wanted} and {surge} more, but its sets are told {told}"));
        }
        let ready = pods.iter().filter(|pod| is_ready(pod)).count() as i64;
        // Pods that are ready for too short a time do not count yet, and may be taken away first.
        if meta::get_i64(deployment, &["status", "availableReplicas"]).unwrap_or(0) >= wanted {
            self.complete.insert(uid.to_owned());
        }
        match ready < wanted - unavailable && self.complete.contains(uid) {
            true => Err(format!("{key} has {ready} ready of {wanted}, where {unavailable} may be missing")),
            false => Ok(()),
        }
    }

    fn note_set(&mut self, write: &Write) {
        let Some(set) = write.after.as_ref().filter(|_| write.place.resource.plural == "replicasets") else {
            return;
        };
        let uid = meta::uid(set).to_owned();
        match meta::get_i64(set, &["spec", "replicas"]) {
            Some(0) => drop(self.ended.entry(uid).or_insert_with(|| number(meta::resource_version(set)))),
            _ => drop(self.ended.remove(&uid)),
        }
    }

    /// No pod is made while one of another generation lives, ending ones counted. A set may still make some that has not
    /// heard that it is to have none, as upstream: those do not count.
    fn recreated(&self, key: &Key, sets: &[&Arc<Stored>], write: &Write, api: &Api) -> Judgement {
        let (None, Some(made)) = (&write.before, &write.after) else { return Ok(()) };
        let own = |set: &&&Arc<Stored>| owner(made) == Some(meta::uid(set));
        if write.place.resource.plural != "pods" || !sets.iter().any(|set| own(&set)) {
            return Ok(());
        }
        if owner(made).is_some_and(|own| self.ended.contains_key(own)) {
            return Ok(());
        }
        for set in sets.iter().filter(|set| !own(set)) {
            let ended = self.ended.get(meta::uid(set)).copied().unwrap_or(u64::MAX);
            let is_of_before = |pod: &&Arc<Stored>| number_of(pod) < ended;
            let mut living = controlled(api, "pods", meta::uid(set)).filter(|pod| !is_over(pod));
            if let Some(old) = living.find(is_of_before) {
                let (new, old) = (&write.place.key.name, meta::name(old));
                return Err(format!("{key} is to be recreated, but {new} is made while {old} lives"));
            }
        }
        Ok(())
    }
}

/// The version that an object was made with: its uid says it.
fn number_of(object: &Value) -> u64 {
    number(meta::uid(object).trim_start_matches("uid-"))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// A pod of an ordered set is made when all before it are ready.
fn in_order(write: &Write, api: &Api) -> Judgement {
    let (None, Some(pod)) = (&write.before, &write.after) else { return Ok(()) };
    let sets = resource("statefulsets");
    let Some((key, set)) = api.all(&sets).find(|(_, set)| owner(pod) == Some(meta::uid(set))) else {
        return Ok(());
    };
    if meta::get_str(set, &["spec", "podManagementPolicy"]) == "Parallel" {
        return Ok(());
    }
    let ordinal = |name: &str| name.rsplit_once('-').and_then(|(_, number)| number.parse::<i64>().ok());
    let Some(own) = ordinal(&write.place.key.name) else { return Ok(()) };
    for earlier in 0..own {
        let name = Key::new(key.namespace.as_str(), format!("{}-{earlier}", key.name));
        if !api.get(&resource("pods"), &name).is_some_and(|pod| is_ready(pod)) {
            return Err(format!("{} is made though {name} is not ready", write.place.key));
        }
    }
    Ok(())
}

fn controlled<'a>(api: &'a Api, plural: &str, uid: &str) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
    let uid = uid.to_owned();
    api.all(&resource(plural)).map(|(_, object)| object).filter(move |object| owner(object) == Some(&uid))
}

/// How many more than wanted there may be, and how many fewer ready.
fn bounds(deployment: &Value, wanted: i64) -> (i64, i64) {
    let number = |field: &str, up: i64| match &deployment["spec"]["strategy"]["rollingUpdate"][field] {
        Value::String(percent) => {
            let percent: i64 = percent.trim_end_matches('%').parse().unwrap_or(0);
            (wanted * percent + up).div_euclid(100)
        }
        number => number.as_i64().unwrap_or(0),
    };
    match (number("maxSurge", 99), number("maxUnavailable", 0)) {
        (0, 0) => (0, 1),
        bounds => bounds,
    }
}
