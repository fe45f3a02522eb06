//! ResourceQuota: its status says what the namespace's objects use, also after some of them went.
//!
//! View → the quota's status. Uses rise where objects are admitted, in the same commit; here they fall again. Invariant:
//! what is written is what the objects of the view use, at the version of the quota it was compared with. A server that
//! has newer objects than the view counts anew instead (`io/apiserver`).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceQuota, Service};
use kelson_quota::count::agree;
use kelson_quota::usage::{is_charged, released_at};
use kelson_quota::{Counted, Subject, Tally, counted};

use crate::key::{Key, Resource};
use crate::kinds::Any;
use crate::plan::{Action, Plan, Step};
use crate::view::{Changed, View};

/// The next step for one quota.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(quota) = view.resource_quotas.get(key) else { return Plan::default() };
    let mut tally = Tally::new(quota, now);
    let mut plan = Plan::default();
    for kind in counted(quota) {
        match (kind.group.as_str(), kind.plural.as_str()) {
            ("", "pods") => {
                for (_, pod) in view.pods.within(&key.namespace) {
                    tally.add(&Subject::Pod(pod));
                    // A moment later, so that it is over by then.
                    let released = released_at(pod).filter(|_| is_charged(pod, now));
                    released
                        .into_iter()
                        .for_each(|at| plan.requeue(at.duration_since(now) + SignedDuration::from_secs(1)));
                }
            }
            ("", "services") => {
                let services = view.services.within(&key.namespace);
                services.for_each(|(_, service)| tally.add(&Subject::Service(service)));
            }
            ("", "persistentvolumeclaims") => {
                let claims = view.persistent_volume_claims.within(&key.namespace);
                claims.for_each(|(_, claim)| tally.add(&Subject::Claim(claim)));
            }
            (group, plural) => {
                let all = view.graph.within(&key.namespace);
                let of_kind = all.filter(|vertex| is_of(&vertex.resource, &kind));
                of_kind.for_each(|_| tally.add(&Subject::Other { group, plural }));
            }
        }
    }
    let status = tally.status();
    if !agree(quota.status.as_ref(), &status) {
        let after = ResourceQuota { status: Some(status), ..quota.as_ref().clone() };
        plan.stage(Action::patch_status(quota.as_ref(), &after).map(Step::from).into_iter().collect());
    }
    plan
}

fn is_of(resource: &Resource, kind: &Counted) -> bool {
    resource.group == kind.group && resource.plural == kind.plural
}

/// The quotas whose objects may use less than before, and those that are new themselves.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    if let Some(Any::ResourceQuota(new)) = &changed.new
        && !matches!(&changed.old, Some(Any::ResourceQuota(old)) if old.spec == new.spec && old.status == new.status)
    {
        return vec![changed.key.clone()];
    }
    if changed.key.namespace.is_empty() || !may_free(changed) {
        return Vec::new();
    }
    let quotas = view.resource_quotas.within(&changed.key.namespace);
    let concerned =
        quotas.filter(|(_, quota)| counted(quota).iter().any(|kind| is_of(&changed.resource, kind)));
    concerned.map(|(key, _)| key.clone()).collect()
}

/// Whether a change may leave less used; of kinds known by metadata alone nobody can tell.
fn may_free(changed: &Changed) -> bool {
    match (&changed.old, &changed.new) {
        (Some(Any::Pod(old)), Some(Any::Pod(new))) => {
            let standing = |pod: &k8s_openapi::api::core::v1::Pod| {
                (pod.metadata.deletion_timestamp.clone(), crate::pod::is_terminal(pod))
            };
            standing(old) != standing(new)
        }
        (Some(Any::Service(old)), Some(Any::Service(new))) => ports(old) != ports(new),
        (Some(Any::PersistentVolumeClaim(old)), Some(Any::PersistentVolumeClaim(new))) => {
            sizes(old) != sizes(new)
        }
        (Some(_), Some(_)) | (None, Some(_)) => false,
        (Some(_), None) | (None, None) => true,
    }
}

fn ports(service: &Service) -> impl PartialEq + use<> {
    service.spec.clone().map(|spec| (spec.type_, spec.ports, spec.allocate_load_balancer_node_ports))
}

fn sizes(claim: &PersistentVolumeClaim) -> impl PartialEq + use<> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.clone());
    (resources, claim.status.as_ref().and_then(|status| status.allocated_resources.clone()))
}

#[cfg(test)]
mod tests;
