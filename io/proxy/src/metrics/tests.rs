//! That what happened is what dashboards read.

use std::time::Duration;

use super::Metrics;

#[test]
fn everything_is_counted_under_upstreams_names() {
    let metrics = Metrics::default();
    metrics.programmed(true, Duration::from_millis(60), 1_700_000_000);
    metrics.programmed(false, Duration::from_micros(90), 1_700_000_001);
    metrics.programmed(false, Duration::from_millis(2), 1_700_000_002);
    metrics.reached(Duration::from_millis(40));
    metrics.failed();
    metrics.removed_flows(3);
    let text = metrics.render();
    for line in [
        "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.0001\"} 1",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.0064\"} 2",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"+Inf\"} 2",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_sum{ip_family=\"IPv4\"} 0.00209",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.1024\"} 1",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1700000002",
        "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family=\"IPv4\"} 1",
        "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"} 3",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}
