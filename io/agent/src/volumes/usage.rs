//! emptyDirs with a size limit: how much is in them, and whether that is too much.
//!
//! Counts what is on disk (blocks, as `du` does), not what files claim to be; never leaves the volume by a link or a
//! mount. Volumes in memory are bounded by their file system and not looked at.

use crate::host::Host;
use k8s_openapi::api::core::v1::{Pod, Volume};
use kelson_machinery::quantity::Quantity;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether the pod has a volume to look at.
pub fn is_limited(pod: &Pod) -> bool {
    limits(pod).next().is_some()
}

/// The message of the eviction, if a volume holds more than it may.
pub fn overrun(host: &Host, pod: &Pod) -> Option<String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let (volume, limit, _) =
        limits(pod).find(|(volume, _, bytes)| used(&host.paths.volume(uid, &volume.name)) > *bytes)?;
    Some(format!("Usage of EmptyDir volume \"{}\" exceeds the limit \"{limit}\". ", volume.name))
}

/// Volumes on disk with their limit as written and in bytes.
fn limits(pod: &Pod) -> impl Iterator<Item = (&Volume, &str, u64)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| {
        let source = volume.empty_dir.as_ref().filter(|it| it.medium.as_deref() != Some("Memory"))?;
        let limit = source.size_limit.as_ref()?;
        let bytes = Quantity::parse(&limit.0).ok()?.value();
        Some((volume, limit.0.as_str(), u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?))
    })
}

/// Bytes of disk below `path`, a file with several names counted once.
fn used(path: &Path) -> u64 {
    let Ok(root) = path.symlink_metadata() else { return 0 };
    let (mut open, mut seen, mut sum) = (vec![PathBuf::from(path)], BTreeSet::new(), 0u64);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.dev() != root.dev() || (meta.nlink() > 1 && !meta.is_dir() && !seen.insert(meta.ino())) {
                continue;
            }
            sum = sum.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    sum
}
