//! Bodies on their way through: passed on piece by piece, never held, and cut off when they stand still.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::activity::Busy;
use crate::upstream::Lease;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body stood still for too long")]
    Stalled,
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// How far a request's body has come, told to whoever waits for the response.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    frames: AtomicU64,
    failed: AtomicBool,
}

impl Progress {
    /// Pieces passed on so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether the client did not send all of it.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A body with a bound on how long it may stand still.
struct Paced {
    body: Incoming,
    limit: Duration,
    /// Runs while a piece is awaited.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, patience: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.patience = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let limit = self.limit;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Stalled)))
    }
}

/// A request's body, on its way to a backend.
pub(crate) enum Upload {
    /// Nothing.
    Empty,
    /// What the client sends.
    Client(Box<FromClient>),
}

/// What a client sends.
pub(crate) struct FromClient {
    body: Paced,
    progress: Arc<Progress>,
}

impl Upload {
    /// The body of a client's request.
    pub(crate) fn new(body: Incoming, limit: Duration, progress: &Arc<Progress>) -> Self {
        match body.is_end_stream() {
            true => Self::Empty,
            false => {
                let progress = progress.clone();
                Self::Client(Box::new(FromClient { body: Paced::new(body, limit), progress }))
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self::Client(client) = self.get_mut() else { return Poll::Ready(None) };
        let frame = ready!(client.body.poll(cx));
        client.progress.frames.fetch_add(1, Ordering::Relaxed);
        client.progress.failed.store(matches!(frame, Some(Err(_))), Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(client) => client.body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(client) => client.body.body.size_hint(),
        }
    }
}

/// A response's body, on its way to a client. While it lives its request is under way.
pub(crate) struct Reply {
    source: Source,
    busy: Option<Busy>,
}

enum Source {
    /// Our own words, until they are sent.
    Text(Option<Bytes>),
    /// What a backend sends, and the connection it comes by until all has come.
    Backend(Box<(Paced, Option<Lease>)>),
}

impl Reply {
    /// Our own words.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self { source: Source::Text((!text.is_empty()).then_some(text)), busy: None }
    }

    /// What a backend sends.
    pub(crate) fn backend(body: Incoming, limit: Duration, lease: Lease) -> Self {
        let mut from = Box::new((Paced::new(body, limit), Some(lease)));
        release_at_end(&mut from);
        Self { source: Source::Backend(from), busy: None }
    }

    /// Keeps the request under way until this body has been sent.
    pub(crate) fn keeping(mut self, busy: Busy) -> Self {
        busy.moved();
        self.busy = Some(busy);
        self
    }
}

fn release_at_end(from: &mut (Paced, Option<Lease>)) {
    if from.0.body.is_end_stream()
        && let Some(lease) = from.1.take()
    {
        lease.finish();
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let from = match &mut self.source {
            Source::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Backend(from) => from,
        };
        let frame = ready!(from.0.poll(cx));
        match &frame {
            Some(Ok(_)) => release_at_end(from),
            Some(Err(_)) => drop(from.1.take()),
            None => from.1.take().into_iter().for_each(Lease::finish),
        }
        self.busy.iter().for_each(Busy::moved);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_none(),
            Source::Backend(from) => from.0.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Source::Backend(from) => from.0.body.size_hint(),
        }
    }
}
