//! What the server is told.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use kelson_model::Cidr;
use kelson_zones::{PodRecords, ZoneConfig};

/// Who is asked about names that are not the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The name servers of a file in the format of `resolv.conf`; read again when it changes.
    ResolvConf(PathBuf),
    /// These.
    Servers(Vec<SocketAddr>),
}

/// Configuration of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, each by UDP and TCP. A reply leaves from the address its query was sent to, also when one listens
    /// on all of them.
    pub listen: Vec<SocketAddr>,
    /// The cluster's domain.
    pub domain: String,
    /// Seconds a record may be kept (spec D3.1).
    pub ttl_seconds: u32,
    /// How pod names are answered (spec D1.10).
    pub pods: PodRecords,
    /// The pods' and Services' ranges: their reverse names are answered here alone.
    pub ranges: Vec<Cidr>,
    /// Who is asked about other names.
    pub upstream: Upstream,
    /// UDP threads an address; 0 means one a core.
    pub threads: usize,
    /// Where `/metrics` is served; CoreDNS has it on port 9153.
    pub metrics: Vec<SocketAddr>,
    /// Where `/health` is served: that the server lives; CoreDNS has it on port 8080.
    pub health: Vec<SocketAddr>,
    /// Where `/ready` is served: that cluster names are answered; CoreDNS has it on port 8181.
    pub ready: Vec<SocketAddr>,
}

impl Config {
    /// A server for `domain` on `listen` as kubeadm sets CoreDNS up, forwarding to the node's `/etc/resolv.conf`.
    pub fn new(domain: impl Into<String>, listen: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            listen: listen.into_iter().collect(),
            domain: domain.into(),
            ttl_seconds: 30,
            pods: PodRecords::Insecure,
            ranges: Vec::new(),
            upstream: Upstream::ResolvConf("/etc/resolv.conf".into()),
            threads: 0,
            metrics: Vec::new(),
            health: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// The zone's part of it.
    pub(crate) fn zone(&self, hash_seed: u64) -> ZoneConfig {
        let concrete = |address: &IpAddr| !address.is_unspecified();
        ZoneConfig {
            ttl_seconds: self.ttl_seconds,
            pods: self.pods,
            server_addresses: self.listen.iter().map(SocketAddr::ip).filter(concrete).collect(),
            ranges: self.ranges.clone(),
            hash_seed,
            ..ZoneConfig::new(self.domain.clone())
        }
    }

    /// UDP threads an address.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}
