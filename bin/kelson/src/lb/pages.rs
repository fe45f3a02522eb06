//! The pages of `kelson lb`: whether it lives, and whether it knows the cluster.

use std::sync::Arc;

use kelson_cluster::Leader;
use kelson_model::Snapshot;
use kelson_pages::{Pages, StatusCode, text};
use tokio::sync::watch;

/// `/health` and `/ready`.
pub fn pages(services: watch::Receiver<Arc<Snapshot>>, leader: watch::Receiver<Leader>) -> Pages {
    let answer = move || {
        let (status, words) = ready(services.borrow().synced, &leader.borrow());
        text(status, words)
    };
    Pages::default().with("/health", || text(StatusCode::OK, "OK")).with("/ready", answer)
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
