//! Garbage: what happens to objects whose owners go (I15).
//!
//! View → deletions, and owner references taken away. A task is one object, by its uid (`Key::name`).
//! Upstream's rule: an object lives while one owner is there that is not itself waiting for its dependents.
//! Invariant: nothing is deleted for want of an owner that was merely not heard of yet: the deletion says
//! which owners must be absent, and whoever carries it out asks the API.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::graph::Vertex;
use crate::key::{Key, Resource};
use crate::plan::{Absent, Action, Plan, Propagation, Step};
use crate::view::{Changed, View};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The next step for one object.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    let Some(vertex) = view.graph.get(&key.name) else { return Plan::default() };
    let steps = match () {
        () if vertex.deleting && has(vertex, FOREGROUND) => foreground(view, vertex),
        () if vertex.deleting && has(vertex, ORPHAN) => orphan(view, vertex),
        () if vertex.deleting => return Plan::default(),
        () => judge(view, vertex),
    };
    let mut plan = Plan::default();
    steps.into_iter().for_each(|stage| plan.stage(stage));
    plan
}

fn has(vertex: &Vertex, finalizer: &str) -> bool {
    vertex.finalizers.iter().any(|name| name == finalizer)
}

fn refers<'a>(dependent: &'a Vertex, owner: &Vertex) -> impl Iterator<Item = &'a OwnerReference> {
    dependent.owners.iter().filter(move |reference| *reference.uid == *owner.uid)
}

/// The object waits for the dependents that block it; when there are none it goes.
fn foreground(view: &View, vertex: &Vertex) -> Vec<Vec<Step>> {
    let blocks = |dependent: &&Vertex| {
        refers(dependent, vertex).any(|reference| reference.block_owner_deletion == Some(true))
    };
    if view.graph.dependents(&vertex.uid).any(|dependent| blocks(&dependent)) {
        // Each dependent is a task of its own: it is judged as one whose owner waits.
        return Vec::new();
    }
    vec![vec![without_finalizer(vertex, FOREGROUND)]]
}

/// The dependents are let go first, then the object.
fn orphan(view: &View, vertex: &Vertex) -> Vec<Vec<Step>> {
    let released = view.graph.dependents(&vertex.uid);
    let released = released.map(|dependent| without_owners(dependent, &[&*vertex.uid])).collect();
    vec![released, vec![without_finalizer(vertex, ORPHAN)]]
}

/// How an owner of an object stands.
enum Standing {
    Solid,
    Waiting,
    Gone(Absent),
}

fn judge(view: &View, vertex: &Vertex) -> Vec<Vec<Step>> {
    if vertex.owners.is_empty() {
        return Vec::new();
    }
    let (mut solid, mut waiting, mut absent) = (0, Vec::new(), Vec::new());
    for owner in &vertex.owners {
        match standing(view, vertex, owner) {
            Standing::Solid => solid += 1,
            Standing::Waiting => waiting.push(owner.uid.as_str()),
            Standing::Gone(gone) => absent.push(gone),
        }
    }
    if solid > 0 && waiting.is_empty() && absent.is_empty() {
        return Vec::new();
    }
    if solid > 0 {
        let cut = waiting.into_iter().chain(absent.iter().map(|gone| gone.uid.as_str())).collect::<Vec<_>>();
        return vec![vec![without_owners(vertex, &cut)]];
    }
    let mut dependents = view.graph.dependents(&vertex.uid).peekable();
    if waiting.is_empty() || dependents.peek().is_none() {
        return vec![vec![delete(vertex, policy(vertex), absent)]];
    }
    // A dependent that waits in its turn may be the end of a circle: nobody waits for this object then.
    let circle = dependents.any(|dependent| dependent.deleting && has(dependent, FOREGROUND));
    let unblocked = if circle { unblock(vertex) } else { Vec::new() };
    vec![unblocked, vec![delete(vertex, Propagation::Foreground, absent)]]
}

