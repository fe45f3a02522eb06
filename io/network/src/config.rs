//! What a node's pod network is told: its ranges, its bridge and where it keeps what it must remember.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use kelson_model::Cidr;

use crate::NetworkError;
use crate::address::Range;

/// The longest interface name the kernel takes, in bytes.
const LINK_NAME_MAX: usize = 15;

/// Configuration of one node's pod network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// kelson's data directory; leases are kept in `network/` beneath it.
    pub data_dir: PathBuf,
    /// The bridge's name, at most 15 bytes; `kelson0` unless somebody needs two nodes in one namespace.
    pub bridge: String,
    /// The range this node's pods get addresses from; its first address is the gateway. IPv4, prefix 8–29.
    pub pod_cidr: Cidr,
    /// The range ClusterIPs come from, held on the bridge. IPv4.
    pub service_cidr: Cidr,
    /// Largest packet in bytes; `None` takes that of the link with the default route, or 1500.
    pub mtu: Option<u32>,
}

impl NetworkConfig {
    /// The usual configuration for two ranges: bridge `kelson0`, the uplink's packet size.
    pub fn new(data_dir: impl Into<PathBuf>, pod_cidr: Cidr, service_cidr: Cidr) -> Self {
        Self { data_dir: data_dir.into(), bridge: "kelson0".to_owned(), pod_cidr, service_cidr, mtu: None }
    }

    /// Where leases are kept.
    pub(crate) fn directory(&self) -> PathBuf {
        self.data_dir.join("network")
    }

    /// Checks every field; the ranges in numbers when all is well.
    pub(crate) fn check(&self) -> Result<Ranges, NetworkError> {
        if self.bridge.is_empty() || self.bridge.len() > LINK_NAME_MAX || self.bridge.contains(['/', ' ']) {
            return Err(refused(
                "bridge",
                &self.bridge,
                "an interface name has 1 to 15 bytes, no slash, no space",
            ));
        }
        let pods = Range::of(self.pod_cidr)
            .filter(|range| (8..=29).contains(&range.prefix))
            .ok_or_else(|| refused("pod_cidr", self.pod_cidr, "an IPv4 range of prefix 8 to 29 is needed"))?;
        let services = Range::of(self.service_cidr).filter(|range| range.prefix >= 8).ok_or_else(|| {
            refused("service_cidr", self.service_cidr, "an IPv4 range of prefix 8 to 32 is needed")
        })?;
        if pods.overlaps(&services) {
            let reason =
                "it overlaps the pods' range, so an address would be a pod's and a Service's at once";
            return Err(refused("service_cidr", self.service_cidr, reason));
        }
        Ok(Ranges { pods, services })
    }
}

/// The two ranges, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    pub pods: Range,
    pub services: Range,
}

impl Ranges {
    /// The address pods send through: the first of their range.
    pub fn gateway(&self) -> Ipv4Addr {
        self.pods.first()
    }
}

fn refused(field: &'static str, value: impl ToString, reason: &'static str) -> NetworkError {
    NetworkError::Config { field, value: value.to_string(), reason }
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
