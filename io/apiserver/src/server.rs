//! The listener: connections within bounds, TLS, HTTP/1.1 and HTTP/2, and the user of every request.
//!
//! Invariant: every task lives in one set; at shutdown nothing is accepted, watches end, and whoever is not done within
//! the grace is dropped. An error of one connection never touches another.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kelson_machinery::status::Status;
use kelson_process::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::authn::{self, Bearers, User};
use crate::compression;
use crate::config::Limits;
use crate::response;
use crate::tls::{Shown, Tls};

/// Wait before accepting again after the kernel refused (too many open files).
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Bytes of a request's head, at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How often a silent HTTP/2 connection is asked whether its peer lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What all connections share.
pub(crate) struct Front {
    pub router: Router,
    pub tls: Tls,
    pub bearers: Arc<Bearers>,
    pub limits: Limits,
}

/// Serves until `shutdown`, then for at most the grace.
pub(crate) async fn serve(front: Arc<Front>, listener: TcpListener, shutdown: Shutdown) {
    let connections = Arc::new(Semaphore::new(front.limits.connections));
    let mut tasks = JoinSet::new();
    loop {
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = connections.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            },
        };
        while tasks.try_join_next().is_some() {}
        let (front, shutdown) = (front.clone(), shutdown.clone());
        tasks.spawn(async move {
            connection(&front, stream, shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(front.limits.grace, drained).await.is_err() {
        tracing::info!("connections outlived the grace period and are dropped");
    }
}

async fn connection(front: &Arc<Front>, stream: TcpStream, shutdown: Shutdown) {
    // Small answers must not wait for more; without it a request costs up to 40 ms.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(front.limits.handshake_timeout, front.tls.acceptor.accept(stream));
    let stream = tokio::select! {
        () = shutdown.cancelled() => return,
        done = handshake => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        },
    };
    let shown = front.tls.judge(stream.get_ref().1.peer_certificates());
    let own = front.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (front, shown) = (own.clone(), shown.clone());
        async move { Ok::<_, std::convert::Infallible>(answer(&front, &shown, request.map(Body::new)).await) }
    });
    let builder = builder(&front.limits);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL);
    builder
}

async fn answer(front: &Front, shown: &Shown, mut request: Request<Body>) -> Response<Body> {
    let Ok(user) = identify(front, shown, request.headers()).await else {
        return response::failure(&Status::unauthorized());
    };
    request.extensions_mut().insert(user);
    let compressed = compression::is_wanted(&request);
    let answer = front.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    if compressed { compression::compress(answer).await } else { answer }
}

/// Who asks: the certificate's user, else the token's, else nobody. A credential that is not good is an error.
async fn identify(front: &Front, shown: &Shown, headers: &header::HeaderMap) -> Result<User, ()> {
    let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str().map_err(drop)).transpose();
    match shown {
        Shown::User(user) => return Ok(user.clone()),
        Shown::Stranger => return Err(()),
        Shown::Nothing => {}
    }
    match authn::bearer(header?)? {
        Some(token) => front.bearers.user(token).await.ok_or(()),
        None => Ok(User::anonymous()),
    }
}
