//! A pod's volumes: put in place before its first container, kept up to date, taken away after its last.
//!
//! Invariants: nothing a pod or a container names leads outside its volume; a projected file changes all at once.
//! Volumes of other kinds are refused with upstream's words.

mod atomic;
mod disk;
mod host_path;
mod ownership;
mod payload;
mod persistent;
mod sub_path;
mod usage;

pub use payload::references;
pub use persistent::{PROVISIONER, claim_name, own_directory};
pub use sub_path::bind;
pub use usage::{Used, is_limited, overrun, used};

use crate::host::Host;
use k8s_openapi::api::core::v1::{Pod, Volume};
use std::path::PathBuf;
use std::sync::Arc;

/// Puts every volume of the pod in place. The errors are messages of FailedMount events, one a volume.
pub async fn mount_all(
    host: &Host,
    pod: &Pod,
    pod_ips: &[String],
    mounted: Mounted,
) -> Result<(), Vec<String>> {
    let mut mounted = mounted.lock().await;
    let mut failed = Vec::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        if let Some(claim) = claim_name(pod, volume) {
            let path = host.paths.volume(pod.metadata.uid.as_deref().unwrap_or_default(), &volume.name);
            failed.extend(persistent::mount(host, pod, volume, &claim, path).await.err());
        } else if let Err(why) = mount(host, pod, volume, pod_ips).await {
            failed.push(format!("MountVolume.SetUp failed for volume \"{}\" : {why}", volume.name));
        }
    }
    *mounted = failed.is_empty();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Whether a pod's volumes are in place. Held by whoever works on them, so that an update never meets their removal.
pub type Mounted = Arc<tokio::sync::Mutex<bool>>;

/// Whether what the volumes hold can change while the pod runs.
pub fn can_change(pod: &Pod) -> bool {
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(payload::is_projected)
}

/// Brings the files of ConfigMaps, Secrets, tokens and the downward API up to date, if they are in place.
pub async fn refresh(host: &Host, pod: &Pod, pod_ips: &[String], mounted: Mounted) {
    let mounted = mounted.lock().await;
    if !*mounted {
        return;
    }
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        if !payload::is_projected(volume) {
            continue;
        }
        if let Err(why) = mount(host, pod, volume, pod_ips).await {
            let (name, pod) = (&volume.name, pod.metadata.name.as_deref().unwrap_or_default());
            tracing::debug!(volume = name, pod, why, "a volume keeps its old content");
        }
    }
}

async fn mount(host: &Host, pod: &Pod, volume: &Volume, pod_ips: &[String]) -> Result<(), String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let path = host.paths.volume(uid, &volume.name);
    let group = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()).and_then(|it| it.fs_group);
    if let Some(source) = &volume.empty_dir {
        let source = source.clone();
        return blocking(move || disk::empty_dir(&path, &source, group)).await;
    }
    if let Some(source) = &volume.host_path {
        let source = source.clone();
        return blocking(move || host_path::check(&source)).await;
    }
    if payload::is_projected(volume) {
        let payload = payload::of(host, pod, volume, pod_ips).await?;
        return blocking(move || atomic::write(&path, &payload, group)).await;
    }
    Err("no volume plugin matched".to_owned())
}

/// Where a volume is on the node.
pub fn location(host: &Host, pod: &Pod, volume: &Volume) -> PathBuf {
    match &volume.host_path {
        Some(source) => PathBuf::from(&source.path),
        None => host.paths.volume(pod.metadata.uid.as_deref().unwrap_or_default(), &volume.name),
    }
}

/// Takes the pod's volumes and small files away.
pub async fn unmount_all(host: &Host, uid: &str, mounted: Mounted) -> std::io::Result<()> {
    let mut mounted = mounted.lock().await;
    *mounted = false;
    let path = host.paths.pod(uid);
    blocking(move || disk::remove(&path).map_err(|error| error.to_string()))
        .await
        .map_err(std::io::Error::other)
}

pub use disk::remove;

/// Runs file work where it may block.
async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}
