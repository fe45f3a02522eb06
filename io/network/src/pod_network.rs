//! The pod network as the agent uses it: open or adopt, attach, detach, list, destroy.
//!
//! An address is on disk as held before the kernel hears of it, and free again only after its link is gone.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use crate::bridge::Bridge;
use crate::config::Ranges;
use crate::lease_file::LeaseFile;
use crate::leases::{LINK_PREFIX, Lease};
use crate::links::Netlink;
use crate::{NetworkConfig, NetworkError, attach, bridge, lease_file, links, sysctl};

/// The network of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIp {
    /// The pod's uid.
    pub pod_uid: String,
    /// Its address, held by no other pod.
    pub address: IpAddr,
    /// The address its traffic goes through.
    pub gateway: IpAddr,
    /// The node's end of its link.
    pub link: String,
    /// The file its network namespace is bound to.
    pub netns: PathBuf,
}

/// The pod network of one node.
#[derive(Debug)]
pub struct PodNetwork {
    config: NetworkConfig,
    ranges: Ranges,
    netlink: Netlink,
    bridge: Bridge,
    leases: Mutex<LeaseFile>,
}

impl PodNetwork {
    /// Makes the bridge, its routes and settings in the calling thread's network namespace, or adopts those an earlier
    /// process left, with every pod's link and lease. Repairs what a crash or another program broke.
    pub async fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let ranges = config.check()?;
        let mut leases = LeaseFile::open(&config, ranges.pods)?;
        let netlink = Netlink::here()?;
        let bridge = bridge::ensure(&netlink.handle, &config, &ranges).await?;
        for (key, value) in settings(&config.bridge) {
            if let Some(before) = sysctl::set(&key, value)? {
                leases.settings_before.entry(key).or_insert(before);
            }
        }
        leases.save().await?;
        adopt(&netlink, &bridge, &leases).await?;
        Ok(Self { config, ranges, netlink, bridge, leases: Mutex::new(leases) })
    }

    /// Connects the namespace bound to `netns` and returns its address. Asked again for the same pod it returns the same
    /// address and repairs the link if need be. One call at a time for one pod.
    pub async fn attach(&self, pod_uid: &str, netns: &Path) -> Result<PodIp, NetworkError> {
        let (lease, is_new) = self.lease(pod_uid, netns).await?;
        let handle = &self.netlink.handle;
        if !is_new && attach::is_attached(handle, &self.bridge, &lease).await? {
            return Ok(self.pod_ip(pod_uid, &lease));
        }
        let attached = attach::attach(handle, &self.bridge, self.ranges.gateway(), &lease).await;
        if attached.is_err() && is_new {
            let _ = self.detach(pod_uid).await;
        }
        attached.map(|()| self.pod_ip(pod_uid, &lease))
    }

    /// Removes the pod's link and frees its address. A pod that holds none is fine.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), NetworkError> {
        let held = self.leases.lock().await.leases.held().get(pod_uid).cloned();
        let Some(lease) = held else { return Ok(()) };
        links::delete(&self.netlink.handle, &lease.link).await?;
        let mut leases = self.leases.lock().await;
        leases.leases.release(pod_uid);
        leases.save().await
    }

    /// Every pod that holds an address, also those attached by an earlier process. Who knows of a pod that is gone
    /// detaches it.
    pub async fn list(&self) -> Vec<PodIp> {
        let leases = self.leases.lock().await;
        leases.leases.held().iter().map(|(pod_uid, lease)| self.pod_ip(pod_uid, lease)).collect()
    }

    /// Makes `address` one of the node's own on the bridge, so that pods and the node reach a server here by it: the
    /// cluster DNS address. It stays when the process ends; then what is sent to it is refused at once.
    pub async fn assign(&self, address: IpAddr) -> Result<(), NetworkError> {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        bridge::add_address(&self.netlink.handle, self.bridge.index, address, prefix).await
    }

    /// Takes back what [`PodNetwork::assign`] gave.
    pub async fn unassign(&self, address: IpAddr) -> Result<(), NetworkError> {
        bridge::remove_address(&self.netlink.handle, self.bridge.index, address).await
    }

    /// The address every pod sends through; the node's own on the bridge.
    pub fn gateway(&self) -> IpAddr {
        self.ranges.gateway().into()
    }

    /// Largest packet of the pods' links, in bytes.
    pub fn mtu(&self) -> u32 {
        self.bridge.mtu
    }

    /// What it was opened with.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Removes every trace: pod links, the bridge with its addresses and routes, leases; puts kernel settings back.
    /// Needs nothing to be there. Pods' namespaces are their maker's to remove.
    pub async fn destroy(config: &NetworkConfig) -> Result<(), NetworkError> {
        config.check()?;
        let netlink = Netlink::here()?;
        if let Some(found) = links::find(&netlink.handle, &config.bridge).await?.filter(links::is_bridge) {
            for port in links::ports(&netlink.handle, found.header.index).await? {
                if let Some(name) = links::name(&port).filter(|name| name.starts_with(LINK_PREFIX)) {
                    links::delete(&netlink.handle, name).await?;
                }
            }
            links::delete(&netlink.handle, &config.bridge).await?;
        }
        for (key, value) in lease_file::settings_before(config) {
            sysctl::restore(&key, &value);
        }
        lease_file::remove(config)
    }

    /// The pod's lease, on disk before it is returned, and whether it is new.
    async fn lease(&self, pod_uid: &str, netns: &Path) -> Result<(Lease, bool), NetworkError> {
        let mut file = self.leases.lock().await;
        let known = file.leases.held().get(pod_uid).cloned();
        let held = file.leases.held().len();
        let lease = file
            .leases
            .take(pod_uid, netns)
            .ok_or_else(|| NetworkError::Exhausted { range: self.config.pod_cidr.to_string(), held })?;
        if known.as_ref() != Some(&lease)
            && let Err(error) = file.save().await
        {
            if known.is_none() {
                file.leases.release(pod_uid);
            }
            return Err(error);
        }
        Ok((lease, known.is_none()))
    }

    fn pod_ip(&self, pod_uid: &str, lease: &Lease) -> PodIp {
        PodIp {
            pod_uid: pod_uid.to_owned(),
            address: lease.address.into(),
            gateway: self.gateway(),
            link: lease.link.clone(),
            netns: lease.netns.clone(),
        }
    }
}

/// The kernel settings pods need. Forwarding comes first: switching it resets others. Redirects are off because two pods
/// share the bridge, and the node would else tell each of them to speak to the other directly, past the tables.
fn settings(bridge: &str) -> Vec<(String, &'static str)> {
    vec![
        ("net/ipv4/ip_forward".to_owned(), "1"),
        ("net/ipv4/conf/all/send_redirects".to_owned(), "0"),
        (format!("net/ipv4/conf/{bridge}/send_redirects"), "0"),
    ]
}

/// Puts every held link back on the bridge and deletes pod links nobody holds.
async fn adopt(netlink: &Netlink, bridge: &Bridge, file: &LeaseFile) -> Result<(), NetworkError> {
    let held: BTreeSet<&str> = file.leases.held().values().map(|lease| lease.link.as_str()).collect();
    for port in links::ports(&netlink.handle, bridge.index).await? {
        match links::name(&port) {
            Some(name) if name.starts_with(LINK_PREFIX) && !held.contains(name) => {
                tracing::info!(link = name, "deleting a pod link nobody holds");
                links::delete(&netlink.handle, name).await?;
            }
            _ => {}
        }
    }
    for lease in file.leases.held().values() {
        attach::adopt(&netlink.handle, bridge, lease).await?;
    }
    Ok(())
}
