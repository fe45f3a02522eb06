//! The pages of `kelson proxy`, as kube-proxy serves them (C8.4, C8.5): health on one socket, figures on another.

use std::sync::Arc;

use jiff::Timestamp;
use kelson_pages::{Page, Pages, StatusCode, json, text};
use kelson_proxy::{Health, Metrics, Report};

/// `/healthz` and `/livez`.
pub fn health(health: Health) -> Pages {
    let live = health.clone();
    Pages::default()
        .with("/healthz", move || healthz(&health.report(), kelson_process::now()))
        .with("/livez", move || livez(&live.report(), kelson_process::now()))
}

/// `/metrics`, `/proxyMode` and `/healthz`.
pub fn metrics(metrics: Arc<Metrics>, health: Health) -> Pages {
    Pages::default()
        .with("/metrics", move || kelson_pages::metrics(metrics.render()))
        .with("/proxyMode", || text(StatusCode::OK, "nftables"))
        .with("/healthz", move || healthz(&health.report(), kelson_process::now()))
}

/// For balancers: whether to send to this node at all.
fn healthz(report: &Report, now: Timestamp) -> Page {
    let eligible = format!(", \"nodeEligible\": {}", report.eligible);
    page(report.healthy && report.eligible, &report.updated, &now, &eligible)
}

/// For the kubelet: whether to restart the proxy.
fn livez(report: &Report, now: Timestamp) -> Page {
    page(report.healthy, &report.updated, &now, "")
}

fn page(good: bool, updated: &Timestamp, now: &Timestamp, rest: &str) -> Page {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, format!("{{\"lastUpdated\": \"{}\",\"currentTime\": \"{}\"{rest}}}", go(updated), go(now)))
}

/// A time as Go prints it.
fn go(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: Page, status: u16, expected: &str) {
        assert_eq!(answer.status(), status);
        assert_eq!(String::from_utf8_lossy(answer.body()), expected);
    }

    #[test]
    fn health_is_told_as_kube_proxy_does_c8_4() {
        let (early, now) = (Timestamp::UNIX_EPOCH, Timestamp::from_millisecond(1500).unwrap());
        let report = |healthy, eligible| Report { healthy, eligible, updated: early };
        let times = "\"lastUpdated\": \"1970-01-01 00:00:00 +0000 UTC\",\"currentTime\": \"1970-01-01 00:00:01.5 +0000 UTC\"";
        check(healthz(&report(true, true), now), 200, &format!("{{{times}, \"nodeEligible\": true}}"));
        check(healthz(&report(true, false), now), 503, &format!("{{{times}, \"nodeEligible\": false}}"));
        check(healthz(&report(false, true), now), 503, &format!("{{{times}, \"nodeEligible\": true}}"));
        check(livez(&report(true, false), now), 200, &format!("{{{times}}}"));
        check(livez(&report(false, true), now), 503, &format!("{{{times}}}"));
    }
}
