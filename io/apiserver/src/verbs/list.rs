//! GET of a collection: pages that are all of one revision, assembled from stored bytes.
//!
//! A later page, or an exact older revision, is today's state with the changes since undone; when they are no longer
//! kept the client gets 410 and a token to go on without consistency, as upstream (spec I30). Never copies a large list
//! into one buffer.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use futures_util::stream;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_store::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history;
use crate::negotiate::Encoding;
use crate::objects;
use crate::render::{Page, Pieces, View};
use crate::request::Query;
use crate::response::{self, Reply};
use crate::selection::Selection;
use crate::state::Call;

/// Pieces of a list's body are about this large.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a continue token, at most.
const TOKEN_BYTES_MAX: usize = 4096;

/// Which state a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The newest.
    Latest,
    /// The newest, which must be at least this.
    NotOlderThan(u64),
    /// Exactly this.
    Exact(u64),
}

/// A decoded continue token.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// `meta.k8s.io/v1`.
    v: String,
    /// The revision of the first page; -1 goes on with the newest state.
    rv: i64,
    /// The last key of the page before, below the prefix.
    start: String,
}

impl Token {
    fn new(revision: i64, start: &str) -> Self {
        Self { v: "meta.k8s.io/v1".into(), rv: revision, start: start.into() }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a token always has a JSON text"))
    }

