//! When something last happened on a connection, and whether a request is under way: what idle and stalled connections are
//! known by.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::metrics::Shard;

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Milliseconds from `begun` to the last byte read or written.
    last_ms: AtomicU64,
    /// Milliseconds from `begun` to the end of the last request.
    done_ms: AtomicU64,
    requests: AtomicUsize,
    /// Whether many requests may come at once.
    is_multiplexed: AtomicBool,
    /// Responses being sent: for each its number, and milliseconds from `begun` to when a piece of it was last taken.
    responses: Mutex<Vec<(u64, u64)>>,
    /// Numbers the responses.
    next: AtomicU64,
}

impl Activity {
    /// A connection that begins now.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            last_ms: AtomicU64::new(0),
            done_ms: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            is_multiplexed: AtomicBool::new(false),
            responses: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    fn since(&self, then_ms: u64) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(then_ms))
    }

    /// The next request's head has been awaited since then, and a part of it has just been read.
    pub(crate) fn expecting(&self, since: Instant) {
        self.done_ms.store(self.ms(since), Ordering::Relaxed);
        self.touch();
    }

    /// How long no byte has been read or written.
    pub(crate) fn silence(&self) -> Duration {
        self.since(self.last_ms.load(Ordering::Relaxed))
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// How long the head of the next request has been awaited; `None` where that may take as long as it likes.
    pub(crate) fn expectation(&self) -> Option<Duration> {
        let is_expected = !self.is_busy() && !self.is_multiplexed.load(Ordering::Relaxed);
        is_expected.then(|| self.since(self.done_ms.load(Ordering::Relaxed)))
    }

    /// A request that came at `now` is under way until what is returned is dropped; counted in `shard`.
    pub(crate) fn request(self: &Arc<Self>, now: Instant, is_multiplexed: bool, shard: Arc<Shard>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if is_multiplexed {
            self.is_multiplexed.store(true, Ordering::Relaxed);
        }
        shard.began();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Busy { activity: self.clone(), number, begun: now, status: AtomicU16::new(0), shard }
    }

    /// How long the response that has stood still the longest has.
    pub(crate) fn stillness(&self) -> Duration {
        let earliest = self.responses().iter().map(|(_, taken_ms)| *taken_ms).min();
        earliest.map_or(Duration::ZERO, |taken_ms| self.since(taken_ms))
    }

    fn responses(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn touch(&self) {
        self.last_ms.store(self.ms(Instant::now()), Ordering::Relaxed);
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    number: u64,
    begun: Instant,
    /// Of its response; 0 until there is one.
    status: AtomicU16,
    shard: Arc<Shard>,
}

impl Busy {
    /// Its response begins.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
        self.moved();
    }

    /// A piece of its response was taken.
    pub(crate) fn moved(&self) {
        let now_ms = self.activity.ms(Instant::now());
        let mut responses = self.activity.responses();
        match responses.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, taken_ms)) => *taken_ms = now_ms,
            None => responses.push((self.number, now_ms)),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let (activity, now) = (&self.activity, Instant::now());
        activity.responses().retain(|(number, _)| *number != self.number);
        activity.requests.fetch_sub(1, Ordering::Relaxed);
        let now_ms = activity.ms(now);
        activity.last_ms.store(now_ms, Ordering::Relaxed);
        activity.done_ms.store(now_ms, Ordering::Relaxed);
        let took = now.saturating_duration_since(self.begun);
        self.shard.ended(self.status.load(Ordering::Relaxed), took);
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
