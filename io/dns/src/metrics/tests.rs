//! Counters as Prometheus reads them.

use std::time::Duration;

use kelson_zones::{Transport, rcode, rtype};

use super::{Metrics, SERVERS_MAX};

fn counted() -> String {
    let metrics = Metrics::new("cluster.local", 2);
    for shard in 0..2 {
        let shard = metrics.shard(shard);
        shard.request(true, Transport::Udp, rtype::A, 60);
        shard.response(true, Transport::Udp, rcode::NO_SUCH_NAME, 150);
        shard.took(true, Duration::from_micros(300), 2);
    }
    metrics.shard(0).request(false, Transport::Tcp, 999, 600);
    metrics.shard(0).asked_for_dnssec();
    metrics.cache_hit(false);
    metrics.cache_hit(true);
    metrics.cache_miss();
    metrics.cache_holds([3, 1], [5, 0]);
    let server = "192.0.2.1:53".parse().unwrap();
    metrics.asked(server, Some(rcode::NO_ERROR), Duration::from_millis(3));
    metrics.asked(server, None, Duration::from_secs(2));
    metrics.rejected();
    metrics.render()
}

#[test]
fn what_is_counted_is_shown_d3_2() {
    let text = counted();
    let check = |line: &str| assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    let ours = "server=\"dns://:53\",zone=\"cluster.local.\",view=\"\"";
    let others = "server=\"dns://:53\",zone=\".\",view=\"\"";
    check(&format!("coredns_dns_requests_total{{{ours},proto=\"udp\",type=\"A\"}} 2"));
    check(&format!("coredns_dns_requests_total{{{others},proto=\"tcp\",type=\"other\"}} 1"));
    check(&format!("coredns_dns_responses_total{{{ours},rcode=\"NXDOMAIN\",plugin=\"kubernetes\"}} 2"));
    check(&format!("coredns_dns_request_duration_seconds_bucket{{{ours},le=\"0.00025\"}} 0"));
    check(&format!("coredns_dns_request_duration_seconds_bucket{{{ours},le=\"0.0005\"}} 4"));
    check(&format!("coredns_dns_request_duration_seconds_count{{{ours}}} 4"));
    check(&format!("coredns_dns_request_duration_seconds_sum{{{ours}}} 0.0012"));
    check(&format!("coredns_dns_request_size_bytes_bucket{{{others},proto=\"udp\",le=\"100\"}} 2"));
    check(&format!("coredns_dns_response_size_bytes_sum{{{others},proto=\"udp\"}} 300"));
    check("coredns_dns_do_requests_total{server=\"dns://:53\",view=\"\"} 1");
    check("coredns_cache_hits_total{server=\"dns://:53\",type=\"denial\",zones=\".\",view=\"\"} 1");
    check("coredns_cache_entries{server=\"dns://:53\",type=\"success\",zones=\".\",view=\"\"} 3");
    check("coredns_cache_evictions_total{server=\"dns://:53\",type=\"success\",zones=\".\",view=\"\"} 5");
    check("coredns_cache_misses_total{server=\"dns://:53\",zones=\".\",view=\"\"} 1");
    check("coredns_cache_requests_total{server=\"dns://:53\",zones=\".\",view=\"\"} 3");
    check("coredns_forward_requests_total{to=\"192.0.2.1:53\"} 2");
    check("coredns_forward_responses_total{to=\"192.0.2.1:53\",rcode=\"NOERROR\"} 1");
    check("coredns_forward_request_duration_seconds_bucket{to=\"192.0.2.1:53\",le=\"0.004\"} 1");
    check("coredns_proxy_request_duration_seconds_count{proxy_name=\"forward\",to=\"192.0.2.1:53\"} 1");
    check("coredns_forward_max_concurrent_rejects_total 1");
    check(concat!(
        "coredns_build_info{goversion=\"\",revision=\"\",version=\"kelson-",
        env!("CARGO_PKG_VERSION"),
        "\"} 1"
    ));
    check("coredns_panics_total 0");
}

/// Every line is a comment or a sample of a family that was announced, and none is announced twice.
#[test]
fn the_text_is_well_formed() {
    let text = counted();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, _) = rest.split_once(' ').unwrap();
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = sample.split('{').next().unwrap();
            let family = families.last().unwrap();
            let rest = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} under {family}"));
            assert!(["", "_bucket", "_sum", "_count"].contains(&rest), "{line}");
        }
    }
}

#[test]
fn servers_are_bounded() {
    let metrics = Metrics::new("cluster.local", 1);
    for port in 1..=200 {
        metrics.asked(([192, 0, 2, 1], port).into(), None, Duration::ZERO);
    }
    let shown = metrics.render().matches("coredns_forward_requests_total{").count();
    assert_eq!(shown, SERVERS_MAX);
}
