//! Counters as Prometheus reads them.

use std::time::Duration;

use kelson_zones::{Transport, rcode, rtype};

use super::Metrics;

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new("cluster.local", 2);
    for shard in 0..2 {
        metrics.shard(shard).request(true, Transport::Udp, rtype::A);
        metrics.shard(shard).response(true, rcode::NO_SUCH_NAME);
        metrics.shard(shard).took(Duration::from_micros(300), 2);
    }
    metrics.shard(0).request(false, Transport::Tcp, 999);
    metrics.cache_hit();
    let text = metrics.render();
    for line in [
        "coredns_dns_requests_total{server=\"dns://:53\",zone=\"cluster.local.\",view=\"\",proto=\"udp\",type=\"A\"} 2",
        "coredns_dns_requests_total{server=\"dns://:53\",zone=\".\",view=\"\",proto=\"tcp\",type=\"other\"} 1",
        "coredns_dns_responses_total{server=\"dns://:53\",zone=\"cluster.local.\",view=\"\",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} 2",
        "coredns_dns_request_duration_seconds_bucket{server=\"dns://:53\",zone=\".\",view=\"\",le=\"0.00025\"} 0",
        "coredns_dns_request_duration_seconds_bucket{server=\"dns://:53\",zone=\".\",view=\"\",le=\"0.0005\"} 4",
        "coredns_dns_request_duration_seconds_count{server=\"dns://:53\",zone=\".\",view=\"\"} 4",
        "coredns_cache_hits_total{server=\"dns://:53\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
