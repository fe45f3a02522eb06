//! What is served over HTTP beside DNS: counters, and whether the server lives and is ready, where CoreDNS has them.
//!
//! `/metrics` on :9153, `/health` on :8080, `/ready` on :8181 (spec D3.2). Bounds: [`CLIENTS_MAX`] clients a port, heads of at
//! most [`HEAD_MAX`] bytes within [`PATIENCE`]; bodies are never read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use kelson_process::Shutdown;
use kelson_zones::Zone;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::DnsError;
use crate::metrics::Metrics;

/// Most clients of one port at a time; the next wait in the kernel.
const CLIENTS_MAX: usize = 64;

/// Most bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

/// How long a client may take to say what it wants, idle connections included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/metrics`.
    Metrics,
    /// `/health`.
    Health,
    /// `/ready`.
    Ready,
}

impl Page {
    fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/metrics",
            Self::Health => "/health",
            Self::Ready => "/ready",
        }
    }
}

/// What the pages tell of.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub metrics: Arc<Metrics>,
    pub zone: watch::Receiver<Arc<Zone>>,
}

/// A socket for a page.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, DnsError> {
    let failed = |source| DnsError::Listen { protocol: "tcp", address, source };
    TcpListener::bind(address).await.map_err(failed)
}

/// Serves `page` until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, page: Page, shown: Shown, shutdown: Shutdown) {
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(permit) = clients.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, page = page.path(), "accepting a client");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (shown, shutdown) = (shown.clone(), shutdown.clone());
        drop(tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = converse(stream, page, shown) => {}
            }
            drop(permit);
        }));
    }
}

async fn converse(stream: TcpStream, page: Page, shown: Shown) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, page, &shown);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD_MAX);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), answer).await {
        tracing::trace!(%error, page = page.path(), "client gone");
    }
}

fn respond<B>(request: &Request<B>, page: Page, shown: &Shown) -> Response<Full<Bytes>> {
    if request.uri().path() != page.path() {
        return plain(StatusCode::NOT_FOUND, format!("this port serves {}\n", page.path()));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match page {
        Page::Health => plain(StatusCode::OK, "OK".to_owned()),
        Page::Ready if shown.zone.borrow().synced => plain(StatusCode::OK, "OK".to_owned()),
        // CoreDNS names the plugins that are not ready.
        Page::Ready => plain(StatusCode::SERVICE_UNAVAILABLE, "kubernetes".to_owned()),
        Page::Metrics => {
            let mut response = plain(StatusCode::OK, shown.metrics.render());
            response.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE.parse().expect("a valid header"));
            response
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
