//! GET with `watch=true`: what is there (if asked for), then every change, as JSON frames (spec I30).
//!
//! Invariant: a client that has seen a frame of revision r has seen every selected change up to r. The bytes of an
//! object are the store's, shared by all watchers, wherever the view allows. A watch that cannot keep up ends; it never
//! holds the store back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::Status;
use kelson_store::{Entry, Event, EventKind, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::history;
use crate::metrics::Watching;
use crate::negotiate::Encoding;
use crate::objects::{self, Encoded};
use crate::render::View;
use crate::request::Query;
use crate::response::{self, Reply};
use crate::selection::Selection;
use crate::state::{Call, Core};
use crate::verbs::list::{self, At, invalid_options, revision_parameter};

type Changes = Pin<Box<dyn Stream<Item = Result<Arc<Event>, StoreError>> + Send>>;

/// What a watch's query asks for.
struct Options {
    /// Changes after this; `None` begins with what is there.
    after: Option<u64>,
    /// At least this old must the beginning be.
    not_older_than: u64,
    bookmarks: bool,
    /// Say with a bookmark where what was there ends.
    initial_events: bool,
}

impl Options {
    fn parse(query: &Query) -> Result<Self, Status> {
        let revision = revision_parameter(query)?;
        let bookmarks = query.flag("allowWatchBookmarks");
        let matching = query.get("resourceVersionMatch");
        let (begin, matched) = (Path::new("sendInitialEvents"), Path::new("resourceVersionMatch"));
        let forbidden = |path: &Path, detail: &str| Err(invalid_options(FieldError::forbidden(path, detail)));
        let Some(_) = query.find("sendInitialEvents") else {
            if !matching.is_empty() {
                return forbidden(
                    &matched,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                );
            }
            let after = revision.filter(|revision| *revision > 0);
            return Ok(Self { after, not_older_than: 0, bookmarks, initial_events: false });
        };
        if matching != "NotOlderThan" {
            return forbidden(
                &begin,
                "sendInitialEvents is forbidden for watch unless resourceVersionMatch is NotOlderThan",
            );
        }
        let initial_events = query.flag("sendInitialEvents");
        let not_older_than = revision.unwrap_or(0);
        let after = (!initial_events).then_some(not_older_than);
        Ok(Self { after, not_older_than, bookmarks, initial_events: initial_events && bookmarks })
    }
}

/// One open watch.
struct Session {
    view: View,
    selection: Selection,
    core: Arc<Core>,
    changes: Changes,
    bookmarks: Option<Interval>,
    deadline: Pin<Box<tokio::time::Sleep>>,
    /// Whether the next table is the first, which alone names the columns.
    columns: bool,
    /// What was there and is still to be sent.
    initial: std::vec::IntoIter<Arc<Entry>>,
    /// The revision of the bookmark that ends it, until that is sent.
    end_of_initial: Option<u64>,
    frames: VecDeque<Bytes>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
    _counted: Watching,
}

/// Answers the watch.
pub(crate) async fn watch(call: &Call) -> Reply {
    let view = View::of(call)?;
    if view.encoding != Encoding::Json {
        return Err(Status::not_acceptable(&["application/json"]));
    }
    let selection = Selection::parse(call.kind, &call.query)?;
    let options = Options::parse(&call.query)?;
    let permit = Core::permit(&call.core.watches)?;
    let prefix = list::prefix(call, &selection);
    let store = &*call.core.store;
    let (initial, after) = match options.after {
        // No version at all and no initial events: from now on.
        Some(0) => (Vec::new(), store.revision()),
        Some(after) => (Vec::new(), after),
        None => {
            let state =
                history::list(store, &prefix, None, At::NotOlderThan(options.not_older_than), usize::MAX)
                    .await?;
            (state.entries, state.revision)
        }
    };
    if after > store.revision() {
        return Err(Status::too_large_resource_version(after, store.revision(), 1));
    }
    let changes: Changes = match store.watch(&prefix, after) {
        Ok(changes) => Box::pin(changes),
        Err(error) => return Ok(streamed(stream::iter([Ok(error_frame(&refused(error, after)))]))),
    };
    let timeout = timeout(call)?;
    let bookmarks = options.bookmarks.then(|| ticks(call.core.config.limits.bookmark_interval));
    let session = Session {
        view,
        selection,
        core: call.core.clone(),
        changes,
        bookmarks,
        deadline: Box::pin(tokio::time::sleep(timeout)),
        columns: true,
        initial: initial.into_iter(),
        end_of_initial: options.initial_events.then_some(after),
        frames: VecDeque::new(),
        ended: false,
        _permit: permit,
        _counted: call.core.metrics.watching(),
    };
    Ok(streamed(stream::unfold(session, |mut session| async move {
        let frame = session.next().await?;
        Some((Ok(frame), session))
    })))
}

fn streamed(
    frames: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
) -> axum::http::Response<Body> {
    response::with_type(StatusCode::OK, "application/json", Body::from_stream(frames))
}

/// How long the watch lives: what the client says, otherwise a random time so that clients do not all return at once.
fn timeout(call: &Call) -> Result<Duration, Status> {
    let asked = call.query.number("timeoutSeconds").map_err(Status::bad_request)?.unwrap_or(0);
    if asked > 0 {
        return Ok(Duration::from_secs(asked.unsigned_abs().min(86_400)));
    }
    let least = call.core.config.limits.watch_timeout;
    let spread = u64::try_from(least.as_millis()).unwrap_or(u64::MAX).max(1);
    Ok(least + Duration::from_millis(kelson_process::random_u64() % spread))
}

fn ticks(every: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + every, every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// What a watch that cannot begin is told, in a frame.
fn refused(error: StoreError, after: u64) -> Status {
    match error {
        StoreError::Compacted { oldest } => Status::too_old_resource_version(after, oldest),
        other => objects::store_failure(other),
    }
}

fn error_frame(status: &Status) -> Bytes {
    Bytes::from(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.to_json()))
}

impl Session {
    /// Queues the next object that was there, or the bookmark that ends them; false when all that is done.
    fn begin(&mut self) -> bool {
        if let Some(entry) = self.initial.by_ref().find(|entry| self.selection.matches(entry)) {
            match self.view.bytes(&entry.value, std::mem::take(&mut self.columns)) {
                Ok(bytes) => self.push("ADDED", bytes),
                Err(status) => self.fail(&status),
            }
            return true;
        }
        if let Some(revision) = self.end_of_initial.take() {
            self.push_bookmark(revision, true);
            return true;
        }
        false
    }

    /// The next piece of the body; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            if !self.begin() {
                self.wait().await;
            }
        }
    }

    /// Waits for whatever comes first and queues its frames.
    async fn wait(&mut self) {
        let tick = async {
            match &mut self.bookmarks {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        // In this order: a bookmark may only be sent when no change is waiting.
        tokio::select! {
            biased;
            () = self.core.shutdown.cancelled() => self.ended = true,
            () = &mut self.deadline => self.ended = true,
            change = self.changes.next() => self.change(change),
            _ = tick => self.tick().await,
        }
    }

    fn change(&mut self, change: Option<Result<Arc<Event>, StoreError>>) {
        match change {
            Some(Ok(event)) => {
                // Ages in tables are counted from the moment they are shown.
                self.view.now = kelson_process::now();
                if let Err(status) = self.frame(&event) {
                    self.fail(&status);
                }
            }
            Some(Err(StoreError::Compacted { oldest })) => {
                self.fail(&Status::too_old_resource_version(0, oldest))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, kind = self.view.kind.kind, "a watch ended early");
                self.ended = true;
            }
            None => self.ended = true,
        }
    }

    fn fail(&mut self, status: &Status) {
        self.frames.push_back(error_frame(status));
        self.ended = true;
    }

    /// Queues an event as the selection sees it: entering it is ADDED, leaving it DELETED.
    fn frame(&mut self, event: &Event) -> Result<(), Status> {
        let before = event.previous.as_ref().is_some_and(|previous| self.selection.matches(previous));
        let after = event.kind != EventKind::Deleted && self.selection.matches(&event.entry);
        let (kind, bytes) = match (before, after) {
            (false, false) => return Ok(()),
            (false, true) => ("ADDED", self.shown(event)?),
            (true, true) => ("MODIFIED", self.shown(event)?),
            (true, false) if event.kind == EventKind::Deleted => ("DELETED", self.shown(event)?),
            (true, false) => ("DELETED", self.left(event)?),
        };
        self.push(kind, bytes);
        Ok(())
    }

    fn shown(&mut self, event: &Event) -> Result<Bytes, Status> {
        self.view.bytes(&event.entry.value, std::mem::take(&mut self.columns))
    }

    /// An object that left the selection: as it last was in it, at the revision of the change.
    fn left(&mut self, event: &Event) -> Result<Bytes, Status> {
        let previous = event.previous.as_ref().unwrap_or(&event.entry);
        let object = objects::decode(previous)?;
        let stored = Encoded::new(&object).at(event.revision);
        self.view.bytes(&stored, std::mem::take(&mut self.columns))
    }

    fn push(&mut self, kind: &'static str, object: Bytes) {
        let head: &'static [u8] = match kind {
            "ADDED" => b"{\"type\":\"ADDED\",\"object\":",
            "MODIFIED" => b"{\"type\":\"MODIFIED\",\"object\":",
            "DELETED" => b"{\"type\":\"DELETED\",\"object\":",
            _ => b"{\"type\":\"BOOKMARK\",\"object\":",
        };
        self.frames.extend([Bytes::from_static(head), object, Bytes::from_static(b"}\n")]);
    }

    /// A bookmark at what the store had before we found that no change is waiting.
    async fn tick(&mut self) {
        let revision = self.core.store.revision();
        let waiting = tokio::task::unconstrained(self.changes.next());
        match futures_util::FutureExt::now_or_never(waiting) {
            Some(change) => self.change(change),
            None => self.push_bookmark(revision, false),
        }
    }

    fn push_bookmark(&mut self, revision: u64, initial_events_end: bool) {
        self.push("BOOKMARK", self.view.bookmark(revision, initial_events_end));
    }
}
