//! How a stored object is shown: as it is, in an older version, as metadata alone, or as a row of a table (spec I2, I3).
//!
//! Invariant: what goes out as the store has it is sent from the stored bytes, never read and written again: whole objects
//! of today's version, and the metadata that rows carry. Of an object behind a row only what its cells are made of is
//! read. Never reads the store.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kelson_machinery::partial::{self, Parts};
use kelson_machinery::status::Status;
use kelson_machinery::table::{self, Carried, ColumnDefinition, Include};
use kelson_machinery::{Object, meta};
use kelson_registry::{Column, Kind, OlderVersion};
use kelson_store::Entry;
use serde_json::{Value, json};

use crate::negotiate::{Encoding, Shape};
use crate::objects;
use crate::state::Call;

/// One way of showing the objects of a kind.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub kind: &'static Kind,
    pub older: Option<&'static OlderVersion>,
    pub shape: Shape,
    pub encoding: Encoding,
    pub include: Include,
    pub now: Timestamp,
}

impl View {
    /// The view a call asks for. Refuses an unknown `includeObject`.
    pub fn of(call: &Call) -> Result<Self, Status> {
        let text = call.query.get("includeObject");
        let unknown = || Status::bad_request(format!("unrecognized includeObject value: \"{text}\""));
        let include = Include::parse(text).ok_or_else(unknown)?;
        let (shape, encoding) = (call.accept.shape, call.accept.encoding);
        Ok(Self { kind: call.kind, older: call.older, shape, encoding, include, now: call.now })
    }

    /// The version the client speaks.
    pub fn api_version(&self) -> String {
        self.older.map_or_else(|| self.kind.api_version(), OlderVersion::api_version)
    }

    /// The object in the client's version.
    pub fn converted(&self, mut object: Object) -> Object {
        if let Some(older) = self.older {
            (older.from_current)(&mut object);
            meta::set_type(&mut object, &older.api_version(), self.kind.kind);
        }
        object
    }

    /// A stored object as this view shows it, in the answer to a get or as the object of a watch event; the stored
    /// bytes themselves where possible.
    pub fn bytes(&self, stored: &Bytes, columns: bool) -> Result<Bytes, Status> {
        if self.shape == Shape::Whole && self.older.is_none() {
            return Ok(stored.clone());
        }
        let items = Items::new(*self);
        let Shape::Table(version) = self.shape else {
            let mut out = Vec::with_capacity(stored.len());
            items.push(stored, &mut out)?;
            return Ok(out.into());
        };
        let revision = partial::read(stored, &Parts::of(["metadata.resourceVersion"])).map_err(unreadable)?;
        let metadata = json!({"resourceVersion": meta::resource_version(&revision)});
        let mut out = table::begin(version.api_version(), &metadata, &self.columns(columns));
        items.push(stored, &mut out)?;
        out.extend_from_slice(table::END);
        Ok(out.into())
    }

    /// A bookmark's object: nothing but a resource version (and annotations).
    pub fn bookmark(&self, revision: u64, initial_events_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.shape {
            Shape::Whole => (self.kind.kind, self.api_version()),
            Shape::Metadata(version) => ("PartialObjectMetadata", version.api_version().to_owned()),
            Shape::Table(version) => {
                let table = table::begin(version.api_version(), &metadata, &[]);
                return [&table, table::END].concat().into();
            }
        };
        json!({"kind": kind, "apiVersion": api_version, "metadata": metadata}).to_string().into()
    }

    /// The columns, if the table is to say them.
    fn columns(&self, wanted: bool) -> Vec<ColumnDefinition<'static>> {
        let own = self.older.and_then(|older| older.columns).unwrap_or(self.kind.columns);
        own.iter().filter(|_| wanted).map(definition).collect()
    }

    /// The beginning of a list, up to its first item.
    fn begin(&self, page: &Page) -> Vec<u8> {
        let (kind, api_version) = match self.shape {
            Shape::Whole => (self.kind.kind, self.api_version()),
            Shape::Metadata(version) => ("PartialObjectMetadata", version.api_version().to_owned()),
            Shape::Table(version) => {
                return table::begin(version.api_version(), &page.metadata(), &self.columns(true));
            }
        };
        let metadata = page.metadata();
        let begin = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
        );
        begin.into_bytes()
    }
}

