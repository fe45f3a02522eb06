//! What a pod and a container shall be: the request, as the agent states it and as it lies on disk beside the pod.
//!
//! Plain values with serde; unknown fields are ignored and missing ones defaulted, because a newer kelson talks to an
//! older shim. Nothing here touches the system.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The cgroup under which every pod's cgroup lies, unless the pod says otherwise.
pub const CGROUP_PARENT: &str = "/kelson";

/// One pod: the namespaces its containers share and the bounds on all of them together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodConfig {
    /// The pod's uid; names its directory and its cgroup.
    pub uid: String,
    pub namespace: String,
    pub name: String,
    /// At most 63 bytes, as the kernel allows 64 and RFC 1123 a label of 63.
    pub hostname: String,
    pub network: Network,
    pub host_ipc: bool,
    /// The containers see the node's processes.
    pub host_pid: bool,
    /// The containers see each other's processes, and are not number 1.
    pub share_pid: bool,
    /// The process namespace that the containers share, once the shim has made it.
    #[serde(skip)]
    pub pid_namespace: Option<PathBuf>,
    /// Absolute path below the cgroup root; [`CGROUP_PARENT`] when empty.
    pub cgroup_parent: String,
    /// Bounds on the pod as a whole.
    pub resources: Resources,
    /// Namespaced kernel parameters, dotted (`net.core.somaxconn`).
    pub sysctls: BTreeMap<String, String>,
    /// What the agent wants to find again after a restart; not interpreted here.
    pub labels: BTreeMap<String, String>,
}

/// Where a pod's packets go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The network namespace kelson itself runs in.
    #[default]
    Host,
    /// A network namespace pinned at this path.
    Path(PathBuf),
}

/// Bounds of one cgroup. `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// cgroup v1 cpu.shares (2..=262144); converted to a weight on v2.
    pub cpu_shares: Option<u64>,
    pub cpu_quota_us: Option<i64>,
    pub cpu_period_us: Option<u64>,
    pub memory_limit_bytes: Option<i64>,
    pub pids_limit: Option<i64>,
    /// -1000..=1000. A negative value that the kernel refuses us is logged and left out.
    pub oom_score_adj: Option<i32>,
}

/// One container, everything resolved: no image and no API object is looked at from here on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Unique within the pod over its whole life (name and attempt, say); `[A-Za-z0-9._-]`, at most 128 bytes.
    pub id: String,
    pub name: String,
    /// Where the root file system is mounted; not looked at by [`crate::Pod::start_on`].
    pub rootfs: PathBuf,
    /// The whole command line; the first is looked up in the PATH of `env`.
    pub args: Vec<String>,
    /// In order; a later entry of the same name wins.
    pub env: Vec<(String, String)>,
    /// `/` when empty; made when it is missing, as container engines do.
    pub cwd: String,
    pub user: User,
    pub mounts: Vec<Mount>,
    pub resources: Resources,
    /// Without the `CAP_` prefix or with it; `ALL` stands for every one. Applied to the default set: adds, then drops.
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    pub privileged: bool,
    /// The root file system is mounted read-only.
    pub read_only: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    /// `procMount: Unmasked`.
    pub unmasked_proc: bool,
    /// The id of a running container of the pod whose processes it sees and is among; none when empty.
    pub beside: String,
    pub tty: bool,
    /// Keep a standard input open that [`crate::Pod::attach`] writes to; otherwise it is /dev/null.
    pub stdin: bool,
    /// Close standard input when the first attached client closes it.
    pub stdin_once: bool,
    /// The CRI log file; its directory is made. Empty: output is only for attached clients.
    pub log_path: PathBuf,
    /// `SIGTERM`, `TERM` or `15`; SIGTERM when empty.
    pub stop_signal: String,
    /// What the agent wants to find again after a restart; not interpreted here.
    pub labels: BTreeMap<String, String>,
}

/// Who the process is. `uid` and `gid` win over `image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The image's USER: empty, `name`, `uid`, `name:group`, `uid:gid`; names are looked up in the root file system.
    pub image: String,
    /// `runAsUser`.
    pub uid: Option<u32>,
    /// `runAsGroup`.
    pub gid: Option<u32>,
    /// `supplementalGroups` and `fsGroup`; the image's own groups of the user are added unless `strict`.
    pub groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`.
    pub strict: bool,
}

/// A bind mount into the container. File and directory mount points are made as needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    pub source: PathBuf,
    pub destination: PathBuf,
    pub read_only: bool,
    pub propagation: Propagation,
}

/// `mountPropagation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    #[default]
    None,
    HostToContainer,
    Bidirectional,
}

/// Which system calls a container may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// The profile container engines agree on.
    #[default]
    RuntimeDefault,
    Unconfined,
    /// An OCI seccomp profile (JSON) on the node.
    Localhost(PathBuf),
}

/// One more process in a running container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecConfig {
    pub args: Vec<String>,
    /// Added to the container's own environment.
    pub env: Vec<(String, String)>,
    /// The container's own when empty.
    pub cwd: String,
    pub tty: bool,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// Which streams of a running container's first process to join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachConfig {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}
