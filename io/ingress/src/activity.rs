//! When something last happened on a connection, and whether a request is under way: what idle and stalled connections are
//! known by.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Milliseconds from `begun` to the last byte read or written.
    last_ms: AtomicU64,
    requests: AtomicUsize,
    /// Responses being sent, by number: when a piece of each was last taken.
    responses: Mutex<BTreeMap<u64, Instant>>,
    /// Numbers the responses.
    next: AtomicU64,
}

impl Activity {
    /// A connection that begins now.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            last_ms: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            responses: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// How long no byte has been read or written.
    pub(crate) fn silence(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// A request is under way until what is returned is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy { activity: self.clone(), number: self.next.fetch_add(1, Ordering::Relaxed) }
    }

    /// How long the response that has stood still the longest has.
    pub(crate) fn stillness(&self) -> Duration {
        self.responses().values().min().map_or(Duration::ZERO, Instant::elapsed)
    }

    fn responses(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    number: u64,
}

impl Busy {
    /// Its response has begun, or a piece of it was taken.
    pub(crate) fn moved(&self) {
        self.activity.responses().insert(self.number, Instant::now());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.responses().remove(&self.number);
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.touch();
    }
}

/// A stream whose reads and writes are noticed.
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn noticed<T>(&self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.activity.touch();
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.noticed(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noticed(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noticed(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
