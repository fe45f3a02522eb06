//! The server: accepts, reads heads within bounds, answers with pages, ends with its shutdown.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kelson_process::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::Pages;

/// Most clients of one port at a time; the next wait in the kernel.
pub const CLIENTS_MAX: usize = 64;
/// Most bytes of a request's head.
pub const HEAD_MAX: usize = 16 << 10;
/// How long a client may take to say what it wants, idle connections included.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What to wait when the system refuses to accept, for want of files mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `pages` until `shutdown`.
pub async fn serve(listener: TcpListener, pages: Pages, shutdown: Shutdown) {
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let permit = clients.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let stream = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, ?pages, "accepting a client");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let (pages, shutdown) = (pages.clone(), shutdown.clone());
        drop(tokio::spawn(async move {
            shutdown.run_until_cancelled(converse(stream, pages)).await;
            drop(permit);
        }));
    }
}

async fn converse(stream: TcpStream, pages: Pages) {
    let answer = service_fn(|request: Request<Incoming>| {
        let page = pages.answer(&request).map(Full::new);
        async move { Ok::<_, Infallible>(page) }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD_MAX);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), answer).await {
        tracing::trace!(%error, "client gone");
    }
}
