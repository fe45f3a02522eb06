//! What the agent is told when it starts: who the node is, where its files are, and what the cluster looks like.
//!
//! Values, filled by the subcommand that starts the agent. Nothing here is read from the environment.

use crate::routes::Routes;
use kelson_pods::pressure::Thresholds;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What a node keeps free unless it is told otherwise. Amounts of disk, not upstream's shares: a machine that somebody
/// works on is nine tenths full for years, and is not short of anything (docs/decisions/0013).
pub const EVICTION_HARD: &str =
    "memory.available<100Mi,nodefs.available<500Mi,nodefs.inodesFree<10k,imagefs.available<500Mi";

/// Everything the agent needs to know; one value a node.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Name of the Node object, and `spec.nodeName` of the pods to run.
    pub node_name: String,
    /// The node's address: `InternalIP`, `status.hostIP`, and the address of host-network pods.
    pub node_ip: IpAddr,
    /// Directory that holds everything the node keeps: images, containers, volumes, logs, addresses.
    pub data_dir: PathBuf,
    /// Range pods get their addresses from, `10.244.0.0/24`.
    pub pod_cidr: String,
    /// Range of ClusterIPs, routed to the pod bridge; `10.96.0.0/16`.
    pub service_cidr: String,
    /// Nameservers of pods whose `dnsPolicy` is ClusterFirst, at most three.
    pub cluster_dns: Vec<IpAddr>,
    /// Suffix of cluster names, without a final dot: `cluster.local`.
    pub cluster_domain: String,
    /// The node's resolv.conf, read for `dnsPolicy: Default` and for its search domains; `None` means none.
    pub resolv_conf: Option<PathBuf>,
    /// Registries (`host` or `host:port`) that are spoken to in plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Program that serves as the pods' shim (`EXE shim …`): the running binary itself.
    pub exe: PathBuf,
    /// Pods the node takes at most; `status.capacity.pods`.
    pub max_pods: u32,
    /// What the node may have no less of than; below, pods have to go.
    pub eviction_hard: Thresholds,
    /// Largest packet on the pod network, bytes.
    pub mtu: u32,
    /// What tells when no node sends a pod new connections any more; none, and pods are told to stop at once.
    pub routes: Option<Routes>,
}

impl AgentConfig {
    /// What everybody wants: upstream's ranges and domain, 110 pods, Ethernet's packets.
    pub fn new(node_name: impl Into<String>, node_ip: IpAddr, data_dir: impl AsRef<Path>) -> AgentConfig {
        AgentConfig {
            node_name: node_name.into(),
            node_ip,
            data_dir: data_dir.as_ref().to_owned(),
            pod_cidr: "10.244.0.0/16".to_owned(),
            service_cidr: "10.96.0.0/16".to_owned(),
            cluster_dns: vec![IpAddr::from([10, 96, 0, 10])],
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: Some(PathBuf::from("/etc/resolv.conf")),
            insecure_registries: Vec::new(),
            exe: PathBuf::from("/proc/self/exe"),
            max_pods: 110,
            eviction_hard: Thresholds::parse(EVICTION_HARD).expect("a constant that is tested"),
            mtu: 1500,
            routes: None,
        }
    }
}
