//! ResourceQuotas at a write, as `io/apiserver` asks them: refused or counted together with the object; a quota that is
//! written is counted anew from what is there.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use kelson_machinery::{Object, meta};
use kelson_plans::{Key, Resource};
use kelson_quota::amounts::write;
use kelson_quota::count::agree;
use kelson_quota::{Subject, Tally, counted};
use serde::Deserialize;
use serde_json::Value;

use super::{Api, Place, Refusal, Stored};

/// Quotas that count more once the object is there.
pub(super) type Charges = Vec<(Place, Object)>;

fn quotas() -> Resource {
    Resource::of::<ResourceQuota>(true)
}

impl Api {
    /// Asks the namespace's quotas for an object that is made or altered.
    pub(super) fn charge(
        &mut self,
        place: &Place,
        object: &Object,
        before: Option<&Stored>,
    ) -> Result<Charges, Refusal> {
        let namespace = &place.key.namespace;
        let resource = quotas();
        let all = self.all(&resource).filter(|(key, _)| key.namespace == *namespace);
        let all: Vec<(Key, Arc<Stored>)> = all.map(|(key, quota)| (key.clone(), quota.clone())).collect();
        if all.is_empty() || place.resource.plural == "events" {
            return Ok(Charges::new());
        }
        let typed: Vec<Arc<ResourceQuota>> = all.iter().map(|(_, quota)| quota.typed()).collect();
        let typed: Vec<&ResourceQuota> = typed.iter().map(Arc::as_ref).collect();
        let (new, now) = (Stored::new(object.clone()), self.time());
        let charged = with_subject(place, &new, |new| match before {
            None => kelson_quota::charge(&typed, new, None, now),
            Some(before) => {
                with_subject(place, before, |before| kelson_quota::charge(&typed, new, Some(before), now))
            }
        });
        let charged = charged.map_err(|why| {
            self.over_quota += 1;
            Refusal::Invalid(format!("{} is forbidden: {why}", place.key))
        })?;
        let changed = charged.into_iter().map(|charged| {
            let (key, quota) = &all[charged.index];
            let mut after = Object::clone(quota);
            let used = serde_json::to_value(write(&charged.used)).expect("amounts are JSON");
            meta::set(&mut after, &["status", "used"], used);
            (Place { resource: quotas(), key: key.clone() }, after)
        });
        Ok(changed.collect())
    }

    /// The quotas count what they were asked for.
    pub(super) fn book(&mut self, charges: Charges) {
        charges.into_iter().for_each(|(place, quota)| self.put(place, quota));
    }

    /// Gives a quota that is written its status.
    pub(super) fn count_quota(&self, place: &Place, quota: &mut Object, before: Option<&Stored>) {
        if place.resource.plural != "resourcequotas" {
            return;
        }
        let typed = ResourceQuota::deserialize(&*quota).expect("the registry stores what the types can read");
        let mut tally = Tally::new(&typed, self.time());
        for of in counted(&typed) {
            let kinds = kelson_registry::kinds().iter();
            let known = kinds.copied().find(|kind| kind.group == of.group && kind.plural == of.plural);
            let Some(resource) = known.map(super::resource) else { continue };
            for (key, object) in self.all(&resource).filter(|(key, _)| key.namespace == place.key.namespace) {
                let at = Place { resource: resource.clone(), key: key.clone() };
                with_subject(&at, object, |subject| tally.add(subject));
            }
        }
        let status = tally.status();
        let known = before.filter(|before| agree(before.typed::<ResourceQuota>().status.as_ref(), &status));
        let counted = || serde_json::to_value(&status).expect("a status is JSON");
        let status: Value = known.map_or_else(counted, |before| before["status"].clone());
        meta::set(quota, &["status"], status);
    }
}

/// Calls with an object as quotas see it.
fn with_subject<T>(place: &Place, object: &Stored, call: impl FnOnce(&Subject<'_>) -> T) -> T {
    let resource = &place.resource;
    match (resource.group.as_ref(), resource.plural.as_ref()) {
        ("", "pods") => call(&Subject::Pod(&object.typed::<Pod>())),
        ("", "services") => call(&Subject::Service(&object.typed::<Service>())),
        ("", "persistentvolumeclaims") => call(&Subject::Claim(&object.typed::<PersistentVolumeClaim>())),
        (group, plural) => call(&Subject::Other { group, plural }),
    }
}
