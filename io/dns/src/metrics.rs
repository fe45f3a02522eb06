//! Counters under CoreDNS' names, so that its dashboards read them (spec D3.2: the `prometheus` plugin).
//!
//! Each UDP thread counts in a shard of its own, so that counting costs no core another's cache line. Labels are bounded:
//! two zones, two protocols, known types and codes.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kelson_zones::{Transport, rcode, rtype};

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

/// Upper bounds of the duration histogram, in microseconds: CoreDNS' buckets.
const BUCKETS: [u64; 9] = [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000];

/// Counters of one thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    requests: [[[AtomicU64; TYPES.len() + 1]; 2]; 2],
    responses: [[AtomicU64; CODES.len() + 1]; 2],
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_sum_ns: AtomicU64,
    panics: AtomicU64,
}

impl Shard {
    /// Counts a panic survived.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a query.
    pub fn request(&self, is_ours: bool, transport: Transport, kind: u16) {
        let kind = TYPES.iter().position(|(known, _)| *known == kind).unwrap_or(TYPES.len());
        let transport = usize::from(transport == Transport::Tcp);
        self.requests[usize::from(is_ours)][transport][kind].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a reply.
    pub fn response(&self, is_ours: bool, code: u8) {
        let code = CODES.iter().position(|(known, _)| *known == code).unwrap_or(CODES.len());
        self.responses[usize::from(is_ours)][code].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `count` queries that took `duration` each.
    pub fn took(&self, duration: Duration, count: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|bound| nanos <= bound * 1000).unwrap_or(BUCKETS.len());
        self.durations[bucket].fetch_add(count, Ordering::Relaxed);
        self.duration_sum_ns.fetch_add(nanos.saturating_mul(count), Ordering::Relaxed);
    }
}

/// All counters of the server.
#[derive(Debug)]
pub struct Metrics {
    domain: String,
    shards: Vec<Arc<Shard>>,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    cache_entries: AtomicU64,
    forwarded: AtomicU64,
}

impl Metrics {
    /// Counters for the zone `domain` in `shards` shards.
    pub(crate) fn new(domain: &str, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            domain: domain.trim_end_matches('.').to_owned(),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            cache_entries: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
        })
    }

    pub(crate) fn shard(&self, number: usize) -> Arc<Shard> {
        self.shards[number % self.shards.len()].clone()
    }

    pub(crate) fn cache_hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cache_miss(&self) {
        self.cache_misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cache_size(&self, entries: usize) {
        self.cache_entries.store(entries as u64, Ordering::Relaxed);
    }

    pub(crate) fn forwarded(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything counted so far in Prometheus' text format, as served on `:9153/metrics`.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        self.render_requests(&mut text);
        self.render_responses(&mut text);
        self.render_durations(&mut text);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, kind, value) in [
            ("coredns_cache_hits_total", "counter", load(&self.cache_hits)),
            ("coredns_cache_misses_total", "counter", load(&self.cache_misses)),
            ("coredns_cache_entries", "gauge", load(&self.cache_entries)),
            ("coredns_proxy_requests_total", "counter", load(&self.forwarded)),
        ] {
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{{server=\"dns://:53\"}} {value}");
        }
        let panics = self.sum(|shard| &shard.panics);
        let _ = writeln!(text, "# TYPE coredns_panics_total counter\ncoredns_panics_total {panics}");
        text
    }

    fn zone(&self, is_ours: usize) -> String {
        if is_ours == 1 { format!("{}.", self.domain) } else { ".".to_owned() }
    }

    fn sum(&self, pick: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| pick(shard).load(Ordering::Relaxed)).sum()
    }

    fn render_requests(&self, text: &mut String) {
        let name = "coredns_dns_requests_total";
        let _ = writeln!(text, "# HELP {name} Queries received.\n# TYPE {name} counter");
        for (is_ours, transport, kind) in
            (0..2).flat_map(|z| (0..2).flat_map(move |t| (0..=TYPES.len()).map(move |k| (z, t, k))))
        {
            let count = self.sum(|shard| &shard.requests[is_ours][transport][kind]);
            if count > 0 {
                let kind = TYPES.get(kind).map_or("other", |(_, name)| name);
                let _ = writeln!(
                    text,
                    "{name}{{server=\"dns://:53\",zone=\"{}\",view=\"\",proto=\"{}\",type=\"{kind}\"}} {count}",
                    self.zone(is_ours),
                    ["udp", "tcp"][transport],
                );
            }
        }
    }

    fn render_responses(&self, text: &mut String) {
        let name = "coredns_dns_responses_total";
        let _ = writeln!(text, "# HELP {name} Replies sent.\n# TYPE {name} counter");
        for (is_ours, code) in (0..2).flat_map(|zone| (0..=CODES.len()).map(move |code| (zone, code))) {
            let count = self.sum(|shard| &shard.responses[is_ours][code]);
            if count > 0 {
                let plugin = ["forward", "kubernetes"][is_ours];
                let code = CODES.get(code).map_or("other", |(_, name)| name);
                let _ = writeln!(
                    text,
                    "{name}{{server=\"dns://:53\",zone=\"{}\",view=\"\",rcode=\"{code}\",plugin=\"{plugin}\"}} {count}",
                    self.zone(is_ours),
                );
            }
        }
    }

    fn render_durations(&self, text: &mut String) {
        let name = "coredns_dns_request_duration_seconds";
        let _ = writeln!(text, "# HELP {name} Time from query to reply.\n# TYPE {name} histogram");
        let labels = "server=\"dns://:53\",zone=\".\",view=\"\"";
        let mut total = 0;
        for (index, bound) in BUCKETS.iter().enumerate() {
            total += self.sum(|shard| &shard.durations[index]);
            let seconds = Duration::from_micros(*bound).as_secs_f64();
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{seconds}\"}} {total}");
        }
        total += self.sum(|shard| &shard.durations[BUCKETS.len()]);
        let sum = Duration::from_nanos(self.sum(|shard| &shard.duration_sum_ns)).as_secs_f64();
        let _ = writeln!(
            text,
            "{name}_bucket{{{labels},le=\"+Inf\"}} {total}\n{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}"
        );
    }
}

#[cfg(test)]
mod tests;