/// Writes the objects of a view, one after the other.
struct Items {
    view: View,
    /// What of an object its cells are made of.
    shown: Parts,
}

impl Items {
    fn new(view: View) -> Self {
        let shown = match view.shape {
            Shape::Table(_) => view.kind.shown_parts(),
            Shape::Whole | Shape::Metadata(_) => Parts::Nothing,
        };
        Self { view, shown }
    }

    /// Appends a stored object as it is shown.
    fn push(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        match self.view.shape {
            Shape::Whole => self.whole(stored, out),
            Shape::Metadata(version) => {
                let metadata = partial::metadata(stored).map_err(unreadable)?;
                table::partial_metadata(out, version.api_version(), metadata);
                Ok(())
            }
            Shape::Table(_) => self.row(stored, out),
        }
    }

    fn whole(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        if self.view.older.is_none() {
            out.extend_from_slice(stored);
            return Ok(());
        }
        let object = self.view.converted(objects::parse(stored)?);
        serde_json::to_writer(out, &object).expect("a JSON value always has a text");
        Ok(())
    }

    fn row(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let (object, metadata) = partial::read_with_metadata(stored, &self.shown).map_err(unreadable)?;
        let cells = (self.view.kind.cells)(&object, self.view.now);
        let mut whole = Vec::new();
        let carried = match self.view.include {
            Include::None => Carried::Nothing,
            Include::Metadata => Carried::Metadata(metadata),
            Include::Object => {
                self.whole(stored, &mut whole)?;
                Carried::Object(&whole)
            }
        };
        table::row(out, &cells, carried);
        Ok(())
    }
}

fn unreadable(error: serde_json::Error) -> Status {
    Status::internal(&format!("unable to decode a stored object: {error}"))
}

/// One page of a list.
pub(crate) struct Page {
    pub entries: Vec<Arc<Entry>>,
    pub revision: u64,
    /// Where the next page starts; empty on the last.
    pub continue_token: String,
    /// How many objects follow; not known under selectors.
    pub remaining: Option<usize>,
}

impl Page {
    /// `metadata` of the list.
    pub fn metadata(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if !self.continue_token.is_empty() {
            metadata["continue"] = self.continue_token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

/// The text of a page in pieces of about `piece_bytes`, each made when it is asked for. A page that cannot be shown ends
/// with an error.
pub(crate) struct Pieces {
    items: Items,
    head: Vec<u8>,
    entries: std::vec::IntoIter<Arc<Entry>>,
    piece_bytes: usize,
    is_first: bool,
    pub done: bool,
}

impl Pieces {
    /// All of `page` as `view` shows it.
    pub fn new(view: View, page: Page, piece_bytes: usize) -> Self {
        let head = view.begin(&page);
        let entries = page.entries.into_iter();
        Self { items: Items::new(view), head, entries, piece_bytes, is_first: true, done: false }
    }

    fn piece(&mut self) -> Result<Bytes, Status> {
        let mut piece = std::mem::take(&mut self.head);
        piece.reserve(self.piece_bytes);
        while piece.len() < self.piece_bytes {
            let Some(entry) = self.entries.next() else {
                self.done = true;
                piece.extend_from_slice(b"]}");
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                piece.push(b',');
            }
            self.items.push(&entry.value, &mut piece)?;
        }
        Ok(piece.into())
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let piece = self.piece();
        self.done |= piece.is_err();
        Some(piece)
    }
}

fn definition(column: &'static Column) -> ColumnDefinition<'static> {
    let Column { name, r#type, format, description, priority } = *column;
    ColumnDefinition { name, r#type, format, description, priority }
}

#[cfg(test)]
mod tests;
