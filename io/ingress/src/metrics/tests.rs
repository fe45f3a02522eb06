//! The page, after a little of everything.

use super::*;

fn check(metrics: &Metrics, expected: &[&str]) {
    let page = metrics.render();
    for line in expected {
        assert!(page.lines().any(|shown| shown == *line), "no {line:?} in\n{page}");
    }
}

#[test]
fn workers_count_apart_and_are_shown_together() {
    let metrics = Metrics::new(2);
    for (worker, status, ms) in [(0, 200, 1), (1, 204, 30), (1, 503, 20_000), (0, 0, 2)] {
        let shard = metrics.shard(worker);
        shard.began();
        shard.ended(status, Duration::from_millis(ms));
    }
    metrics.shard(0).began();
    let name = "kelson_ingress_request_duration_seconds";
    check(
        &metrics,
        &[
            "kelson_ingress_requests_total{code=\"2xx\"} 2",
            "kelson_ingress_requests_total{code=\"5xx\"} 1",
            "kelson_ingress_requests_total{code=\"none\"} 1",
            "kelson_ingress_requests_in_flight 1",
            &format!("{name}_bucket{{le=\"0.001\"}} 1"),
            &format!("{name}_bucket{{le=\"0.005\"}} 2"),
            &format!("{name}_bucket{{le=\"10\"}} 3"),
            &format!("{name}_bucket{{le=\"+Inf\"}} 4"),
            &format!("{name}_count 4"),
            &format!("{name}_sum 20.033"),
        ],
    );
}

#[test]
fn clients_are_counted_while_they_are_there() {
    let metrics = Metrics::new(1);
    let shard = metrics.shard(0);
    let first = shard.client(false);
    let second = shard.client(true);
    drop(first);
    shard.handshake_failed();
    check(
        &metrics,
        &[
            "kelson_ingress_connections{scheme=\"http\"} 0",
            "kelson_ingress_connections{scheme=\"https\"} 1",
            "kelson_ingress_connections_total{scheme=\"http\"} 1",
            "kelson_ingress_tls_handshake_failures_total 1",
        ],
    );
    drop(second);
    check(&metrics, &["kelson_ingress_connections{scheme=\"https\"} 0"]);
}

#[test]
fn backends_and_tables_are_counted() {
    let metrics = Metrics::new(1);
    let shard = metrics.shard(0);
    shard.connected(true);
    shard.connected(false);
    shard.retried();
    shard.failed(&Failure::Timeout);
    metrics.reloaded(1_700_000_000, 3);
    check(
        &metrics,
        &[
            "kelson_ingress_upstream_connects_total{result=\"connected\"} 1",
            "kelson_ingress_upstream_connects_total{result=\"failed\"} 1",
            "kelson_ingress_upstream_retries_total 1",
            "kelson_ingress_upstream_failures_total{reason=\"timeout\"} 1",
            "kelson_ingress_certificates 3",
            "kelson_ingress_config_reloads_total 1",
            "kelson_ingress_config_last_reload_timestamp_seconds 1700000000",
        ],
    );
}

/// Every family says what it is, once, before its samples (the exposition format).
#[test]
fn every_sample_has_a_family() {
    let page = Metrics::new(1).render();
    let families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let unique: std::collections::BTreeSet<_> = families.iter().collect();
    assert_eq!(unique.len(), families.len());
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(families.iter().any(|family| name.starts_with(family)), "{line}");
    }
}
