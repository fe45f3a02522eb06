//! Reflection: one collection of the API as a stream of changes that never ends.
//!
//! First on every way from the API to a decision. A list (in pages) gives a `Reset`, a watch with bookmarks
//! the `Applied` and `Deleted` after it; a version that is too old is listed anew. Invariant: whoever folds
//! the changes in order holds what the API held at some moment, and each moment is later than the last.
//! An object that cannot be decoded is logged and left out; it never stops the stream. Objects come without their
//! managed fields. It never asks faster than its back-off allows, keeps no copy of the objects, and writes nothing.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use kube::api::{ListParams, WatchParams};
use kube::core::Request;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use lines::{Event, Events};
use object::{Any, Read};
use page::Page;

mod lines;
mod object;
mod page;

/// Objects asked for in one page of a list.
const PAGE: u32 = 500;
/// Seconds after which the server ends a watch, so that a connection that died unnoticed is found out.
const WATCH_SECONDS: u32 = 290;
/// How long past `WATCH_SECONDS` the server may stay silent before the connection counts as dead.
const WATCH_GRACE: Duration = Duration::from_secs(30);
/// A watch that ended sooner than this and said nothing counts as a failure: asking again waits.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// What happened to a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<K: ?Sized> {
    /// All there is, in the order listed; what was known before is void.
    Reset(Vec<Arc<K>>),
    /// The object was made or altered; this is all of it.
    Applied(Arc<K>),
    /// The object is gone; this is its last state.
    Deleted(Arc<K>),
}

/// Which objects of the collection are wanted; all of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A label selector as kubectl's `-l` takes it.
    pub labels: Option<String>,
    /// A field selector as kubectl's `--field-selector` takes it.
    pub fields: Option<String>,
}

impl Selection {
    /// The objects that a label selector chooses.
    pub fn labels(selector: impl Into<String>) -> Self {
        Self { labels: Some(selector.into()), fields: None }
    }

    /// The objects that a field selector chooses.
    pub fn fields(selector: impl Into<String>) -> Self {
        Self { labels: None, fields: Some(selector.into()) }
    }
}

/// Objects that can be reflected: every typed kind of `k8s-openapi`, and the metadata alone of any kind.
pub trait Reflected: kube::Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

impl<K> Reflected for K where K: kube::Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

/// The changes of the collection `api` stands for, beginning with a `Reset`. Never ends; dropping it stops it.
pub fn reflect<K: Reflected>(
    api: kube::Api<K>,
    selection: Selection,
) -> impl Stream<Item = Change<K>> + Send {
    reflect_versions(api, selection).map(|(change, _)| change)
}

/// As `reflect`, and with each change the resource version the watch has reached with it: what has been folded by then
/// holds every change of the collection up to there. 0 from a server whose versions are no numbers.
pub fn reflect_versions<K: Reflected>(
    api: kube::Api<K>,
    selection: Selection,
) -> impl Stream<Item = (Change<K>, u64)> + Send {
    let url = api.resource_url().to_owned();
    let metadata_only = K::metadata_api();
    let reflector = Reflector {
        client: api.into_client(),
        url,
        metadata_only,
        selection,
        read: object::read::<K>,
        state: State::Listing,
        backoff: Backoff::default(),
    };
    changes(reflector).map(|(change, version)| (change.typed(), version))
}

/// What is the same for every kind is there once: only reading an object differs.
fn changes(reflector: Reflector) -> Pin<Box<dyn Stream<Item = (Change<Any>, u64)> + Send>> {
    Box::pin(stream::unfold(reflector, |mut reflector| async move {
        let change = reflector.next().await;
        let version = reflector.state.version().parse().unwrap_or_default();
        Some(((change, version), reflector))
    }))
}

/// Where the reflector stands between two changes.
enum State {
    /// Nothing is known, or what is known is void.
    Listing,
    /// The list is known as of this version; no watch is open.
    Listed(String),
    Watching(Watching),
}

impl State {
    fn version(&self) -> &str {
        match self {
            State::Listing => "",
            State::Listed(version) => version,
            State::Watching(watching) => &watching.version,
        }
    }
}

struct Watching {
    version: String,
    events: Events,
    opened: Instant,
    heard: bool,
}

struct Reflector {
    client: kube::Client,
    url: String,
    /// Whether of each object the metadata is asked for, and nothing else.
    metadata_only: bool,
    selection: Selection,
    read: Read,
    state: State,
    backoff: Backoff,
}

