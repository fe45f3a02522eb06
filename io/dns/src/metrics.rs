//! Counters under CoreDNS' names, so that its dashboards read them (spec D3.2: the `prometheus` plugin).
//!
//! Each UDP thread counts in a shard of its own, so that counting costs no core another's cache line. Labels are bounded:
//! two zones, two protocols, known types and codes, [`SERVERS_MAX`] servers. Never asks the clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kelson_zones::{Transport, rcode, rtype};

mod histogram;
mod render;

use histogram::Histogram;

/// Types counted by name; others are `other`.
const TYPES: [(u16, &str); 11] = [
    (rtype::A, "A"),
    (rtype::AAAA, "AAAA"),
    (rtype::SRV, "SRV"),
    (rtype::PTR, "PTR"),
    (rtype::TXT, "TXT"),
    (rtype::NS, "NS"),
    (rtype::SOA, "SOA"),
    (rtype::CNAME, "CNAME"),
    (rtype::ANY, "ANY"),
    (15, "MX"),
    (65, "HTTPS"),
];

/// Codes counted by name; others are `other`.
const CODES: [(u8, &str); 6] = [
    (rcode::NO_ERROR, "NOERROR"),
    (rcode::FORMAT_ERROR, "FORMERR"),
    (rcode::SERVER_FAILURE, "SERVFAIL"),
    (rcode::NO_SUCH_NAME, "NXDOMAIN"),
    (rcode::NOT_IMPLEMENTED, "NOTIMP"),
    (rcode::REFUSED, "REFUSED"),
];

/// Most upstream servers counted apart; a file that names others all the time must not grow this for ever.
const SERVERS_MAX: usize = 64;

/// Counters of one thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    requests: [[[AtomicU64; TYPES.len() + 1]; 2]; 2],
    responses: [[AtomicU64; CODES.len() + 1]; 2],
    request_sizes: [Histogram; 2],
    response_sizes: [Histogram; 2],
    durations: [Histogram; 2],
    dnssec_ok: AtomicU64,
    panics: AtomicU64,
}

impl Shard {
    /// Counts a panic survived.
    pub fn panicked(&self) {
        count(&self.panics);
    }

    /// Counts a query of `size` bytes.
    pub fn request(&self, is_ours: bool, transport: Transport, kind: u16, size: usize) {
        let kind = TYPES.iter().position(|(known, _)| *known == kind).unwrap_or(TYPES.len());
        let transport = usize::from(transport == Transport::Tcp);
        count(&self.requests[usize::from(is_ours)][transport][kind]);
        self.request_sizes[transport].add(&histogram::SIZES, size as u64, 1);
    }

    /// Counts a query that asks for DNSSEC records.
    pub fn asked_for_dnssec(&self) {
        count(&self.dnssec_ok);
    }

    /// Counts a reply of `size` bytes.
    pub fn response(&self, is_ours: bool, transport: Transport, code: u8, size: usize) {
        let code = CODES.iter().position(|(known, _)| *known == code).unwrap_or(CODES.len());
        count(&self.responses[usize::from(is_ours)][code]);
        self.response_sizes[usize::from(transport == Transport::Tcp)].add(&histogram::SIZES, size as u64, 1);
    }

    /// Counts `count` queries that took `duration` each.
    pub fn took(&self, is_ours: bool, duration: Duration, count: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.durations[usize::from(is_ours)].add(&histogram::DURATIONS, nanos, count);
    }
}

/// What one upstream server was asked and said.
#[derive(Debug, Default)]
struct Asked {
    requests: u64,
    /// By code, in the order of [`CODES`].
    responses: [u64; CODES.len() + 1],
    durations: Histogram,
}

/// All counters of the server.
#[derive(Debug)]
pub struct Metrics {
    domain: String,
    shards: Vec<Arc<Shard>>,
    /// Of replies that say something, and of those that say there is nothing.
    cache_hits: [AtomicU64; 2],
    cache_entries: [AtomicU64; 2],
    cache_evictions: [AtomicU64; 2],
    cache_misses: AtomicU64,
    rejected: AtomicU64,
    servers: Mutex<BTreeMap<SocketAddr, Asked>>,
}

impl Metrics {
    /// Counters for the zone `domain` in `shards` shards.
    pub(crate) fn new(domain: &str, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            domain: domain.trim_end_matches('.').to_owned(),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            cache_hits: Default::default(),
            cache_entries: Default::default(),
            cache_evictions: Default::default(),
            cache_misses: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            servers: Mutex::default(),
        })
    }

    pub(crate) fn shard(&self, number: usize) -> Arc<Shard> {
        self.shards[number % self.shards.len()].clone()
    }

    pub(crate) fn cache_hit(&self, is_denial: bool) {
        count(&self.cache_hits[usize::from(is_denial)]);
    }

    pub(crate) fn cache_miss(&self) {
        count(&self.cache_misses);
    }

    /// How many replies are kept, and how many had to go before their time; of both kinds.
    pub(crate) fn cache_holds(&self, entries: [usize; 2], evicted: [u64; 2]) {
        for (gauge, entries) in self.cache_entries.iter().zip(entries) {
            gauge.store(entries as u64, Ordering::Relaxed);
        }
        for (counter, evicted) in self.cache_evictions.iter().zip(evicted) {
            counter.store(evicted, Ordering::Relaxed);
        }
    }

    /// Counts a question not asked because too many are under way.
    pub(crate) fn rejected(&self) {
        count(&self.rejected);
    }

    /// Counts a question asked of `server`, and the code of its reply, if one came.
    pub(crate) fn asked(&self, server: SocketAddr, code: Option<u8>, duration: Duration) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= SERVERS_MAX && !servers.contains_key(&server) {
            return;
        }
        let asked = servers.entry(server).or_default();
        asked.requests += 1;
        if let Some(code) = code {
            let code = CODES.iter().position(|(known, _)| *known == code).unwrap_or(CODES.len());
            asked.responses[code] += 1;
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            asked.durations.add(&histogram::DURATIONS, nanos, 1);
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
