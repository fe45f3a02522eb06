//! The pages of `kelson proxy`, as kube-proxy serves them (C8.4, C8.5): health on one socket, figures on another.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use kelson_process::Shutdown;
use kelson_proxy::Metrics;
use tokio::net::TcpListener;

use super::health::{Health, Report};

/// `/healthz` and `/livez`.
pub fn health(health: Health) -> Router {
    let live = health.clone();
    Router::new()
        .route("/healthz", get(move || async move { healthz(&health.report(), kelson_process::now()) }))
        .route("/livez", get(move || async move { livez(&live.report(), kelson_process::now()) }))
}

/// `/metrics`, `/proxyMode` and `/healthz`.
pub fn metrics(metrics: Arc<Metrics>, health: Health) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/metrics", get(move || async move { (text, metrics.render()) }))
        .route("/proxyMode", get(|| async { "nftables" }))
        .route("/healthz", get(move || async move { healthz(&health.report(), kelson_process::now()) }))
}

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "a page is served no more");
    }
}

/// For balancers: whether to send to this node at all.
fn healthz(report: &Report, now: Timestamp) -> Response {
    let eligible = format!(", \"nodeEligible\": {}", report.eligible);
    page(report.healthy && report.eligible, &report.updated, &now, &eligible)
}

/// For the kubelet: whether to restart the proxy.
fn livez(report: &Report, now: Timestamp) -> Response {
    page(report.healthy, &report.updated, &now, "")
}

fn page(good: bool, updated: &Timestamp, now: &Timestamp, rest: &str) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let body = format!("{{\"lastUpdated\": \"{}\",\"currentTime\": \"{}\"{rest}}}", go(updated), go(now));
    (status, headers, body).into_response()
}

/// A time as Go prints it.
fn go(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(answer: Response, status: u16, expected: &str) {
        assert_eq!(answer.status(), status);
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }

    #[tokio::test]
    async fn health_is_told_as_kube_proxy_does_c8_4() {
        let (early, now) = (Timestamp::UNIX_EPOCH, Timestamp::from_millisecond(1500).unwrap());
        let report = |healthy, eligible| Report { healthy, eligible, updated: early };
        let times = "\"lastUpdated\": \"1970-01-01 00:00:00 +0000 UTC\",\"currentTime\": \"1970-01-01 00:00:01.5 +0000 UTC\"";
        check(healthz(&report(true, true), now), 200, &format!("{{{times}, \"nodeEligible\": true}}")).await;
        check(healthz(&report(true, false), now), 503, &format!("{{{times}, \"nodeEligible\": false}}"))
            .await;
        check(healthz(&report(false, true), now), 503, &format!("{{{times}, \"nodeEligible\": true}}")).await;
        check(livez(&report(true, false), now), 200, &format!("{{{times}}}")).await;
        check(livez(&report(false, true), now), 503, &format!("{{{times}}}")).await;
    }
}
