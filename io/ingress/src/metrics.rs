//! What the ingress counts, shown in Prometheus' text format.
//!
//! Each worker counts in a shard of its own, so that counting costs no core another's cache line. Labels are bounded:
//! classes of statuses, two schemes, outcomes named here; never a host, a path or an address. Never asks the clock.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::forward::Failure;

/// Upper bounds of the duration buckets in seconds: what Prometheus' clients default to, and one for the very fast.
const BUCKETS: [(&str, u64); 12] = [
    ("0.001", 1_000),
    ("0.005", 5_000),
    ("0.01", 10_000),
    ("0.025", 25_000),
    ("0.05", 50_000),
    ("0.1", 100_000),
    ("0.25", 250_000),
    ("0.5", 500_000),
    ("1", 1_000_000),
    ("2.5", 2_500_000),
    ("5", 5_000_000),
    ("10", 10_000_000),
];

/// Classes of statuses; the first is of requests whose client was gone before there was one.
const CODES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Why requests failed.
const REASONS: [&str; 5] = ["unreachable", "broken", "timeout", "client", "closed"];

/// Ways clients come.
const SCHEMES: [&str; 2] = ["http", "https"];

/// Counters of one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    began: AtomicU64,
    ended: [AtomicU64; CODES.len()],
    /// By bucket, each alone; the last for what took longer than all.
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_us: AtomicU64,
    opened: [AtomicU64; 2],
    closed: [AtomicU64; 2],
    handshakes_failed: AtomicU64,
    /// Clients that left the short way.
    handed_over: AtomicU64,
    /// Failed, and made.
    connects: [AtomicU64; 2],
    retries: AtomicU64,
    failures: [AtomicU64; REASONS.len()],
}

impl Shard {
    /// A request has come.
    pub(crate) fn began(&self) {
        count(&self.began);
    }

    /// A request is over, `took` after it came; `status` is 0 when it got none.
    pub(crate) fn ended(&self, status: u16, took: Duration) {
        count(&self.ended[usize::from(status / 100).min(CODES.len() - 1)]);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(_, bound)| us <= *bound).unwrap_or(BUCKETS.len());
        count(&self.durations[bucket]);
        self.duration_us.fetch_add(us, Relaxed);
    }

    /// A client has connected, until what is returned is dropped.
    pub(crate) fn client(self: &Arc<Self>, is_tls: bool) -> Client {
        count(&self.opened[usize::from(is_tls)]);
        Client { shard: self.clone(), is_tls }
    }

    /// A client did not manage the TLS handshake.
    pub(crate) fn handshake_failed(&self) {
        count(&self.handshakes_failed);
    }

    /// A client's requests are no longer of the common kind.
    pub(crate) fn handed_over(&self) {
        count(&self.handed_over);
    }

    /// A connection to a backend was tried.
    pub(crate) fn connected(&self, is_made: bool) {
        count(&self.connects[usize::from(is_made)]);
    }

    /// A request is sent again.
    pub(crate) fn retried(&self) {
        count(&self.retries);
    }

    /// A request got no response from a backend.
    pub(crate) fn failed(&self, failure: &Failure) {
        let reason = match failure {
            Failure::Unreachable(_) => 0,
            Failure::Broken(_) | Failure::Switched => 1,
            Failure::Timeout => 2,
            Failure::Client => 3,
            Failure::Closed => 4,
        };
        count(&self.failures[reason]);
    }
}

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Client {
    shard: Arc<Shard>,
    is_tls: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        count(&self.shard.closed[usize::from(self.is_tls)]);
    }
}

/// All counters of an ingress.
#[derive(Debug)]
pub struct Metrics {
    shards: Vec<Arc<Shard>>,
    reloads: AtomicU64,
    reloaded_s: AtomicU64,
    certificates: AtomicU64,
}

