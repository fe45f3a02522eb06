//! One request to one backend, and to another endpoint when the first fails before it matters.
//!
//! Sent again is what was never sent (the connection was refused, or closed before it took the request), and what may be
//! sent twice (an idempotent method without a body) when no response came. Invariant: anything else reaches a backend at
//! most once, and nothing is sent again after the client has been told anything.

use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::balance::Balance;
use crate::body::{Progress, Upload};
use crate::config::Limits;
use crate::upstream::{ConnectError, Lease, Sender, Upstream};

/// Most times one request is tried.
const ATTEMPTS_MAX: usize = 4;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No endpoint could be connected to.
    #[error("no endpoint could be reached")]
    Unreachable(#[source] ConnectError),
    /// The connection broke, or what came was no HTTP.
    #[error("the backend broke off before its response")]
    Broken(#[source] hyper::Error),
    /// The backend said nothing for too long.
    #[error("the backend did not respond in time")]
    Timeout,
    /// The client did not send its whole body.
    #[error("the client did not send its whole request")]
    Client,
    /// Connections closed as often as they were tried.
    #[error("the backend closes every connection")]
    Closed,
}

/// A response, and the connection it comes by.
pub(crate) struct Exchange {
    pub response: Response<Incoming>,
    pub lease: Lease,
}

/// Enough of a request to send it again.
struct Copy {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Copy {
    /// Of a request that may be sent twice.
    fn of(request: &Request<Upload>) -> Option<Self> {
        let (method, has_body) = (request.method(), !request.body().is_end_stream());
        (method.is_idempotent() && !has_body).then(|| Self {
            method: method.clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    fn request(&self) -> Request<Upload> {
        let mut request = Request::new(Upload::Empty);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// How one attempt ended without a response.
enum Missed {
    /// The request was never sent; here it is.
    Unsent(Box<Request<Upload>>),
    Broken(hyper::Error),
    Timeout,
}

/// Sends a request to one of these endpoints; `place` is kept until its connection is done with it, and `progress` is that
/// of its body.
pub(crate) async fn forward(
    mut request: Request<Upload>,
    balance: &Balance,
    place: OwnedSemaphorePermit,
    progress: &Progress,
    limits: &Limits,
) -> Result<Exchange, Failure> {
    let copy = Copy::of(&request);
    let mut tried: Vec<Arc<Upstream>> = Vec::new();
    let mut failure = Failure::Closed;
    for attempt in 0..ATTEMPTS_MAX {
        let upstream = balance.choose(&tried).clone();
        let in_flight = upstream.request();
        let mut sender = match connection(&upstream, attempt == 0).await {
            Ok(sender) => sender,
            Err(error) => {
                upstream.avoid();
                tried.push(upstream);
                failure = Failure::Unreachable(error);
                continue;
            }
        };
        match send(&mut sender, request, progress, limits).await {
            Ok(response) => return Ok(Exchange { response, lease: Lease::new(sender, in_flight, place) }),
            Err(Missed::Timeout) => return Err(Failure::Timeout),
            Err(Missed::Broken(_)) if progress.is_failed() => return Err(Failure::Client),
            Err(Missed::Unsent(back)) => {
                request = *back;
                failure = Failure::Closed;
            }
            Err(Missed::Broken(error)) => {
                let may_repeat = copy.as_ref().filter(|_| !error.is_parse());
                let Some(copy) = may_repeat else { return Err(Failure::Broken(error)) };
                request = copy.request();
                tried.push(upstream);
                failure = Failure::Broken(error);
            }
        }
    }
    Err(failure)
}

/// A spare connection, or a new one: a new one also after a connection failed, for others kept as long may be as dead.
async fn connection(upstream: &Upstream, is_first: bool) -> Result<Sender, ConnectError> {
    match upstream.spare().filter(|_| is_first) {
        Some(sender) => Ok(sender),
        None => upstream.connect().await,
    }
}

/// Sends a request and waits for the response's head. The time runs from the last piece of the request's body.
async fn send(
    sender: &mut Sender,
    request: Request<Upload>,
    progress: &Progress,
    limits: &Limits,
) -> Result<Response<Incoming>, Missed> {
    let mut sending = std::pin::pin!(sender.try_send_request(request));
    loop {
        let sent = progress.frames();
        match timeout(limits.response_timeout, &mut sending).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Missed::Unsent(Box::new(request)),
                    None => Missed::Broken(error.into_error()),
                });
            }
            Err(_) if progress.frames() != sent => {}
            Err(_) => return Err(Missed::Timeout),
        }
    }
}
