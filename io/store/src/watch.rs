//! A watcher's end of the store.
//!
//! Invariant: the events of one watch come in order, none is left out, and a reader that does not keep up gets an error
//! at the first event it missed. The writer never waits for it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

use crate::{Event, StoreError};

/// A stream of events. Ends after an error, and when the store is closed.
pub struct Watch {
    backlog: VecDeque<Arc<Event>>,
    live: mpsc::Receiver<Arc<Event>>,
    lagged: Arc<AtomicBool>,
    kept: usize,
    ended: bool,
}

/// The store's end of a watch.
pub struct Watcher {
    prefix: String,
    live: mpsc::Sender<Arc<Event>>,
    lagged: Arc<AtomicBool>,
}

/// Both ends. `backlog` comes first, then what the store sends; at most `kept` of those wait.
pub fn channel(prefix: &str, backlog: VecDeque<Arc<Event>>, kept: usize) -> (Watcher, Watch) {
    let (sender, live) = mpsc::channel(kept);
    let lagged = Arc::new(AtomicBool::new(false));
    let watcher = Watcher { prefix: prefix.to_owned(), live: sender, lagged: lagged.clone() };
    (watcher, Watch { backlog, live, lagged, kept, ended: false })
}

impl Watcher {
    /// Hands over an event if it is one of this watch. False when the watch is over.
    pub fn send(&self, event: &Arc<Event>) -> bool {
        if !event.entry.key.starts_with(&self.prefix) {
            return !self.live.is_closed();
        }
        match self.live.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lagged.store(true, Ordering::Release);
                false
            }
        }
    }
}

impl Stream for Watch {
    type Item = Result<Arc<Event>, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.backlog.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match std::task::ready!(self.live.poll_recv(context)) {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None => {
                self.ended = true;
                let lagged = self.lagged.load(Ordering::Acquire);
                Poll::Ready(lagged.then_some(Err(StoreError::Lagged { kept: self.kept })))
            }
        }
    }
}