impl Reflector {
    async fn next(&mut self) -> Change<Any> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Listing);
            let (state, change) = match state {
                State::Listing => self.list().await,
                State::Listed(version) => (self.watch(version).await, None),
                State::Watching(watching) => self.hear(watching).await,
            };
            self.state = state;
            if let Some(change) = change {
                return change;
            }
        }
    }

    async fn list(&mut self) -> (State, Option<Change<Any>>) {
        match self.list_pages().await {
            Ok((version, items)) => (State::Listed(version), Some(Change::Reset(items))),
            Err(error) => {
                self.failed("list", &error).await;
                (State::Listing, None)
            }
        }
    }

    async fn list_pages(&mut self) -> kube::Result<(String, Vec<Arc<Any>>)> {
        let mut params = ListParams { limit: Some(PAGE), ..ListParams::default() };
        params.label_selector.clone_from(&self.selection.labels);
        params.field_selector.clone_from(&self.selection.fields);
        let mut items = Vec::new();
        loop {
            let page = self.list_page(&params).await?;
            items.extend(page.items);
            match page.continue_token {
                Some(token) => params.continue_token = Some(token),
                None => return Ok((page.version, items)),
            }
        }
    }

    async fn list_page(&mut self, params: &ListParams) -> kube::Result<Page> {
        let request = Request::new(&self.url);
        let request = if self.metadata_only { request.list_metadata(params) } else { request.list(params) };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let text = self.client.request_text(request).await?;
        Page::read(&text, self.read, &self.url).map_err(kube::Error::SerdeError)
    }

    async fn watch(&mut self, version: String) -> State {
        let params = WatchParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            ..WatchParams::default()
        };
        match self.events(&params, &version).await {
            Ok(events) => State::Watching(Watching { version, events, opened: Instant::now(), heard: false }),
            Err(error) => self.after_error(error, version).await,
        }
    }

    async fn events(&mut self, params: &WatchParams, version: &str) -> kube::Result<Events> {
        let request = Request::new(&self.url);
        let request = match self.metadata_only {
            true => request.watch_metadata(params, version),
            false => request.watch(params, version),
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        lines::open(&self.client, request, self.read).await
    }

    /// Waits for the next event of an open watch and says where that leaves the reflector.
    async fn hear(&mut self, mut watching: Watching) -> (State, Option<Change<Any>>) {
        let deadline = watching.opened + Duration::from_secs(WATCH_SECONDS.into()) + WATCH_GRACE;
        let event = match tokio::time::timeout_at(deadline, watching.events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error @ kube::Error::SerdeError(_)))) => {
                warn!(url = self.url, %error, "an object that cannot be decoded is left out");
                return (State::Watching(watching), None);
            }
            Ok(Some(Err(error))) => return (self.after_error(error, watching.version).await, None),
            Ok(None) | Err(_) => return (self.after_end(watching).await, None),
        };
        let (version, change) = match event {
            Event::Applied(object) => (object.version, Some(Change::Applied(object.object))),
            Event::Deleted(object) => (object.version, Some(Change::Deleted(object.object))),
            Event::Bookmark(version) => (Some(version), None),
        };
        self.heard(&mut watching, version);
        (State::Watching(watching), change)
    }

    fn heard(&mut self, watching: &mut Watching, version: Option<String>) {
        watching.heard = true;
        self.backoff.succeeded();
        if let Some(version) = version {
            watching.version = version;
        }
    }

    /// The server ended the watch, as it may; only one that ended at once with nothing said is suspect.
    async fn after_end(&mut self, watching: Watching) -> State {
        if !watching.heard && watching.opened.elapsed() < SHORTEST_WATCH {
            debug!(url = self.url, "the watch ended as soon as it was open");
            tokio::time::sleep(self.backoff.next()).await;
        }
        State::Listed(watching.version)
    }

    /// A version too old, or a request refused, is listed anew; a connection that broke is opened again.
    async fn after_error(&mut self, error: kube::Error, version: String) -> State {
        let kube::Error::Api(status) = &error else {
            self.failed("watch", &error).await;
            return State::Listed(version);
        };
        if is_expired(status) {
            info!(url = self.url, version, "the watch fell too far behind; listing anew");
            self.backoff_unless_first().await;
        } else {
            self.failed("watch", &error).await;
        }
        State::Listing
    }

    /// The first relist is made at once; a server that calls every version too old is not asked in a loop.
    async fn backoff_unless_first(&mut self) {
        let first = self.backoff.is_fresh();
        let wait = self.backoff.next();
        if !first {
            tokio::time::sleep(wait).await;
        }
    }

    async fn failed(&mut self, what: &'static str, error: &kube::Error) {
        let wait = self.backoff.next();
        let url = &self.url;
        let wait_ms = wait.as_millis() as u64;
        warn!(url, error = error as &dyn std::error::Error, wait_ms, "cannot {what}; asking again");
        tokio::time::sleep(wait).await;
    }
}

fn is_expired(status: &kube::core::Status) -> bool {
    status.code == 410 || status.reason == "Expired" || status.reason == "Gone"
}

#[cfg(test)]
mod tests;
