//! PersistentVolumeClaims: the claim's volume, found through the API and linked into the pod's directory.
//!
//! Invariants: only a volume that names this very claim is used; what lies in the pod's directory is a link, so that
//! taking the pod's files away never touches the data. Words are upstream's.

use super::{blocking, host_path, ownership};
use crate::host::Host;
use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod, Volume,
};
use kube::Api;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// As local provisioners do it: every user of the pod may write.
const MODE: u32 = 0o777;
/// The finalizer and provisioner of the volumes whose directories this node makes and removes.
pub const PROVISIONER: &str = "kelson.dev/local";
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The claim that a volume of the pod means: named, or the pod's own for an ephemeral volume.
pub fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match &volume.persistent_volume_claim {
        Some(source) => Some(source.claim_name.clone()),
        None => volume
            .ephemeral
            .as_ref()
            .map(|_| format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name)),
    }
}

/// Links the claim's volume at `path`. The error is the message of a FailedMount event.
pub async fn mount(
    host: &Host,
    pod: &Pod,
    volume: &Volume,
    claim: &str,
    path: PathBuf,
) -> Result<(), String> {
    let failed = |why: String| {
        format!(
            "Unable to attach or mount volumes: unmounted volumes=[{0}], unattached volumes=[], failed to process volumes=[{0}]: {why}",
            volume.name
        )
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let found = find(host, namespace, claim).await;
    let found = found.map_err(|why| failed(format!("error processing PVC {namespace}/{claim}: {why}")))?;
    let name = found.metadata.name.clone().unwrap_or_default();
    let set_up = |why: String| format!("MountVolume.SetUp failed for volume \"{name}\" : {why}");
    let place = place(host, &found).map_err(set_up)?;
    let security = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let local = found.spec.as_ref().is_some_and(|spec| spec.local.is_some());
    let work = move || {
        place.prepare()?;
        if let Some(group) = security.fs_group.filter(|_| local) {
            let always = security.fs_group_change_policy.as_deref() != Some("OnRootMismatch");
            ownership::give(&place.path, group, always).map_err(|error| error.to_string())?;
        }
        link(&place.path, &path)
    };
    blocking(work).await.map_err(set_up)
}

/// The volume that claim and volume agree on.
async fn find(host: &Host, namespace: &str, claim: &str) -> Result<PersistentVolume, String> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(host.client.clone(), namespace);
    let claim = claims.get(claim).await;
    let claim = claim.map_err(|error| format!("failed to fetch PVC from API server: {}", words(error)))?;
    if claim.metadata.deletion_timestamp.is_some() {
        return Err("PVC is being deleted".to_owned());
    }
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    let name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
    if phase != Some("Bound") || name.is_empty() {
        return Err("PVC is not bound".to_owned());
    }
    let volumes: Api<PersistentVolume> = Api::all(host.client.clone());
    let volume = volumes.get(&name).await;
    let volume =
        volume.map_err(|error| format!("failed to fetch PV {name} from API server: {}", words(error)))?;
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    match reference.and_then(|it| it.uid.as_ref()) == claim.metadata.uid.as_ref() {
        true => Ok(volume),
        false => Err(format!("PVC is bound to PV {name}, which is bound to another claim")),
    }
}

/// What the API said, without the client's own words.
fn words(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        error => error.to_string(),
    }
}

/// Where a volume's data is on this node.
struct Place {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    /// A directory of ours: made when it is missing.
    Made,
    /// Somebody else's: must be there.
    Given,
    Host(HostPathVolumeSource),
}

fn place(host: &Host, volume: &PersistentVolume) -> Result<Place, String> {
    let spec = volume.spec.clone().unwrap_or_default();
    if let Some(local) = spec.local {
        let kind = if own_directory(host, volume).is_some() { Kind::Made } else { Kind::Given };
        return Ok(Place { path: local.path.into(), kind });
    }
    let source = spec.host_path.ok_or_else(|| "no volume plugin matched".to_owned())?;
    Ok(Place { path: source.path.clone().into(), kind: Kind::Host(source) })
}

/// The directory of a volume that this node made, or would make: of our provisioner, and right below our own place.
pub fn own_directory(host: &Host, volume: &PersistentVolume) -> Option<PathBuf> {
    let by = volume.metadata.annotations.as_ref()?.get(PROVISIONED_BY)?;
    let path = PathBuf::from(&volume.spec.as_ref()?.local.as_ref()?.path);
    let within = path.parent() == Some(host.paths.local_volumes().as_path());
    (by == PROVISIONER && within && path.file_name().is_some_and(|name| name != "..")).then_some(path)
}

impl Place {
    fn prepare(&self) -> Result<(), String> {
        match &self.kind {
            Kind::Host(source) => host_path::check(source),
            Kind::Given if self.path.exists() => Ok(()),
            Kind::Given => Err(format!("path \"{}\" does not exist", self.path.display())),
            Kind::Made if self.path.is_dir() => Ok(()),
            Kind::Made => fs::create_dir_all(&self.path)
                .and_then(|()| fs::set_permissions(&self.path, Permissions::from_mode(MODE)))
                .map_err(|error| format!("could not make {}: {error}", self.path.display())),
        }
    }
}

fn link(target: &Path, path: &Path) -> Result<(), String> {
    if fs::read_link(path).is_ok_and(|present| present == target) {
        return Ok(());
    }
    let made = fs::create_dir_all(path.parent().unwrap_or(path)).and_then(|()| symlink(target, path));
    made.map_err(|error| format!("could not link {}: {error}", path.display()))
}
