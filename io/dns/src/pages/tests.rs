//! The pages and their codes, as probes and Prometheus ask for them.

use hyper::Request;
use kelson_model::Snapshot;
use kelson_zones::{Compiler, ZoneConfig};
use tokio::sync::watch;

use super::{Page, Shown, respond};
use crate::metrics::Metrics;

fn check(page: Page, method: &str, path: &str, synced: bool, expected: u16) {
    let mut compiler = Compiler::new(ZoneConfig::new("cluster.local")).unwrap();
    let zone = compiler.compile(&Snapshot { synced, ..Snapshot::default() });
    let (_sender, zone) = watch::channel(zone);
    let shown = Shown { metrics: Metrics::new("cluster.local", 1), zone };
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let status = respond(&request, page, &shown).status().as_u16();
    assert_eq!(status, expected, "{page:?} {method} {path} synced {synced}");
}

#[test]
fn each_port_has_its_page_d3_2() {
    check(Page::Health, "GET", "/health", false, 200);
    check(Page::Ready, "GET", "/ready", false, 503);
    check(Page::Ready, "GET", "/ready", true, 200);
    check(Page::Metrics, "GET", "/metrics", true, 200);
    check(Page::Metrics, "HEAD", "/metrics", true, 200);
    check(Page::Metrics, "POST", "/metrics", true, 405);
    check(Page::Metrics, "GET", "/", true, 404);
}