    fn decode(text: &str) -> Result<Self, Status> {
        let invalid = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        if text.len() > TOKEN_BYTES_MAX {
            return Err(invalid("it is too long"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|e| invalid(&e.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|e| invalid(&e.to_string()))?;
        if token.v != "meta.k8s.io/v1" || token.start.is_empty() {
            return Err(invalid("incorrect encoded start key (meta.k8s.io/v1)"));
        }
        Ok(token)
    }
}

/// A resource version from the query; `None` when absent.
pub(crate) fn revision_parameter(query: &Query) -> Result<Option<u64>, Status> {
    let text = query.get("resourceVersion");
    if text.is_empty() {
        return Ok(None);
    }
    let reason = match text.bytes().all(|b| b.is_ascii_digit()) {
        true => "value out of range",
        false => "invalid syntax",
    };
    let quoted = kelson_machinery::text::quote(text);
    let why =
        format!("resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: {reason}");
    text.parse().map(Some).map_err(|_| Status::bad_request(why))
}

/// What list options that do not go together are told, with upstream's 422.
pub(crate) fn invalid_options(error: FieldError) -> Status {
    Status::invalid(&GroupName::new("meta.k8s.io", "ListOptions"), "", vec![error])
}

fn at(query: &Query) -> Result<At, Status> {
    let revision = revision_parameter(query)?;
    let path = Path::new("resourceVersionMatch");
    let forbidden = |detail: &str| Err(invalid_options(FieldError::forbidden(&path, detail)));
    if !query.get("continue").is_empty() {
        if !query.get("resourceVersionMatch").is_empty() {
            return forbidden("resourceVersionMatch is forbidden when continue is provided");
        }
        return match revision {
            None | Some(0) => Ok(At::Latest),
            Some(_) => {
                Err(Status::bad_request("specifying resource version is not allowed when using continue"))
            }
        };
    }
    match (query.get("resourceVersionMatch"), revision) {
        ("", None | Some(0)) | ("NotOlderThan", Some(0)) => Ok(At::Latest),
        ("NotOlderThan", Some(revision)) => Ok(At::NotOlderThan(revision)),
        ("", Some(revision)) if query.get("limit").is_empty() => Ok(At::NotOlderThan(revision)),
        ("Exact", Some(0)) => {
            forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
        ("" | "Exact", Some(revision)) => Ok(At::Exact(revision)),
        ("NotOlderThan" | "Exact", None) => {
            forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        (other, _) => {
            Err(invalid_options(FieldError::not_supported(&path, other, ["", "Exact", "NotOlderThan"])))
        }
    }
}

/// The prefix a selection can be found under: narrower when it names a namespace or an object.
pub(crate) fn prefix(call: &Call, selection: &Selection) -> String {
    let namespace = call.path.namespace.as_deref().or(selection.namespace());
    let mut prefix = objects::prefix(call.kind, namespace.filter(|namespace| !namespace.contains('/')));
    if let Some(name) = selection.name().filter(|_| namespace.is_some() || !call.kind.namespaced) {
        prefix.push_str(name);
    }
    prefix
}

/// The page a call asks for.
pub(crate) async fn page(call: &Call, selection: &Selection) -> Result<Page, Status> {
    let limit = call.query.number("limit").map_err(Status::bad_request)?.unwrap_or(0);
    let limit = usize::try_from(limit)
        .map_err(|_| Status::bad_request("limit must be greater than or equal to 0"))?;
    let mut at = at(&call.query)?;
    let prefix = prefix(call, selection);
    let mut after = None;
    if let Some(text) = Some(call.query.get("continue")).filter(|text| !text.is_empty()) {
        let token = Token::decode(text)?;
        at = u64::try_from(token.rv).map_or(At::Latest, At::Exact);
        after = Some(format!("{prefix}{}", token.start));
    }
    // One more than the page, to tell whether there is another.
    let most = match limit {
        0 => usize::MAX,
        _ if !selection.is_everything() => usize::MAX,
        limit => limit.saturating_add(1),
    };
    let state = history::list(&*call.core.store, &prefix, after.as_deref(), at, most).await?;
    Ok(cut(selection, &prefix, state, limit))
}

/// The 410 of a page whose revision is no longer kept, with a token to go on regardless.
fn inconsistent(query: &Query) -> Value {
    let token = Token::decode(query.get("continue")).map(|token| Token::new(-1, &token.start).encode());
    let mut status = Status::expired(INCONSISTENT).to_json();
    status["metadata"]["continue"] = token.unwrap_or_default().into();
    status
}

/// Upstream's text for a token whose revision is gone.
const INCONSISTENT: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter, or use the continue token in this response to retrieve the \
    remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
    created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// The first `limit` selected entries (0 is all), and where the next page starts.
fn cut(selection: &Selection, prefix: &str, state: history::State, limit: usize) -> Page {
    let total = state.entries.len() + state.remaining;
    let mut selected = state.entries.into_iter().enumerate().filter(|(_, entry)| selection.matches(entry));
    let limit = if limit == 0 { usize::MAX } else { limit };
    let chosen: Vec<(usize, Arc<Entry>)> = selected.by_ref().take(limit).collect();
    let more = chosen.len() == limit && selected.next().is_some();
    let (mut continue_token, mut remaining) = (String::new(), None);
    if let Some((index, last)) = chosen.last().filter(|_| more) {
        let start = last.key.strip_prefix(prefix).unwrap_or(&last.key);
        let revision = i64::try_from(state.revision).unwrap_or(-1);
        continue_token = Token::new(revision, start).encode();
        remaining = selection.is_everything().then(|| total - index - 1);
    }
    let entries = chosen.into_iter().map(|(_, entry)| entry).collect();
    Page { entries, revision: state.revision, continue_token, remaining }
}

/// Answers the list.
pub(crate) async fn list(call: &Call) -> Reply {
    let view = View::of(call)?;
    let selection = Selection::parse(call.kind, &call.query)?;
    let page = match page(call, &selection).await {
        Err(status) if status.code == 410 && !call.query.get("continue").is_empty() => {
            return Ok(response::object(StatusCode::GONE, view.encoding, &inconsistent(&call.query)));
        }
        other => other?,
    };
    answer(view, page)
}

/// The answer that a page is: whole if it is small or wanted in YAML, otherwise piece by piece as the client reads.
pub(crate) fn answer(view: View, page: Page) -> Reply {
    let mut pieces = Pieces::new(view, page, PIECE_BYTES);
    let first = pieces.next().transpose()?.unwrap_or_default();
    if pieces.done {
        return Ok(response::encoded(StatusCode::OK, view.encoding, first));
    }
    if view.encoding == Encoding::Yaml {
        let mut all = BytesMut::from(first);
        pieces.try_for_each(|piece| piece.map(|piece| all.extend_from_slice(&piece)))?;
        return Ok(response::encoded(StatusCode::OK, view.encoding, all.freeze()));
    }
    let body = Body::from_stream(stream::iter(std::iter::once(Ok(first)).chain(pieces)));
    Ok(response::with_type(StatusCode::OK, "application/json", body))
}
