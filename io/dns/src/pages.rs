//! What is served over HTTP beside DNS: counters, and whether the server lives and is ready, where CoreDNS has them.
//!
//! `/metrics` on :9153, `/health` on :8080, `/ready` on :8181 (spec D3.2).

use std::net::SocketAddr;
use std::sync::Arc;

use kelson_pages::{Page, Pages, StatusCode, text};
use kelson_zones::Zone;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::DnsError;
use crate::metrics::Metrics;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// `/metrics`.
    Metrics,
    /// `/health`.
    Health,
    /// `/ready`.
    Ready,
}

/// What the pages tell of.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub metrics: Arc<Metrics>,
    pub zone: watch::Receiver<Arc<Zone>>,
}

/// A socket for pages.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, DnsError> {
    let failed = |source| DnsError::Listen { protocol: "tcp", address, source };
    TcpListener::bind(address).await.map_err(failed)
}

/// The page of a port.
pub(crate) fn pages(port: Port, shown: Shown) -> Pages {
    match port {
        Port::Metrics => {
            Pages::default().with("/metrics", move || kelson_pages::metrics(shown.metrics.render()))
        }
        Port::Health => Pages::default().with("/health", || text(StatusCode::OK, "OK")),
        Port::Ready => Pages::default().with("/ready", move || ready(shown.zone.borrow().synced)),
    }
}

fn ready(synced: bool) -> Page {
    match synced {
        true => text(StatusCode::OK, "OK"),
        // CoreDNS names the plugins that are not ready.
        false => text(StatusCode::SERVICE_UNAVAILABLE, "kubernetes"),
    }
}

#[cfg(test)]
mod tests;
