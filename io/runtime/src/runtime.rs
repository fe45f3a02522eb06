//! All pods of the node, seen from kelson: starting their shims and finding them again.
//!
//! Layout below the root: `pods/<uid>/` with `pod.json`, `shim.sock`, `shim.log`, `shm/` and `containers/<id>/`.

use crate::cgroups;
use crate::config::PodConfig;
use crate::error::{During, Error};
use crate::leftovers;
use crate::pod::Pod;
use crate::state::{read_whole, write_whole};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// What a shim may say about its start.
const WORDS_MAX: u64 = 64 << 10;
/// The line with which a shim says it listens.
pub(crate) const READY: &str = "ready\n";

/// Pods under one root directory; clones share it.
#[derive(Clone, Debug)]
pub struct Runtime {
    pods: Arc<Path>,
    exe: Arc<Path>,
    foreseeing: Arc<AtomicBool>,
}

impl Runtime {
    /// `root`: kelson's own directory for running pods, on a local file system, private to root.
    /// `exe`: the binary whose `shim …` leads to [`crate::shim_main`]; usually `/proc/self/exe`.
    pub fn new(root: impl AsRef<Path>, exe: impl AsRef<Path>) -> Self {
        Self { pods: root.as_ref().join("pods").into(), exe: exe.as_ref().into(), foreseeing: Arc::default() }
    }

    /// The directory given to [`Runtime::new`].
    pub(crate) fn root(&self) -> &Path {
        self.pods.parent().expect("the directory of pods was joined to it")
    }

    /// A pod is about to be started: waits beside for what the kernel would make its start wait for. Returns at once.
    pub fn foresee_pod(&self) {
        if self.foreseeing.swap(true, Ordering::AcqRel) {
            return;
        }
        let foreseeing = self.foreseeing.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = cgroups::wait_in_advance() {
                tracing::debug!(%error, "could not wait for the kernel in advance; the pod's start will");
            }
            foreseeing.store(false, Ordering::Release);
        });
    }

    /// Starts a pod's shim, which makes its namespaces and waits for containers. Fails if the pod exists.
    pub async fn start_pod(&self, config: &PodConfig) -> Result<Pod, Error> {
        check(config)?;
        let dir = self.pods.join(&config.uid);
        prepare(&self.pods, &dir, config)?;
        let started = self.spawn_shim(&config.uid, &dir).await;
        if let Err(error) = started {
            if let Err(more) = leftovers::remove_pod(&dir) {
                tracing::warn!(uid = config.uid, error = %more, "could not clean up after a pod that did not start");
            }
            return Err(error);
        }
        Pod::open(config.clone(), dir).await
    }

    /// Every pod on disk, sorted by uid, also those whose shim is gone. A directory without a readable `pod.json` is
    /// what a removal left that a crash interrupted: it is removed.
    pub async fn list(&self) -> Result<Vec<Pod>, Error> {
        let mut pods = Vec::new();
        for dir in self.dirs()? {
            match read_whole::<PodConfig>(&dir.join(leftovers::POD_FILE)) {
                Ok(config) => pods.push(Pod::open(config, dir).await?),
                Err(_) => leftovers::remove_pod(&dir)?,
            }
        }
        Ok(pods)
    }

    /// Ends every pod and removes what they left (`kelson down`). Goes on past failures and returns the first.
    pub async fn destroy_all(&self) -> Result<(), Error> {
        let mut tasks = tokio::task::JoinSet::new();
        for pod in self.list().await? {
            tasks.spawn(async move { pod.stop().await });
        }
        let results = tasks.join_all().await;
        leftovers::remove_shim_cgroup();
        results.into_iter().collect()
    }

    fn dirs(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match std::fs::read_dir(&self.pods) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).during("list", &self.pods),
        };
        let visible = |entry: &std::fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
        let mut dirs: Vec<PathBuf> = entries.flatten().filter(visible).map(|entry| entry.path()).collect();
        dirs.sort();
        Ok(dirs)
    }

    /// The first process forks the real shim away and ends; its output ends when the shim is ready or has failed.
    async fn spawn_shim(&self, uid: &str, dir: &Path) -> Result<(), Error> {
        let failed = |reason: String| Error::Shim { uid: uid.into(), reason };
        let mut command = Command::new(&*self.exe);
        command.env(cgroups::HANDED_DOWN, cgroups::hand_down());
        command.arg("shim").arg(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| failed(format!("{}: {error}", self.exe.display())))?;
        let mut said = String::new();
        let output = child.stdout.take().expect("standard output was asked for");
        let read = output.take(WORDS_MAX).read_to_string(&mut said).await;
        let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
        read.map_err(|error| failed(error.to_string()))?;
        match said.as_str() {
            READY => Ok(()),
            "" => Err(failed(format!("it ended without a word ({status})"))),
            words => Err(failed(words.trim_end().into())),
        }
    }
}

fn check(config: &PodConfig) -> Result<(), Error> {
    let invalid = |field, reason: &str| Err(Error::Invalid { field, reason: reason.into() });
    if !leftovers::is_name(&config.uid) {
        return invalid("pod uid", "1 to 128 letters, digits, '.', '_' or '-', the first no '.'");
    }
    if config.hostname.len() > 64 {
        return invalid("hostname", "longer than the 64 bytes the kernel allows");
    }
    if !config.cgroup_parent.is_empty() && !leftovers::is_plain_absolute(&config.cgroup_parent) {
        return invalid("cgroup parent", "the path must be absolute and without '..'");
    }
    Ok(())
}

/// Makes the pod's directory whole under a hidden name first, so that nobody finds it without its configuration.
fn prepare(pods: &Path, dir: &Path, config: &PodConfig) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let hidden = pods.join(format!(".{}", config.uid));
    // Only files of ours, no mounts: nothing was started from there.
    let discard = || std::fs::remove_dir_all(&hidden);
    if hidden.exists() {
        discard().during("remove", &hidden)?;
    }
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&hidden).during("make", &hidden)?;
    let file = hidden.join(leftovers::POD_FILE);
    write_whole(&file, config).during("write", &file)?;
    // Fails if the pod exists: its directory is not empty.
    std::fs::rename(&hidden, dir).during("make", dir).inspect_err(|_| drop(discard()))
}
