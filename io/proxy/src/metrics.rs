//! What the proxy counts, under the names dashboards know (spec C11).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the duration buckets, in microseconds: 0.1 ms to 16 s, doubling twice a step.
const BUCKETS_US: [u64; 10] =
    [100, 400, 1_600, 6_400, 25_600, 102_400, 409_600, 1_638_400, 6_553_600, 16_000_000];

/// Durations by bucket.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
        for (bucket, _) in self.buckets.iter().zip(BUCKETS_US).filter(|(_, bound)| us <= *bound) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    fn render(&self, name: &str, out: &mut String) {
        let _ = writeln!(out, "# TYPE {name} histogram");
        for (bucket, bound) in self.buckets.iter().zip(BUCKETS_US) {
            let (bound, count) = (bound as f64 / 1e6, bucket.load(Relaxed));
            let _ = writeln!(out, "{name}_bucket{{ip_family=\"IPv4\",le=\"{bound}\"}} {count}");
        }
        let (count, sum) = (self.count.load(Relaxed), Duration::from_micros(self.sum_us.load(Relaxed)));
        let _ = writeln!(out, "{name}_bucket{{ip_family=\"IPv4\",le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{{ip_family=\"IPv4\"}} {}", sum.as_secs_f64());
        let _ = writeln!(out, "{name}_count{{ip_family=\"IPv4\"}} {count}");
    }
}

/// The proxy's counters; both families are programmed in one transaction and counted as one.
#[derive(Debug, Default)]
pub struct Metrics {
    full: Histogram,
    partial: Histogram,
    network: Histogram,
    failures: AtomicU64,
    last_s: AtomicU64,
    flows_removed: AtomicU64,
}

impl Metrics {
    /// An update took `took`, `replacing` the whole table or not, and ended at `now_s` seconds of the epoch.
    pub(crate) fn programmed(&self, replacing: bool, took: Duration, now_s: u64) {
        if replacing { &self.full } else { &self.partial }.observe(took);
        self.last_s.store(now_s, Relaxed);
    }

    /// A change of endpoints was programmed so long after what it answers happened.
    pub(crate) fn reached(&self, took: Duration) {
        self.network.observe(took);
    }

    /// An update failed.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// So many UDP flows were removed.
    pub(crate) fn removed_flows(&self, count: usize) {
        self.flows_removed.fetch_add(u64::try_from(count).unwrap_or_default(), Relaxed);
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.full.render("kubeproxy_sync_full_proxy_rules_duration_seconds", &mut out);
        self.partial.render("kubeproxy_sync_partial_proxy_rules_duration_seconds", &mut out);
        self.network.render("kubeproxy_network_programming_duration_seconds", &mut out);
        for (name, kind, value) in [
            ("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", &self.last_s),
            ("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "counter", &self.failures),
            ("kubeproxy_conntrack_reconciler_deleted_entries_total", "counter", &self.flows_removed),
        ] {
            let value = value.load(Relaxed);
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name}{{ip_family=\"IPv4\"}} {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests;
