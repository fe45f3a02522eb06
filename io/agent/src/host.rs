//! What all pods of the node share: images, runtime, network, objects, Services, the API, and the node's facts.
//!
//! Made once at the start and handed around behind an `Arc`. It decides nothing.

use crate::capacity::Capacity;
use crate::cgroup::pods_cgroup;
use crate::config::AgentConfig;
use crate::error::{AgentError, file};
use crate::events::Recorder;
use crate::objects::Objects;
use crate::paths::Paths;
use crate::pressure::Conditions;
use crate::routes::Left;
use crate::services::Services;
use crate::tokens::Tokens;
use kelson_images::Images;
use kelson_model::Cidr;
use kelson_network::{NetworkConfig, PodNetwork};
use kelson_pods::dns::{self, ClusterDns, Resolv};
use kelson_runtime::Runtime;
use std::fs;
use std::path::Path;
use tokio::sync::watch;

/// The node, as its pods see it.
pub struct Host {
    pub config: AgentConfig,
    pub paths: Paths,
    pub client: kube::Client,
    pub images: Images,
    pub runtime: Runtime,
    pub network: PodNetwork,
    pub objects: Objects,
    pub tokens: Tokens,
    pub services: watch::Receiver<Services>,
    /// What lately ceased to lead to its pods.
    pub left: Left,
    pub capacity: Capacity,
    /// What the node is short of.
    pub pressure: Conditions,
    pub recorder: Recorder,
    /// The control group of all pods.
    pub cgroup: String,
}

impl Host {
    /// Opens everything; what an earlier kelson left is adopted, not touched.
    pub async fn open(
        config: AgentConfig,
        client: kube::Client,
        recorder: Recorder,
        services: watch::Receiver<Services>,
    ) -> Result<Host, AgentError> {
        let paths = Paths::new(&config.data_dir);
        for dir in [paths.roots(), paths.netns_dir(), paths.pods(), paths.logs(), paths.seccomp()] {
            fs::create_dir_all(&dir).map_err(file("make", &dir))?;
        }
        let runtime = Runtime::new(paths.runtime(), &config.exe);
        runtime.keep_in_memory()?;
        Ok(Host {
            images: Images::open(paths.images())?,
            runtime,
            network: PodNetwork::open(network_config(&config)?).await?,
            objects: Objects::new(client.clone()),
            tokens: Tokens::new(client.clone()),
            capacity: Capacity::read(&config.data_dir),
            cgroup: pods_cgroup(&config.data_dir)?,
            services,
            pressure: Conditions::default(),
            left: Left::default(),
            recorder,
            client,
            paths,
            config,
        })
    }

    /// The node's addresses as pods' statuses show them.
    pub fn node_ips(&self) -> Vec<String> {
        vec![self.config.node_ip.to_string()]
    }

    /// The cluster's DNS as pods are told of it.
    pub fn cluster_dns(&self) -> ClusterDns {
        let servers = self.config.cluster_dns.iter().map(ToString::to_string).collect();
        ClusterDns { servers, domain: self.config.cluster_domain.clone() }
    }

    /// The node's own resolv.conf, read anew each time because it changes as the machine moves.
    pub fn node_resolv(&self) -> Resolv {
        match self.config.resolv_conf.as_deref().map(fs::read_to_string) {
            Some(Ok(text)) => dns::parse(&text),
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot read the node's resolv.conf; pods get none of its servers");
                Resolv::default()
            }
            None => dns::without_file(),
        }
    }
}

/// The pod network's configuration; also what is removed by `kelson down`.
pub fn network_config(config: &AgentConfig) -> Result<NetworkConfig, AgentError> {
    let pods = range("cluster-cidr", &config.pod_cidr)?;
    let services = range("service-cidr", &config.service_cidr)?;
    let mut network = NetworkConfig::new(&config.data_dir, pods, services);
    network.mtu = Some(config.mtu).filter(|mtu| *mtu > 0);
    Ok(network)
}

fn range(field: &'static str, value: &str) -> Result<Cidr, AgentError> {
    Cidr::parse(value).ok_or_else(|| AgentError::Range { field, value: value.to_owned() })
}

/// Writes a small file whole, making its directory.
pub fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("could not write {}: {error}", path.display()))
}
