//! Nothing is left half gone: no object whose owners or namespace are no more, none that waits to go, no node that
//! counts as lost.

use std::collections::BTreeSet;

use kelson_machinery::meta;
use kelson_plans::Key;
use serde_json::Value;

use super::Judgement;
use crate::world::{World, resource};

pub(super) fn all(world: &World) -> Judgement {
    let uids: BTreeSet<&str> = world.api.everything().map(|(_, _, object)| meta::uid(object)).collect();
    for (resource, key, object) in world.api.everything() {
        let what = || format!("{} {key}", resource.plural);
        let mut owners = meta::get_list(object, &["metadata", "ownerReferences"]).iter();
        if let Some(gone) = owners.find(|owner| owner["uid"].as_str().is_none_or(|uid| !uids.contains(uid))) {
            return Err(format!("{} is owned by {gone}, which is gone", what()));
        }
        if resource.namespaced && !has_namespace(world, key) {
            return Err(format!("{} is left of a namespace that is gone", what()));
        }
        if meta::deletion_timestamp(object).is_some() && !is_claimed(world, key, &resource.plural) {
            return Err(format!("{} never goes: {}", what(), **object));
        }
    }
    nodes_are_whole(world)
}

fn has_namespace(world: &World, key: &Key) -> bool {
    world.api.get(&resource("namespaces"), &Key::cluster(key.namespace.as_str())).is_some()
}

/// A claim that a pod uses stays until that ends.
fn is_claimed(world: &World, key: &Key, plural: &str) -> bool {
    let names = |pod: &Value| {
        let mut volumes = meta::get_list(pod, &["spec", "volumes"]).iter();
        volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == key.name.as_str())
    };
    let mut pods = world.api.all(&resource("pods")).filter(|(pod, _)| pod.namespace == key.namespace);
    plural == "persistentvolumeclaims" && pods.any(|(_, pod)| names(pod))
}

fn nodes_are_whole(world: &World) -> Judgement {
    for node in &world.nodes {
        let known = world.api.get(&resource("nodes"), &Key::cluster(node.name.as_str()));
        let taints = known.map(|known| meta::get_list(known, &["spec", "taints"]));
        if !node.is_ready(&world.api) || taints.is_none_or(|taints| !taints.is_empty()) {
            return Err(format!("{} is up, but the API has {known:?}", node.name));
        }
    }
    Ok(())
}
