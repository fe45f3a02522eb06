//! The pages and their codes, as probes and Prometheus ask for them.

use hyper::Request;
use kelson_model::Snapshot;
use kelson_zones::{Compiler, ZoneConfig};
use tokio::sync::watch;

use super::{Port, Shown, pages};
use crate::metrics::Metrics;

fn check(port: Port, path: &str, synced: bool, expected: u16) {
    let mut compiler = Compiler::new(ZoneConfig::new("cluster.local")).unwrap();
    let zone = compiler.compile(&Snapshot { synced, ..Snapshot::default() });
    let (_sender, zone) = watch::channel(zone);
    let shown = Shown { metrics: Metrics::new("cluster.local", 1), zone };
    let request = Request::builder().uri(path).body(()).unwrap();
    let status = pages(port, shown).answer(&request).status().as_u16();
    assert_eq!(status, expected, "{port:?} {path} synced {synced}");
}

#[test]
fn each_port_has_its_page_d3_2() {
    check(Port::Health, "/health", false, 200);
    check(Port::Ready, "/ready", false, 503);
    check(Port::Ready, "/ready", true, 200);
    check(Port::Metrics, "/metrics", true, 200);
    check(Port::Metrics, "/", true, 404);
}
