//! Workloads have the pods they want, pods and claims have what they need to themselves.

use std::collections::BTreeMap;

use kelson_machinery::meta;
use kelson_plans::Key;
use serde_json::Value;

use super::Judgement;
use crate::world::{World, resource};

pub(super) fn all(world: &World) -> Judgement {
    deployments_have_their_pods(world)?;
    sets_have_their_pods(world)?;
    volumes_have_one_claim(world)
}

fn deployments_have_their_pods(world: &World) -> Judgement {
    for (key, deployment) in world.api.all(&resource("deployments")) {
        let wanted = meta::get_i64(deployment, &["spec", "replicas"]).unwrap_or(1);
        let ready = meta::get_i64(deployment, &["status", "readyReplicas"]).unwrap_or(0);
        let paused = meta::get_bool(deployment, &["spec", "paused"]);
        if wanted != ready && !paused {
            return Err(format!("{key} wants {wanted} pods and has {ready} ready: {}", deployment["status"]));
        }
    }
    Ok(())
}

fn sets_have_their_pods(world: &World) -> Judgement {
    for (plural, wanted, ready) in [
        ("statefulsets", "/spec/replicas", "/status/readyReplicas"),
        ("replicasets", "/spec/replicas", "/status/readyReplicas"),
        ("daemonsets", "/status/desiredNumberScheduled", "/status/numberReady"),
    ] {
        for (key, set) in world.api.all(&resource(plural)) {
            let number = |path: &str| set.pointer(path).and_then(Value::as_i64).unwrap_or(0);
            if number(wanted) != number(ready) {
                return Err(format!("{plural} {key} is not what it should be: {}", set["status"]));
            }
        }
    }
    Ok(())
}

/// Every claim that a pod uses has a volume that is nobody else's; every volume belongs to a claim that is there.
fn volumes_have_one_claim(world: &World) -> Judgement {
    let claims = resource("persistentvolumeclaims");
    let mut held: BTreeMap<&str, &Key> = BTreeMap::new();
    for (key, claim) in world.api.all(&claims) {
        let volume = meta::get_str(claim, &["spec", "volumeName"]);
        if let Some(other) = held.insert(volume, key).filter(|_| !volume.is_empty()) {
            return Err(format!("claims {key} and {other} both have {volume}"));
        }
    }
    for (key, volume) in world.api.all(&resource("persistentvolumes")) {
        let reference = |field: &str| meta::get_str(volume, &["spec", "claimRef", field]);
        let claim = world.api.get(&claims, &Key::new(reference("namespace"), reference("name")));
        if claim.is_none_or(|claim| meta::uid(claim) != reference("uid")) {
            return Err(format!("volume {key} is left of a claim that is gone: {}", **volume));
        }
    }
    Ok(())
}
