//! Bytes that were read and not used yet, in room that is used again and again; and what one request needs of it.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Room for what a backend sends, at first.
const FROM_BACKEND: usize = 16 << 10;

/// Most desks that are kept for requests to come, and most when one has grown: they go to whoever comes next, so few large
/// ones are enough for many large bodies.
const DESKS_MAX: usize = 128;
const LARGE_MAX: usize = 8;

/// Bytes between `start` and `end`.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new(room: usize) -> Self {
        Self { bytes: vec![0; room], start: 0, end: 0 }
    }

    /// What was read and not used.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How much it holds at most, as it is.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.filled().len() == self.room()
    }

    /// The first `count` bytes have been used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Makes room for four times as much, up to `max`; whether there is more now.
    pub(crate) fn grow(&mut self, max: usize) -> bool {
        let room = (self.room() * 4).min(max).max(self.room());
        let is_more = room > self.room();
        self.bytes.resize(room, 0);
        is_more
    }

    /// Reads what comes, once; 0 is the end. Not to be asked while it is full, for that looks like the end.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut free = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut free))?;
        let count = free.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

/// What is on its way for one request: used by one after another, so that it is in the processor's caches.
pub(crate) struct Desk {
    /// A request's head, and what of its body came with it.
    pub to_backend: Vec<u8>,
    pub from_backend: Buffer,
    /// A response's head, and content in frames of our own.
    pub to_client: Vec<u8>,
}

impl Desk {
    /// Forgets what the backend said, so that the request can be sent again.
    pub(crate) fn begin_again(&mut self) {
        let left = self.from_backend.filled().len();
        self.from_backend.consume(left);
        self.to_client.clear();
    }
}

/// The desks of one worker that nobody uses.
#[derive(Default)]
pub(crate) struct Desks(Mutex<Vec<Desk>>);

impl Desks {
    pub(crate) fn take(&self) -> Desk {
        self.free().pop().unwrap_or_else(|| {
            let from_backend = Buffer::new(FROM_BACKEND);
            Desk { to_backend: Vec::new(), from_backend, to_client: Vec::new() }
        })
    }

    /// Takes a desk back, cleared, unless there are enough.
    pub(crate) fn give_back(&self, mut desk: Desk) {
        desk.begin_again();
        desk.to_backend.clear();
        let rooms = [desk.from_backend.room(), desk.to_backend.capacity(), desk.to_client.capacity()];
        let is_large = rooms.into_iter().any(|room| room > FROM_BACKEND * 4);
        let mut free = self.free();
        if free.len() < if is_large { LARGE_MAX } else { DESKS_MAX } {
            free.push(desk);
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Desk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
