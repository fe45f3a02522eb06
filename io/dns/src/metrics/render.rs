//! The counters in Prometheus' text format, names and labels as CoreDNS writes them. Families without a sample yet show
//! their type alone, so that one sees what there is.

use std::fmt::Write;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::{self, DURATIONS, Histogram, SIZES};
use super::{CODES, Metrics, Shard, TYPES};

/// The server block CoreDNS would call it by.
const SERVER: &str = "server=\"dns://:53\"";

/// Names of the two transports.
const PROTOCOLS: [&str; 2] = ["udp", "tcp"];

/// What answers: names of others, and of the cluster.
const PLUGINS: [&str; 2] = ["forward", "kubernetes"];

/// The two kinds of kept replies.
const KEPT: [&str; 2] = ["success", "denial"];

impl Metrics {
    /// Everything counted so far, as served on `:9153/metrics`.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        let version = env!("CARGO_PKG_VERSION");
        head(&mut text, "coredns_build_info", "gauge", "Version of the program that answers.");
        let _ = writeln!(
            text,
            "coredns_build_info{{goversion=\"\",revision=\"\",version=\"kelson-{version}\"}} 1"
        );
        self.render_requests(&mut text);
        self.render_responses(&mut text);
        self.render_histograms(&mut text);
        self.render_cache(&mut text);
        self.render_servers(&mut text);
        let panics = self.sum(|shard| &shard.panics);
        head(&mut text, "coredns_panics_total", "counter", "Queries that made their thread panic.");
        let _ = writeln!(text, "coredns_panics_total {panics}");
        text
    }

    fn zone(&self, is_ours: usize) -> String {
        if is_ours == 1 { format!("{}.", self.domain) } else { ".".to_owned() }
    }

    /// The labels every sample about one zone's queries has.
    fn of_zone(&self, is_ours: usize) -> String {
        format!("{SERVER},zone=\"{}\",view=\"\"", self.zone(is_ours))
    }

    fn sum(&self, pick: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| load(pick(shard))).sum()
    }

    fn render_requests(&self, text: &mut String) {
        let name = "coredns_dns_requests_total";
        head(text, name, "counter", "Queries received.");
        for (is_ours, transport, kind) in
            (0..2).flat_map(|z| (0..2).flat_map(move |t| (0..=TYPES.len()).map(move |k| (z, t, k))))
        {
            let count = self.sum(|shard| &shard.requests[is_ours][transport][kind]);
            if count > 0 {
                let kind = TYPES.get(kind).map_or("other", |(_, name)| name);
                let (labels, proto) = (self.of_zone(is_ours), PROTOCOLS[transport]);
                let _ = writeln!(text, "{name}{{{labels},proto=\"{proto}\",type=\"{kind}\"}} {count}");
            }
        }
        let name = "coredns_dns_do_requests_total";
        head(text, name, "counter", "Queries that ask for DNSSEC records.");
        let _ = writeln!(text, "{name}{{{SERVER},view=\"\"}} {}", self.sum(|shard| &shard.dnssec_ok));
    }

    fn render_responses(&self, text: &mut String) {
        let name = "coredns_dns_responses_total";
        head(text, name, "counter", "Replies sent.");
        for (is_ours, code) in (0..2).flat_map(|zone| (0..=CODES.len()).map(move |code| (zone, code))) {
            let count = self.sum(|shard| &shard.responses[is_ours][code]);
            if count > 0 {
                let (labels, plugin) = (self.of_zone(is_ours), PLUGINS[is_ours]);
                let _ = writeln!(
                    text,
                    "{name}{{{labels},rcode=\"{}\",plugin=\"{plugin}\"}} {count}",
                    code_name(code)
                );
            }
        }
    }

    fn render_histograms(&self, text: &mut String) {
        let name = "coredns_dns_request_duration_seconds";
        head(text, name, "histogram", "Time from query to reply.");
        for is_ours in 0..2 {
            let parts = self.shards.iter().map(|shard| &shard.durations[is_ours]);
            histogram::write(text, name, &self.of_zone(is_ours), &DURATIONS, parts);
        }
        self.render_sizes(text, "coredns_dns_request_size_bytes", "Sizes of queries.", |s| &s.request_sizes);
        self.render_sizes(text, "coredns_dns_response_size_bytes", "Sizes of replies.", |s| {
            &s.response_sizes
        });
    }

    fn render_sizes(
        &self,
        text: &mut String,
        name: &str,
        about: &str,
        pick: impl Fn(&Shard) -> &[Histogram; 2] + Copy,
    ) {
        head(text, name, "histogram", about);
        for (index, proto) in PROTOCOLS.into_iter().enumerate() {
            let labels = format!("{SERVER},zone=\".\",view=\"\",proto=\"{proto}\"");
            let parts = self.shards.iter().map(|shard| &pick(shard)[index]);
            histogram::write(text, name, &labels, &SIZES, parts);
        }
    }

    fn render_cache(&self, text: &mut String) {
        let labels = format!("{SERVER},zones=\".\",view=\"\"");
        for (name, kind, about, of_kind) in [
            ("coredns_cache_entries", "gauge", "Replies kept.", &self.cache_entries),
            ("coredns_cache_hits_total", "counter", "Queries answered by kept replies.", &self.cache_hits),
            (
                "coredns_cache_evictions_total",
                "counter",
                "Kept replies that made room.",
                &self.cache_evictions,
            ),
        ] {
            head(text, name, kind, about);
            for (what, counter) in KEPT.iter().zip(of_kind) {
                let _ = writeln!(
                    text,
                    "{name}{{{SERVER},type=\"{what}\",zones=\".\",view=\"\"}} {}",
                    load(counter)
                );
            }
        }
        let misses = load(&self.cache_misses);
        let requests = misses + self.cache_hits.iter().map(load).sum::<u64>();
        for (name, about, value) in [
            ("coredns_cache_misses_total", "Queries no kept reply answers.", misses),
            ("coredns_cache_requests_total", "Queries the kept replies were searched for.", requests),
        ] {
            head(text, name, "counter", about);
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }

    /// Under the names of `forward`, and under those of `proxy` to which CoreDNS 1.11 moved them.
    fn render_servers(&self, text: &mut String) {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "coredns_forward_requests_total";
        head(text, name, "counter", "Questions asked of an upstream server.");
        for (to, asked) in servers.iter() {
            let _ = writeln!(text, "{name}{{to=\"{to}\"}} {}", asked.requests);
        }
        let name = "coredns_forward_responses_total";
        head(text, name, "counter", "Replies of an upstream server.");
        for (to, asked) in servers.iter() {
            for (code, count) in asked.responses.iter().enumerate().filter(|(_, count)| **count > 0) {
                let _ = writeln!(text, "{name}{{to=\"{to}\",rcode=\"{}\"}} {count}", code_name(code));
            }
        }
        let about = "Time an upstream server took.";
        for (name, more) in [
            ("coredns_forward_request_duration_seconds", ""),
            ("coredns_proxy_request_duration_seconds", "proxy_name=\"forward\","),
        ] {
            head(text, name, "histogram", about);
            for (to, asked) in servers.iter() {
                let labels = format!("{more}to=\"{to}\"");
                histogram::write(text, name, &labels, &DURATIONS, std::iter::once(&asked.durations));
            }
        }
        let name = "coredns_forward_max_concurrent_rejects_total";
        head(text, name, "counter", "Questions not asked because too many were under way.");
        let _ = writeln!(text, "{name} {}", load(&self.rejected));
    }
}

fn head(text: &mut String, name: &str, kind: &str, about: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn code_name(index: usize) -> &'static str {
    CODES.get(index).map_or("other", |(_, name)| name)
}
