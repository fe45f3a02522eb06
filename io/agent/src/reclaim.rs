//! Volumes of this node whose claim is gone: their data is removed, then the object.
//!
//! Invariant: data goes only if the volume is this node's own make, its policy is Delete, the API itself says that the
//! claim of that uid is no more, and no pod here still has it. What fails is tried again.

use crate::error::chain;
use crate::host::Host;
use crate::pods::Directory;
use crate::volumes::{self, PROVISIONER, claim_name, own_directory};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kelson_cluster::{Change, Selection, reflect};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long what could not be removed waits for the next try.
const RETRY: Duration = Duration::from_secs(5);

/// Follows the volumes for ever.
pub async fn run(host: &Host, client: &Client, directory: &Directory) {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let mut changes = std::pin::pin!(reflect(api, Selection::default()));
    let mut left: BTreeMap<String, Arc<PersistentVolume>> = BTreeMap::new();
    loop {
        let change = match left.is_empty() {
            true => changes.next().await,
            false => {
                tokio::time::timeout(RETRY, changes.next()).await.unwrap_or(Some(Change::Reset(all(&left))))
            }
        };
        match change {
            None => return,
            Some(Change::Deleted(volume)) => drop(left.remove(&name(&volume))),
            Some(Change::Applied(volume)) => note(host, &mut left, volume),
            Some(Change::Reset(volumes)) => {
                left.clear();
                volumes.into_iter().for_each(|volume| note(host, &mut left, volume));
            }
        }
        for volume in all(&left) {
            match reclaim(host, client, directory, &volume).await {
                Ok(true) => drop(left.remove(&name(&volume))),
                Ok(false) => {}
                Err(why) => {
                    tracing::warn!(volume = name(&volume), why, "a volume could not be removed; trying again")
                }
            }
        }
    }
}

fn all(left: &BTreeMap<String, Arc<PersistentVolume>>) -> Vec<Arc<PersistentVolume>> {
    left.values().cloned().collect()
}

fn name(volume: &PersistentVolume) -> String {
    volume.metadata.name.clone().unwrap_or_default()
}

/// Remembers a volume of ours that nobody claims any more.
fn note(host: &Host, left: &mut BTreeMap<String, Arc<PersistentVolume>>, volume: Arc<PersistentVolume>) {
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    let deleting = volume.metadata.deletion_timestamp.is_some();
    let over = phase == Some("Released") && is_to_be_deleted(&volume) || deleting && phase != Some("Bound");
    match over && own_directory(host, &volume).is_some() && is_held(&volume) {
        true => drop(left.insert(name(&volume), volume)),
        false => drop(left.remove(&name(&volume))),
    }
}

fn is_to_be_deleted(volume: &PersistentVolume) -> bool {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy == Some("Delete")
}

/// Whether our finalizer is still on it.
fn is_held(volume: &PersistentVolume) -> bool {
    volume.metadata.finalizers.iter().flatten().any(|it| it == PROVISIONER)
}

/// Removes data and object; false if somebody still has the volume.
async fn reclaim(
    host: &Host,
    client: &Client,
    directory: &Directory,
    volume: &PersistentVolume,
) -> Result<bool, String> {
    if is_claimed(client, volume).await? || is_used(directory, volume) {
        return Ok(false);
    }
    let words = |error: kube::Error| chain(&error);
    if let Some(path) = own_directory(host, volume).filter(|_| is_to_be_deleted(volume)) {
        tracing::info!(volume = name(volume), "removing a volume's data");
        let removed = tokio::task::spawn_blocking(move || volumes::remove(&path)).await;
        removed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    let api: Api<PersistentVolume> = Api::all(client.clone());
    if volume.metadata.deletion_timestamp.is_none() {
        let preconditions = Some(Preconditions { uid: volume.metadata.uid.clone(), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        absent_is_fine(api.delete(&name(volume), &params).await.map(drop)).map_err(words)?;
    }
    let now = match api.get_opt(&name(volume)).await.map_err(words)? {
        Some(now) if now.metadata.uid == volume.metadata.uid => now,
        _ => return Ok(true),
    };
    let finalizers: Vec<&String> =
        now.metadata.finalizers.iter().flatten().filter(|it| *it != PROVISIONER).collect();
    let patch =
        json!({"metadata": {"resourceVersion": now.metadata.resource_version, "finalizers": finalizers}});
    let patched = api.patch(&name(volume), &PatchParams::default(), &Patch::Merge(&patch)).await;
    absent_is_fine(patched.map(drop)).map_err(words)?;
    Ok(true)
}

fn absent_is_fine(answer: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => answer,
    }
}

/// Asks the API for the claim that the volume is for.
async fn is_claimed(client: &Client, volume: &PersistentVolume) -> Result<bool, String> {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.clone()) else {
        return Ok(false);
    };
    let namespace = reference.namespace.unwrap_or_default();
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let claim = api.get_opt(&reference.name.unwrap_or_default()).await.map_err(|error| chain(&error))?;
    Ok(claim.is_some_and(|claim| claim.metadata.uid == reference.uid))
}

/// Whether a pod of this node names the volume's claim.
fn is_used(directory: &Directory, volume: &PersistentVolume) -> bool {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else { return false };
    directory.pods().iter().any(|pod| {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.namespace == reference.namespace
            && !matches!(phase, Some("Succeeded" | "Failed"))
            && volumes.into_iter().any(|volume| claim_name(pod, volume) == reference.name)
    })
}
