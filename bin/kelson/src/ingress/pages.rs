//! The pages of the ingress: what it counts, and whether it lives and knows its rules. Ports and paths are those that
//! ingress-nginx has them on.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use kelson_ingress::{Metrics, Routing};
use kelson_process::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where ingress-nginx serves its pages, and so do we.
pub const PORT: u16 = 10254;

/// Serves `/metrics`, `/healthz` (it lives) and `/readyz` (its rules are known) until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    routing: watch::Receiver<Arc<Routing>>,
    shutdown: Shutdown,
) {
    let served = axum::serve(listener, router(metrics, routing))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the ingress's pages are served no more");
    }
}

fn router(metrics: Arc<Metrics>, routing: watch::Receiver<Arc<Routing>>) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/metrics", get(move || async move { (text, metrics.render()) }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { ready(routing.borrow().generation() > 0) }))
}

fn ready(is_known: bool) -> (StatusCode, &'static str) {
    match is_known {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the cluster is not known yet"),
    }
}

#[cfg(test)]
mod tests {
    use kelson_ingress::{Config, Publisher};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn an_ingress_that_knows_no_cluster_lives_and_is_not_ready() {
        let (publisher, routing) = Publisher::new(&Config::new("cluster.local"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, publisher.metrics(), routing, Shutdown::new()));
        for (path, status, expected) in [
            ("/metrics", 200, "# TYPE kelson_ingress_requests_total counter\n"),
            ("/healthz", 200, "ok"),
            ("/readyz", 503, "not known yet"),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).await.unwrap();
            assert!(
                page.starts_with(&format!("HTTP/1.1 {status} ")) && page.contains(expected),
                "{path}: {page}"
            );
        }
    }
}
