//! DELETE: grace, finalizers, propagation, and what is over.

use jiff::SignedDuration;
use kelson_machinery::{Object, meta, time};
use kelson_plans::Key;
use kelson_plans::plan::{Absent, Propagation};
use serde_json::Value;

use super::{Api, Place, Refusal};
use crate::clock::later;

/// How a deletion was asked for.
#[derive(Clone, Debug, Default)]
pub struct Deletion<'a> {
    pub uid: Option<&'a str>,
    pub version: Option<&'a str>,
    pub grace_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    /// Objects that must not be there.
    pub absent: &'a [Absent],
    /// The pod's own node asks, which has nothing left of it.
    pub by_node: bool,
}

impl Api {
    /// DELETE of one object.
    pub fn delete(&mut self, place: &Place, how: &Deletion<'_>) -> Result<(), Refusal> {
        let before = self.at(place).cloned().ok_or(Refusal::Stale)?;
        let other = |wanted: Option<&str>, is: &str| wanted.is_some_and(|wanted| wanted != is);
        if other(how.uid, meta::uid(&before))
            || other(how.version, meta::resource_version(&before))
            || how.absent.iter().any(|absent| self.is_there(absent))
        {
            return Err(Refusal::Stale);
        }
        if place.resource.plural == "pods" {
            self.asked.entry(meta::uid(&before).to_owned()).or_insert(self.now);
        }
        if place.resource.plural == "pods" && how.grace_seconds == Some(0) && !how.by_node {
            self.forced.insert(meta::uid(&before).to_owned());
        }
        let mut after = (**before).clone();
        propagate(&mut after, how.propagation);
        self.mark(&mut after, how.grace_seconds);
        if place.resource.plural == "namespaces" {
            meta::set(&mut after, &["status", "phase"], "Terminating");
        }
        match after == **before {
            _ if is_over(&after) => self.remove(place),
            true => {}
            false => self.put(place.clone(), after),
        }
        Ok(())
    }

    /// Sets when the object is to be gone; a pod on a node gets its grace, and a shorter one on a second asking.
    fn mark(&self, object: &mut Object, asked: Option<i64>) {
        let placed = meta::kind(object) == "Pod" && !meta::get_str(object, &["spec", "nodeName"]).is_empty();
        let ended = matches!(meta::get_str(object, &["status", "phase"]), "Failed" | "Succeeded");
        let own = meta::get_i64(object, &["spec", "terminationGracePeriodSeconds"]);
        let grace = if placed && !ended { asked.or(own).unwrap_or(30) } else { 0 };
        let known = meta::deletion_grace_period_seconds(object);
        let marked = meta::deletion_timestamp(object).is_some();
        if marked && known.is_some_and(|known| known <= grace || asked.is_none()) {
            return;
        }
        let at = later(self.time(), SignedDuration::from_secs(grace));
        meta::set_deletion_timestamp(object, &time::seconds(at));
        meta::set_deletion_grace_period_seconds(object, grace);
    }

    fn is_there(&self, absent: &Absent) -> bool {
        let object = self.get(&absent.resource, &absent.key);
        object.is_some_and(|object| absent.uid.is_empty() || meta::uid(object) == absent.uid)
    }

    /// DELETE of all objects of a resource in a namespace.
    pub fn delete_collection(&mut self, resource: &kelson_plans::Resource, namespace: &str) {
        let keys: Vec<Key> =
            self.all(resource).map(|(key, _)| key.clone()).filter(|key| key.namespace == namespace).collect();
        for key in keys {
            // It was there a moment ago, and nobody else is served meanwhile.
            let _ = self.delete(&Place { resource: resource.clone(), key }, &Deletion::default());
        }
    }
}

fn propagate(object: &mut Object, propagation: Option<Propagation>) {
    let wanted = match propagation {
        Some(Propagation::Foreground) => "foregroundDeletion",
        Some(Propagation::Orphan) => "orphan",
        _ => return,
    };
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|name| name == wanted) {
        finalizers.push(wanted.to_owned());
    }
    meta::set_finalizers(object, &finalizers.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Whether an object on its way out has nothing left to wait for.
pub(super) fn is_over(object: &Object) -> bool {
    let held = meta::kind(object) == "Namespace"
        && meta::get(object, &["spec", "finalizers"])
            .and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty());
    meta::deletion_timestamp(object).is_some()
        && meta::finalizers(object).is_empty()
        && meta::deletion_grace_period_seconds(object).unwrap_or(0) == 0
        && !held
}
