//! How much is on disk: in emptyDirs with a size limit, and whether that is too much; below any directory.
//!
//! Counts what is on disk (blocks, as `du` does), not what files claim to be; never leaves the volume by a link or a
//! mount. Volumes in memory are bounded by their file system and not looked at.

use crate::host::Host;
use k8s_openapi::api::core::v1::{Pod, Volume};
use kelson_machinery::quantity::Quantity;
use std::collections::BTreeSet;
use std::fs::Metadata;
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
        limits(pod).find(|(volume, _, bytes)| used(&host.paths.volume(uid, &volume.name)).bytes > *bytes)?;
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

/// What is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
}

impl Used {
    pub fn add(&mut self, other: Used) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
    }

    fn count(&mut self, meta: &Metadata) {
        self.add(Used { bytes: meta.blocks().saturating_mul(512), files: 1 });
    }
}

/// What is below `path`, or is `path` itself if it is a file; a file with several names counts once.
pub fn used(path: &Path) -> Used {
    let (mut open, mut seen, mut sum) = (vec![PathBuf::from(path)], BTreeSet::new(), Used::default());
    let Ok(root) = path.symlink_metadata() else { return sum };
    if !root.is_dir() {
        sum.count(&root);
        return sum;
    }
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.dev() != root.dev() || (meta.nlink() > 1 && !meta.is_dir() && !seen.insert(meta.ino())) {
                continue;
            }
            sum.count(&meta);
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    sum
}