/// No owner has to wait for the object any longer.
fn unblock(vertex: &Vertex) -> Vec<Step> {
    if vertex.owners.iter().all(|owner| owner.block_owner_deletion != Some(true)) {
        return Vec::new();
    }
    let owners = vertex.owners.iter().cloned();
    let owners = owners.map(|owner| OwnerReference { block_owner_deletion: Some(false), ..owner });
    vec![patch(vertex, json!({"metadata": {"ownerReferences": owners.collect::<Vec<_>>()}}))]
}

fn standing(view: &View, vertex: &Vertex, owner: &OwnerReference) -> Standing {
    if let Some(known) =
        view.graph.get(&owner.uid).filter(|known| is_reachable(vertex, &known.resource, &known.key))
    {
        let waits = known.deleting && has(known, FOREGROUND);
        return if waits { Standing::Waiting } else { Standing::Solid };
    }
    // A kind the API does not serve here cannot be asked after: the object stays.
    let Some(resource) = view.resource_of(&owner.api_version, &owner.kind) else { return Standing::Solid };
    let namespace = if resource.namespaced { vertex.key.namespace.as_str() } else { "" };
    if resource.namespaced && namespace.is_empty() {
        return Standing::Solid;
    }
    let key = Key::new(namespace, &owner.name);
    Standing::Gone(Absent { resource: resource.clone(), key, uid: owner.uid.clone() })
}

/// Owners are of the same namespace, or of none.
fn is_reachable(vertex: &Vertex, resource: &Resource, key: &Key) -> bool {
    !resource.namespaced || key.namespace == vertex.key.namespace
}

/// What the object's own finalizers ask for its dependents.
fn policy(vertex: &Vertex) -> Propagation {
    match () {
        () if has(vertex, ORPHAN) => Propagation::Orphan,
        () if has(vertex, FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    }
}

fn delete(vertex: &Vertex, propagation: Propagation, absent: Vec<Absent>) -> Step {
    Step::from(Action::Delete {
        resource: Resource::clone(&vertex.resource),
        key: Key::clone(&vertex.key),
        uid: vertex.uid.to_string(),
        resource_version: None,
        grace_seconds: None,
        propagation: Some(propagation),
        absent,
    })
}

fn without_finalizer(vertex: &Vertex, finalizer: &str) -> Step {
    let rest: Vec<&String> = vertex.finalizers.iter().filter(|name| *name != finalizer).collect();
    patch(vertex, json!({"metadata": {"finalizers": rest}}))
}

fn without_owners(vertex: &Vertex, uids: &[&str]) -> Step {
    let rest: Vec<&OwnerReference> =
        vertex.owners.iter().filter(|owner| !uids.contains(&owner.uid.as_str())).collect();
    let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
    patch(vertex, json!({"metadata": {"ownerReferences": rest}}))
}

fn patch(vertex: &Vertex, patch: Value) -> Step {
    Step::from(Action::Patch {
        resource: Resource::clone(&vertex.resource),
        key: Key::clone(&vertex.key),
        uid: vertex.uid.to_string(),
        resource_version: Some(vertex.resource_version.to_string()),
        subresource: None,
        patch,
    })
}

/// The objects that a change concerns: itself, those it owns, and those it is owned by.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut uids = changed.uids.clone();
    for uid in &changed.uids {
        let vertex = view.graph.get(uid);
        if vertex.is_none_or(|vertex| vertex.deleting) {
            uids.extend(view.graph.dependents(uid).map(|dependent| dependent.uid.to_string()));
        }
    }
    let owners = changed
        .old
        .iter()
        .chain(&changed.new)
        .flat_map(|any| any.metadata().owner_references.iter().flatten());
    let waiting = owners.filter(|owner| view.graph.get(&owner.uid).is_some_and(|owner| owner.deleting));
    uids.extend(waiting.map(|owner| owner.uid.clone()));
    let concerned = uids
        .into_iter()
        .filter(|uid| view.graph.get(uid).is_some_and(|vertex| vertex.deleting || !vertex.owners.is_empty()));
    concerned.map(Key::cluster).collect()
}

#[cfg(test)]
mod tests;
