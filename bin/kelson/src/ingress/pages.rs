//! The pages of the ingress: what it counts, and whether it lives and knows its rules. Ports and paths are those that
//! ingress-nginx has them on.

use std::sync::Arc;

use kelson_ingress::{Metrics, Routing};
use kelson_pages::{Page, Pages, StatusCode, text};
use tokio::sync::watch;

/// Where ingress-nginx serves its pages, and so do we.
pub const PORT: u16 = 10254;

/// `/metrics`, `/healthz` (it lives) and `/readyz` (its rules are known).
pub fn pages(metrics: Arc<Metrics>, routing: watch::Receiver<Arc<Routing>>) -> Pages {
    Pages::default()
        .with("/metrics", move || kelson_pages::metrics(metrics.render()))
        .with("/healthz", || text(StatusCode::OK, "ok"))
        .with("/readyz", move || ready(routing.borrow().generation() > 0))
}

fn ready(is_known: bool) -> Page {
    match is_known {
        true => text(StatusCode::OK, "ok"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "the cluster is not known yet"),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use kelson_ingress::{Config, Publisher};

    use super::*;

    #[test]
    fn an_ingress_that_knows_no_cluster_lives_and_is_not_ready() {
        let (publisher, routing) = Publisher::new(&Config::new("cluster.local"));
        let pages = pages(publisher.metrics(), routing);
        for (path, status, expected) in [
            ("/metrics", 200, "# TYPE kelson_ingress_requests_total counter\n"),
            ("/healthz", 200, "ok"),
            ("/readyz", 503, "not known yet"),
        ] {
            let page = pages.answer(&Request::builder().uri(path).body(()).unwrap());
            let text = String::from_utf8_lossy(page.body());
            assert!(page.status().as_u16() == status && text.contains(expected), "{path}: {text}");
        }
    }
}
