//! Programmed: which revision every node's data plane has applied, and what that means for Services and leaving pods.
//!
//! Each node writes the revision it has applied into a Lease of its own (`lease`). View → the floor, what every Ready
//! node has applied, written for the nodes to read while a pod waits to leave; and each Service's condition
//! `Programmed`. Invariants: a Service is written to once a change of its spec, and again only when a node is late (docs/decisions/0009); what this
//! controller writes itself is no news to it; where no node publishes what it has applied, nothing is said.

mod condition;
mod ledger;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kelson_model::Revision;

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Step};
use crate::view::{Changed, View};
pub use ledger::Ledger;

/// Where the Leases are.
pub const NAMESPACE: &str = "kube-system";
/// The Lease that says what every Ready node has applied.
pub const FLOOR: &str = "kelson-programmed";
const PREFIX: &str = "kelson-programmed-";
const SERVICES: &str = "kelson.io/programmed-services";
const ENDPOINT_SLICES: &str = "kelson.io/programmed-endpoint-slices";

/// The condition's type.
pub const PROGRAMMED: &str = "Programmed";
/// Nodes that are this late are told of.
const PATIENCE: SignedDuration = SignedDuration::from_secs(1);

/// The name of the Lease in which a node says what it has applied.
pub fn lease_name(node: &str) -> String {
    format!("{PREFIX}{node}")
}

/// A Lease that says `revision` was applied by `holder`.
pub fn lease(name: &str, holder: &str, revision: Revision, now: Timestamp) -> Lease {
    let annotations = BTreeMap::from([
        (SERVICES.to_owned(), revision.services.to_string()),
        (ENDPOINT_SLICES.to_owned(), revision.endpoint_slices.to_string()),
    ]);
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

/// The revision a Lease states; nothing applied, where it cannot be read.
pub fn revision(lease: &Lease) -> Revision {
    let number = |name: &str| {
        let text = lease.metadata.annotations.as_ref().and_then(|all| all.get(name));
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    Revision { services: number(SERVICES), endpoint_slices: number(ENDPOINT_SLICES) }
}

/// The next step for one Service, or (the default key) for the floor.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    match *key == Key::default() {
        true => Plan::of(floor(view, now).map(Step::from).into_iter().collect()),
        false => service(view, key, now),
    }
}

/// Writes the floor while somebody waits for it.
fn floor(view: &View, now: Timestamp) -> Option<Action> {
    let floor = view.programmed.floor().filter(|_| view.programmed.is_awaited())?;
    let wanted = lease(FLOOR, FLOOR, floor, now);
    match view.leases.get(&Key::new(NAMESPACE, FLOOR)) {
        None => Some(Action::create(&wanted)),
        Some(known) if revision(known) == floor => None,
        Some(known) => {
            let mut after = known.as_ref().clone();
            after.metadata.annotations.get_or_insert_default().extend(wanted.metadata.annotations?);
            after.spec = wanted.spec;
            Action::patch(known.as_ref(), &after)
        }
    }
}

fn service(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some((service, since)) = view.services.get(key).zip(view.programmed.pending_since(key)) else {
        return Plan::default();
    };
    let due = since.checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
    let after = match view.programmed.behind(view, key) {
        behind if behind.is_empty() => condition::programmed(service, now),
        behind if due <= now => condition::pending(service, &behind, now),
        _ => {
            let mut plan = Plan::default();
            plan.requeue(due.duration_since(now));
            return plan;
        }
    };
    let action = after.and_then(|after| Action::patch_status(service.as_ref(), &after));
    Plan::of(action.map(Step::from).into_iter().collect())
}

/// The Services, and the floor, that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    match changed.resource.plural.as_ref() {
        "services" => vec![changed.key.clone()],
        "endpointslices" => ledger::services_of(changed),
        "nodes" if ledger::turned(changed) => view.programmed.waiting().chain([Key::default()]).collect(),
        "leases" if changed.key.namespace == NAMESPACE && changed.key.name.starts_with(FLOOR) => {
            view.programmed.reached().chain([Key::default()]).collect()
        }
        "pods" if is_leaving(&changed.new) && !is_leaving(&changed.old) => vec![Key::default()],
        _ => Vec::new(),
    }
}

/// Whether it is a pod that is being deleted.
fn is_leaving(any: &Option<Any>) -> bool {
    matches!(any, Some(Any::Pod(pod)) if crate::pod::is_deleting(pod))
}

/// Whether the Service is for the data plane of this cluster (C1.2), and stays.
fn is_ours(service: &Service) -> bool {
    let labels = service.metadata.labels.as_ref();
    let foreign =
        labels.is_some_and(|labels| labels.contains_key("service.kubernetes.io/service-proxy-name"));
    !foreign && service.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests;