impl Metrics {
    /// For so many workers.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..workers.max(1)).map(|_| Arc::default()).collect(),
            reloads: AtomicU64::new(0),
            reloaded_s: AtomicU64::new(0),
            certificates: AtomicU64::new(0),
        })
    }

    pub(crate) fn shard(&self, worker: usize) -> Arc<Shard> {
        self.shards[worker % self.shards.len()].clone()
    }

    /// At `now_s` seconds of the epoch a table began to count, with so many certificates.
    pub(crate) fn reloaded(&self, now_s: u64, certificates: usize) {
        count(&self.reloads);
        self.reloaded_s.store(now_s, Relaxed);
        self.certificates.store(certificates as u64, Relaxed);
    }

    fn sum(&self, pick: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| pick(shard).load(Relaxed)).sum()
    }

    /// Everything counted so far, as served on `/metrics`.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(4 << 10);
        let version = env!("CARGO_PKG_VERSION");
        let info = [(format!("version=\"{version}\""), 1)];
        family(&mut out, "build_info", "gauge", "Version of the program that answers.", info);
        self.render_requests(&mut out);
        self.render_clients(&mut out);
        self.render_upstreams(&mut out);
        let alone = |value: &AtomicU64| [(String::new(), value.load(Relaxed))];
        let about = "Certificates that are shown to clients.";
        family(&mut out, "certificates", "gauge", about, alone(&self.certificates));
        let about = "Tables of rules, backends and certificates that came to count.";
        family(&mut out, "config_reloads_total", "counter", about, alone(&self.reloads));
        let about = "When the last of them did, in seconds of the epoch.";
        let name = "config_last_reload_timestamp_seconds";
        family(&mut out, name, "gauge", about, alone(&self.reloaded_s));
        out
    }

    fn render_requests(&self, out: &mut String) {
        let ended = |index: usize| self.sum(|shard| &shard.ended[index]);
        let by_code = (0..CODES.len()).map(|index| (label("code", CODES[index]), ended(index)));
        family(out, "requests_total", "counter", "Requests that are over, by class of status.", by_code);
        let all: u64 = (0..CODES.len()).map(ended).sum();
        let under_way = self.sum(|shard| &shard.began).saturating_sub(all);
        let about = "Requests under way, responses being sent among them.";
        family(out, "requests_in_flight", "gauge", about, [(String::new(), under_way)]);
        self.render_durations(out);
    }

    fn render_durations(&self, out: &mut String) {
        let name = "kelson_ingress_request_duration_seconds";
        let about = "Time from a request's head to its response's end.";
        let _ = writeln!(out, "# HELP {name} {about}\n# TYPE {name} histogram");
        let mut total = 0;
        for (index, bound) in BUCKETS.iter().map(|(bound, _)| *bound).chain(["+Inf"]).enumerate() {
            total += self.sum(|shard| &shard.durations[index]);
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let seconds = Duration::from_micros(self.sum(|shard| &shard.duration_us)).as_secs_f64();
        let _ = writeln!(out, "{name}_sum {seconds}\n{name}_count {total}");
    }

    fn render_clients(&self, out: &mut String) {
        let opened = |index: usize| self.sum(|shard| &shard.opened[index]);
        let closed = |index: usize| self.sum(|shard| &shard.closed[index]);
        let each = |value: &dyn Fn(usize) -> u64| {
            [0, 1].map(|index| (label("scheme", SCHEMES[index]), value(index)))
        };
        family(out, "connections_total", "counter", "Connections of clients so far.", each(&opened));
        let open = |index: usize| opened(index).saturating_sub(closed(index));
        family(out, "connections", "gauge", "Connections of clients now.", each(&open));
        let handed_over = [(String::new(), self.sum(|shard| &shard.handed_over))];
        let about = "Connections of clients with a request that was not plain HTTP/1.1 to a plain backend.";
        family(out, "connections_general_total", "counter", about, handed_over);
        let failed = self.sum(|shard| &shard.handshakes_failed);
        let about = "TLS handshakes that clients broke off or did not manage.";
        family(out, "tls_handshake_failures_total", "counter", about, [(String::new(), failed)]);
    }

    fn render_upstreams(&self, out: &mut String) {
        let results = [1, 0].map(|index| {
            let name = ["failed", "connected"][index];
            (label("result", name), self.sum(|shard| &shard.connects[index]))
        });
        family(
            out,
            "upstream_connects_total",
            "counter",
            "Connections to backends that were tried.",
            results,
        );
        let retries = self.sum(|shard| &shard.retries);
        let about = "Requests sent again, to another endpoint or by another connection.";
        family(out, "upstream_retries_total", "counter", about, [(String::new(), retries)]);
        let failures = (0..REASONS.len())
            .map(|index| (label("reason", REASONS[index]), self.sum(|shard| &shard.failures[index])));
        let about = "Requests that no backend responded to.";
        family(out, "upstream_failures_total", "counter", about, failures);
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

fn family(
    out: &mut String,
    name: &str,
    kind: &str,
    about: &str,
    samples: impl IntoIterator<Item = (String, u64)>,
) {
    let _ = writeln!(out, "# HELP kelson_ingress_{name} {about}\n# TYPE kelson_ingress_{name} {kind}");
    for (labels, value) in samples {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "kelson_ingress_{name}{labels} {value}");
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests;
