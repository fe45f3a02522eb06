//! Bodies on their way through: passed on piece by piece, never held, and cut off when they stand still.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use crate::activity::Busy;
use crate::lease::Lease;
use crate::patience::Patience;

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
    done: AtomicBool,
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

    /// Whether nothing more of it is wanted, or comes.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
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
    body: Incoming,
    limit: Duration,
    /// Runs while a piece is awaited.
    patience: Option<Patience>,
    is_awaited: bool,
    progress: Arc<Progress>,
}

impl Upload {
    /// The body of a client's request, and how far it will have come; `None` when it has no body.
    pub(crate) fn new(body: Incoming, limit: Duration) -> (Self, Option<Arc<Progress>>) {
        if body.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Arc::new(Progress::default());
        let told = Some(progress.clone());
        (
            Self::Client(Box::new(FromClient { body, limit, patience: None, is_awaited: false, progress })),
            told,
        )
    }
}

impl FromClient {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.is_awaited = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let limit = self.limit;
        let patience = self.patience.get_or_insert_with(|| Patience::new(Instant::now(), limit));
        if !std::mem::replace(&mut self.is_awaited, true) {
            patience.restart(Instant::now(), limit);
        }
        ready!(patience.poll(cx));
        Poll::Ready(Some(Err(BodyError::Stalled)))
    }
}

impl Drop for FromClient {
    fn drop(&mut self) {
        self.progress.done.store(true, Ordering::Relaxed);
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
        let frame = ready!(client.poll(cx));
        client.progress.frames.fetch_add(1, Ordering::Relaxed);
        client.progress.failed.store(matches!(frame, Some(Err(_))), Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(client) => client.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(client) => client.body.size_hint(),
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
    /// What a backend sends.
    Backend(FromBackend),
}

/// What a backend sends, and the connection it comes by until all has come.
struct FromBackend {
    body: Incoming,
    lease: Option<Lease>,
    limit: Duration,
    is_awaited: bool,
    /// Why it ended before its end.
    broken: Option<BodyError>,
}

impl FromBackend {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(lease) = &mut self.lease else {
            return Pin::new(&mut self.body).poll_frame(cx).map_err(BodyError::Broken);
        };
        if let Poll::Ready(frame) = lease.poll_body(&mut self.body, cx) {
            self.is_awaited = false;
            match frame {
                Some(Ok(frame)) => {
                    self.release_at_end();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => return self.break_off(error, cx),
                None => self.lease.take().into_iter().for_each(Lease::finish),
            }
            return Poll::Ready(None);
        }
        let now = Instant::now();
        let patience = lease.patience(now, self.limit);
        if !std::mem::replace(&mut self.is_awaited, true) {
            patience.restart(now, self.limit);
        }
        ready!(patience.poll(cx));
        self.lease = None;
        Poll::Ready(Some(Err(BodyError::Stalled)))
    }

    /// An error ends the client's connection at once, so it is told a turn later than what came before it, which is sent
    /// meanwhile.
    fn break_off<T>(&mut self, error: hyper::Error, cx: &Context<'_>) -> Poll<T> {
        self.lease = None;
        self.broken = Some(BodyError::Broken(error));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.lease.take().into_iter().for_each(Lease::finish);
        }
    }
}

impl Reply {
    /// Our own words.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self { source: Source::Text((!text.is_empty()).then_some(text)), busy: None }
    }

    /// What a backend sends.
    pub(crate) fn backend(body: Incoming, limit: Duration, lease: Lease) -> Self {
        let mut from = FromBackend { body, lease: Some(lease), limit, is_awaited: false, broken: None };
        from.release_at_end();
        Self { source: Source::Backend(from), busy: None }
    }

    /// Keeps the request under way until this body has been sent.
    pub(crate) fn keeping(mut self, busy: Busy) -> Self {
        self.busy = Some(busy);
        self
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let from = match &mut this.source {
            Source::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Source::Backend(from) => from,
        };
        let frame = ready!(from.poll(cx));
        this.busy.iter().for_each(Busy::moved);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_none(),
            Source::Backend(from) => from.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Source::Backend(from) => from.body.size_hint(),
        }
    }
}
