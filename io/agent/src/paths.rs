//! Where the node's files are, below its data directory. Nothing else of the agent makes up a path.

use std::path::{Path, PathBuf};

/// The layout of one node's data directory.
#[derive(Clone, Debug)]
pub struct Paths(PathBuf);

impl Paths {
    pub fn new(data_dir: &Path) -> Paths {
        // Volumes name their directories in the API, where nobody knows what a path would be relative to.
        Paths(std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()))
    }

    /// The image store, shared with `kelson image`.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// The runtime's own directory.
    pub fn runtime(&self) -> PathBuf {
        self.0.join("runtime")
    }

    /// Root file systems, a directory a run.
    pub fn roots(&self) -> PathBuf {
        self.0.join("roots")
    }

    /// The root file system of one run.
    pub fn root(&self, id: &str) -> PathBuf {
        self.roots().join(id)
    }

    /// Network namespaces, a file a pod.
    pub fn netns_dir(&self) -> PathBuf {
        self.0.join("netns")
    }

    pub fn netns(&self, uid: &str) -> PathBuf {
        self.netns_dir().join(uid)
    }

    /// What pods keep: volumes and small files, a directory a pod.
    pub fn pods(&self) -> PathBuf {
        self.0.join("pods")
    }

    pub fn pod(&self, uid: &str) -> PathBuf {
        self.pods().join(uid)
    }

    pub fn volume(&self, uid: &str, name: &str) -> PathBuf {
        self.pod(uid).join("volumes").join(name)
    }

    /// The data of PersistentVolumes that were made on this node; outlives every pod.
    pub fn local_volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    /// The mount that holds one volumeMount's subPath.
    pub fn sub_path(&self, uid: &str, id: &str, index: usize) -> PathBuf {
        self.pod(uid).join("subpaths").join(id).join(index.to_string())
    }

    /// One of the files every container gets: `hosts`, `hostname`, `resolv.conf`.
    pub fn pod_file(&self, uid: &str, name: &str) -> PathBuf {
        self.pod(uid).join("etc").join(name)
    }

    /// Where a run leaves its last words.
    pub fn termination_message(&self, uid: &str, id: &str) -> PathBuf {
        self.pod(uid).join("messages").join(id)
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs").join("pods")
    }

    pub fn pod_logs(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.logs().join(format!("{namespace}_{name}_{uid}"))
    }

    /// Seccomp profiles that pods name as `Localhost`.
    pub fn seccomp(&self) -> PathBuf {
        self.0.join("seccomp")
    }

    /// The name of the control group that holds the node's pods.
    pub fn cgroup(&self) -> PathBuf {
        self.0.join("cgroup")
    }

    /// Every directory that belongs to the node alone and goes with it.
    pub fn of_node(&self) -> Vec<PathBuf> {
        vec![self.runtime(), self.roots(), self.netns_dir(), self.pods(), self.0.join("logs")]
    }
}
