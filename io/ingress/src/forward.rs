//! One request to one backend, and to another endpoint when the first fails before it matters.
//!
//! Sent again is what was never sent (the connection was refused, or closed before it took the request), and what may be
//! sent twice (an idempotent method without a body) when no response came. Invariant: anything else reaches a backend at
//! most once, and nothing is sent again after the client has been told anything.

use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use tokio::time::Instant;

use crate::balance::Balance;
use crate::body::{Progress, Upload};
use crate::config::Limits;
use crate::connect::{ConnectError, Version};
use crate::lease::{Lease, Line};
use crate::link::Sent;
use crate::metrics::Shard;
use crate::places::Place;
use crate::upstream::Upstream;

/// Most times one request is tried.
pub(crate) const ATTEMPTS_MAX: usize = 4;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No endpoint could be connected to.
    #[error("no endpoint could be reached")]
    Unreachable(#[source] ConnectError),
    /// The connection broke, or what came was no HTTP.
    #[error("the backend broke off before its response")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It goes on as another protocol.
    #[error("the backend switched protocols unasked")]
    Switched,
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

/// What sending a request takes beside it.
pub(crate) struct Sending<'a> {
    /// Where it may go.
    pub balance: &'a Balance,
    /// What is spoken there.
    pub version: Version,
    /// How far its body has come, if it has one.
    pub progress: Option<Arc<Progress>>,
    /// Whose connections are used.
    pub worker: usize,
    /// When it came.
    pub now: Instant,
    pub limits: &'a Limits,
    pub shard: &'a Shard,
}

/// Enough of a request to send it again.
struct Copy {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Copy {
    /// Of a request that may be sent twice.
    fn of(request: &Request<Upload>) -> Option<Self> {
        let (method, has_body) = (request.method(), !request.body().is_end_stream());
        let field = |(name, value): (&HeaderName, &HeaderValue)| (name.clone(), value.clone());
        (method.is_idempotent() && !has_body).then(|| Self {
            method: method.clone(),
            uri: request.uri().clone(),
            fields: request.headers().iter().map(field).collect(),
        })
    }

    fn request(&self) -> Request<Upload> {
        let mut request = Request::new(Upload::Empty);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in self.fields.iter().cloned() {
            headers.append(name, value);
        }
        *request.headers_mut() = headers;
        request
    }
}

/// Sends a request to one of the endpoints; `place` is kept until its connection is done with it.
pub(crate) async fn forward(
    mut request: Request<Upload>,
    place: Place,
    sending: Sending<'_>,
) -> Result<Exchange, Failure> {
    let copy = Copy::of(&request);
    let mut tried: Vec<Arc<Upstream>> = Vec::new();
    let mut failure = Failure::Closed;
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            sending.shard.retried();
        }
        let upstream = sending.balance.choose(&tried);
        let in_flight = upstream.request();
        let mut line = match sending.line(upstream, attempt == 0).await {
            Ok(line) => line,
            Err(error) => {
                upstream.avoid();
                tried.push(upstream.clone());
                failure = Failure::Unreachable(error);
                continue;
            }
        };
        match sending.send(&mut line, request).await {
            None => return Err(Failure::Timeout),
            Some(Ok(response)) => {
                // A response before the request's end: from here on neither may wait for the other.
                if sending.progress.as_ref().is_some_and(|progress| !progress.is_done()) {
                    line.leave();
                }
                return Ok(Exchange { response, lease: Lease::new(line, sending.worker, in_flight, place) });
            }
            Some(Err(_)) if sending.progress.as_ref().is_some_and(|progress| progress.is_failed()) => {
                return Err(Failure::Client);
            }
            Some(Err(mut error)) => match error.take_message() {
                Some(unsent) => {
                    request = unsent;
                    failure = Failure::Closed;
                }
                None => {
                    let error = error.into_error();
                    let may_repeat = copy.as_ref().filter(|_| !error.is_parse());
                    let Some(copy) = may_repeat else { return Err(Failure::Broken(error.into())) };
                    request = copy.request();
                    tried.push(upstream.clone());
                    failure = Failure::Broken(error.into());
                }
            },
        }
    }
    Err(failure)
}

impl Sending<'_> {
    /// A connection there is, or a new one: a new one also after a connection failed, for others kept as long may be as
    /// dead.
    async fn line(&self, upstream: &Arc<Upstream>, is_first: bool) -> Result<Line, ConnectError> {
        match self.version {
            Version::Http1 => match upstream.spare(self.worker, self.now).filter(|_| is_first) {
                Some(link) => Ok(Line::Own(link)),
                // On the heap: it is seldom, and large.
                None => {
                    let outcome = Box::pin(upstream.connect()).await;
                    self.shard.connected(outcome.is_ok());
                    outcome.map(Line::Own)
                }
            },
            Version::Http2 => {
                let connected = |outcome: &Result<_, _>| self.shard.connected(outcome.is_ok());
                Box::pin(upstream.stream(self.worker, connected)).await.map(Line::Shared)
            }
        }
    }

    /// Sends a request and waits for the response's head. The time runs from the last piece of the request's body.
    async fn send(&self, line: &mut Line, request: Request<Upload>) -> Option<Sent> {
        let frames = || self.progress.as_ref().map_or(0, |progress| progress.frames());
        let mut sent = frames();
        let moved = || {
            let before = std::mem::replace(&mut sent, frames());
            before != sent
        };
        line.send(request, (self.now, self.limits.response_timeout), moved).await
    }
}
