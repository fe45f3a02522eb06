//! The pages of `kelson lb`: whether it lives, and whether it knows the cluster.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use kelson_cluster::Leader;
use kelson_model::Snapshot;
use kelson_process::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// `/health` and `/ready`.
pub fn router(services: watch::Receiver<Arc<Snapshot>>, leader: watch::Receiver<Leader>) -> Router {
    let answer = move || async move { ready(services.borrow().synced, &leader.borrow()) };
    Router::new().route("/health", get(|| async { "OK" })).route("/ready", get(answer))
}

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "a page is served no more");
    }
}

/// Who waits to take over is as ready as who leads.
fn ready(synced: bool, leader: &Leader) -> (StatusCode, &'static str) {
    match (synced, leader) {
        (true, Leader::Own) => (StatusCode::OK, "OK: leading"),
        (true, Leader::Other(_)) => (StatusCode::OK, "OK: another leads"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: Services are not listed yet"),
        (true, Leader::Unknown) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: it is not known who leads"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_knows_services_and_leader() {
        let check = |synced, leader: Leader, expected: u16| {
            assert_eq!(ready(synced, &leader).0.as_u16(), expected, "{synced} {leader:?}");
        };
        check(true, Leader::Own, 200);
        check(true, Leader::Other("n2_1".to_owned()), 200);
        check(true, Leader::Unknown, 503);
        check(false, Leader::Own, 503);
    }
}
