//! What must hold after every step, judged write by write: nothing is held twice, nothing runs beyond its bounds.

mod jobs;
mod ports;
mod quotas;
mod rollouts;

use std::collections::{BTreeMap, BTreeSet};

use kelson_machinery::meta;
use kelson_plans::{Action, Key};
use serde_json::Value;

use crate::api::{Api, Stored, Write};
use crate::node::Node;
use jobs::Jobs;
pub(crate) use jobs::TRACKING;
pub(crate) use quotas::there;
use rollouts::Rollouts;

type Judgement = Result<(), String>;

/// What was seen so far, as far as later steps are judged by it.
pub(crate) struct Always {
    /// Pods by the address that the API says they have.
    addresses: BTreeMap<String, String>,
    /// Services by their balancer addresses.
    balancers: BTreeMap<String, Key>,
    jobs: Jobs,
    rollouts: Option<Rollouts>,
    /// Owners for whom something may have been made twice, because an answer was lost.
    spoilt: BTreeSet<String>,
    /// Pods that were bound while nobody heard so, by uid.
    unheard: BTreeSet<String>,
    /// How many pods with a port of their node were bound.
    pub ports: usize,
    /// Every write is printed.
    pub tells: bool,
}

impl Always {
    pub fn new(calm: bool) -> Self {
        Self {
            addresses: BTreeMap::new(),
            balancers: BTreeMap::new(),
            jobs: Jobs::default(),
            rollouts: calm.then(Rollouts::default),
            spoilt: BTreeSet::new(),
            unheard: BTreeSet::new(),
            ports: 0,
            tells: false,
        }
    }

    /// The answer to this was lost.
    pub fn spoil(&mut self, action: &Action) {
        match action {
            Action::Create { object, .. } => self.spoilt.extend(owner(object).map(str::to_owned)),
            Action::Bind { uid, .. } => drop(self.unheard.insert(uid.clone())),
            _ => {}
        }
    }

    /// How many of a job's pods have succeeded, by its uid.
    pub fn succeeded(&self, job: &str) -> usize {
        self.jobs.succeeded(job)
    }

    /// Judges what was written since the last look.
    pub fn look(&mut self, api: &mut Api, nodes: &[Node]) -> Judgement {
        if let Some(fault) = api.faults.pop() {
            return Err(fault);
        }
        for write in std::mem::take(&mut api.writes) {
            if self.tells {
                println!("{} {}", api.now, told(&write));
            }
            quotas::look(&write, api)?;
            match write.place.resource.plural.as_ref() {
                "pods" => {
                    self.ports += usize::from(ports::look(&write, api, &self.unheard)?);
                    self.pod_address(&write, api)?;
                    self.jobs.pod(&write, api, &self.spoilt)?;
                    one_of_a_name(&write, api, nodes)?;
                }
                "services" => self.balancer_address(&write)?,
                "jobs" => self.jobs.job(&write)?,
                _ => {}
            }
            if let Some(rollouts) = &mut self.rollouts {
                rollouts.look(&write, api)?;
            }
        }
        Ok(())
    }

    /// A pod that lives has its address to itself.
    fn pod_address(&mut self, write: &Write, api: &Api) -> Judgement {
        let held = |pod: &&std::sync::Arc<Stored>| !is_over(pod) && !address(pod).is_empty();
        if let Some(before) = write.before.as_ref().filter(held)
            && self.addresses.get(address(before)).is_some_and(|uid| uid == meta::uid(before))
        {
            self.addresses.remove(address(before));
        }
        if let Some(after) = write.after.as_ref().filter(held) {
            let other = self.addresses.insert(address(after).to_owned(), meta::uid(after).to_owned());
            if let Some(other) = other.filter(|other| other != meta::uid(after)) {
                let mut pods = api.all(&write.place.resource);
                let other = pods.find(|(_, pod)| meta::uid(pod) == other);
                let other = other.map(|(key, pod)| format!("{key}, which says {}", pod["status"]));
                return Err(format!("{} has {}, and so has {other:?}", write.place.key, address(after)));
            }
        }
        Ok(())
    }

    fn balancer_address(&mut self, write: &Write) -> Judgement {
        let key = &write.place.key;
        self.balancers.retain(|_, holder| holder != key);
        let balancer = write
            .after
            .as_ref()
            .map(|service| meta::get_list(service, &["status", "loadBalancer", "ingress"]));
        for ip in balancer.into_iter().flatten().filter_map(|one| one["ip"].as_str()) {
            if let Some(other) = self.balancers.insert(ip.to_owned(), key.clone()) {
                return Err(format!("{key} and {other} both have the balancer address {ip}"));
            }
        }
        Ok(())
    }
}

/// A write in one line.
fn told(write: &Write) -> String {
    let what = format!("{} {}", write.place.resource.plural, write.place.key);
    match &write.after {
        None => format!("{what} gone"),
        Some(object) => format!("{what} {object}"),
    }
}

/// While a pod of a StatefulSet runs, no other of its name does, unless that was sent away by force.
fn one_of_a_name(write: &Write, api: &Api, nodes: &[Node]) -> Judgement {
    let Some(pod) = write.after.as_ref().filter(|pod| is_in_set(pod) && phase(pod) == "Running") else {
        return Ok(());
    };
    for node in nodes {
        let others = node.machine.sandboxes().filter(|(uid, sandbox)| {
            sandbox.pod == write.place.key && uid.as_str() != meta::uid(pod) && !api.forced.contains(*uid)
        });
        for (uid, sandbox) in others {
            if sandbox.alive().next().is_some() {
                let (key, name) = (&write.place.key, &node.name);
                return Err(format!("{key} runs while the one of uid {uid} still runs on {name}"));
            }
        }
    }
    Ok(())
}

fn is_in_set(pod: &Value) -> bool {
    pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
}

/// The uid of an object's controller.
fn owner(object: &Value) -> Option<&str> {
    let owners = meta::get_list(object, &["metadata", "ownerReferences"]).iter();
    owners.filter(|owner| owner["controller"] == true).find_map(|owner| owner["uid"].as_str())
}

fn phase(pod: &Value) -> &str {
    meta::get_str(pod, &["status", "phase"])
}

fn address(pod: &Value) -> &str {
    meta::get_str(pod, &["status", "podIP"])
}

fn is_over(pod: &Value) -> bool {
    matches!(phase(pod), "Failed" | "Succeeded")
}

/// Neither ended nor asked to go.
fn is_active(pod: &Value) -> bool {
    !is_over(pod) && meta::deletion_timestamp(pod).is_none()
}

#[cfg(test)]
mod tests;
