//! What a zone is told beside the snapshot.

use std::net::IpAddr;

use kelson_model::Cidr;

/// How `<ip-dashed>.<namespace>.pod.<zone>` is answered (spec D1.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodRecords {
    /// Not at all.
    Disabled,
    /// With the address the name spells, if the namespace exists.
    #[default]
    Insecure,
}

/// Configuration of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneConfig {
    /// The cluster's domain, for instance `cluster.local`.
    pub domain: String,
    /// Seconds a record may be kept (spec D3.1).
    pub ttl_seconds: u32,
    /// Seconds others may keep that there is no such name or record. Short: the name may be made the next moment, and who
    /// waits for it should not wait for a cache.
    pub negative_ttl_seconds: u32,
    /// How pod names are answered.
    pub pods: PodRecords,
    /// The server's own addresses, for the zone's NS record.
    pub server_addresses: Vec<IpAddr>,
    /// Ranges whose reverse names are ours alone: what is unknown in them does not exist. Others are forwarded.
    pub ranges: Vec<Cidr>,
    /// Keys the hash of names, so that nobody can choose names that collide. Random, the same for the compiler's life.
    pub hash_seed: u64,
}

impl ZoneConfig {
    /// `domain` as kubeadm configures CoreDNS (TTL 30, pod records insecure), but with CoreDNS' own 5 s for what is not.
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            ttl_seconds: 30,
            negative_ttl_seconds: 5,
            pods: PodRecords::Insecure,
            server_addresses: Vec::new(),
            ranges: Vec::new(),
            hash_seed: 0,
        }
    }
}
