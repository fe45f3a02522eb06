//! How a stored object is shown: as it is, in an older version, as metadata alone, or as a row of a table (spec I2, I3).
//!
//! Invariant: whole objects of today's version in JSON are sent as the store has them, never parsed. Never reads the
//! store.

use bytes::Bytes;
use jiff::Timestamp;
use kelson_machinery::status::Status;
use kelson_machinery::table::{ColumnDefinition, Include, Row, Table, partial_metadata};
use kelson_machinery::{Object, meta};
use kelson_registry::{Column, Kind, OlderVersion};
use kelson_store::Entry;
use serde_json::{Value, json};

use crate::negotiate::{Encoding, MetaVersion, Shape};
use crate::objects;
use crate::response;
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

    /// Whether stored bytes are what the client gets.
    pub fn is_raw(&self) -> bool {
        self.older.is_none() && self.shape == Shape::Whole && self.encoding == Encoding::Json
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

    /// One object as this view shows it, in the answer to a get or as the object of a watch event.
    pub fn one(&self, object: Object, columns: bool) -> Value {
        match self.shape {
            Shape::Whole => self.converted(object),
            Shape::Metadata(version) => typed(partial_metadata(&object), version),
            Shape::Table(version) => {
                let resource_version = meta::resource_version(&object).to_string();
                let rows = vec![self.row(object)];
                self.table(version, Table { resource_version, rows, ..Table::default() }, columns)
            }
        }
    }

    /// A stored object as this view shows it; the stored bytes themselves where possible.
    pub fn bytes(&self, stored: &Bytes, columns: bool) -> Result<Bytes, Status> {
        if self.is_raw() {
            return Ok(stored.clone());
        }
        let object = objects::parse(stored)?;
        Ok(response::to_bytes(&self.one(object, columns)))
    }

    /// A bookmark's object: nothing but a resource version (and annotations).
    pub fn bookmark(&self, revision: u64, initial_events_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        match self.shape {
            Shape::Whole => {
                json!({"kind": self.kind.kind, "apiVersion": self.api_version(), "metadata": metadata})
            }
            Shape::Metadata(version) => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata})
            }
            Shape::Table(version) => {
                let mut table = self.table(version, Table::default(), false);
                table["metadata"] = metadata;
                table
            }
        }
    }

    fn row(&self, object: Object) -> Row {
        let cells = (self.kind.cells)(&object, self.now);
        let object = match self.include {
            Include::Object => Some(self.converted(object)),
            include => include.of(&object),
        };
        Row { cells, object }
    }

    fn table(&self, version: MetaVersion, mut table: Table, columns: bool) -> Value {
        if columns {
            let own = self.older.and_then(|older| older.columns).unwrap_or(self.kind.columns);
            table.columns = own.iter().map(definition).collect();
        }
        typed(table.to_json(), version)
    }

    /// The list of these entries.
    pub fn list(&self, page: &Page) -> Result<Value, Status> {
        let objects =
            page.entries.iter().map(|entry| objects::decode(entry)).collect::<Result<Vec<_>, _>>()?;
        let list = |kind: &str, api_version: &str, items: Vec<Value>| json!({"kind": kind, "apiVersion": api_version, "metadata": page.metadata(), "items": items});
        Ok(match self.shape {
            Shape::Whole => {
                let items = objects.into_iter().map(|object| self.converted(object)).collect();
                list(&format!("{}List", self.kind.kind), &self.api_version(), items)
            }
            Shape::Metadata(version) => {
                let items = objects.iter().map(|object| typed(partial_metadata(object), version)).collect();
                list("PartialObjectMetadataList", version.api_version(), items)
            }
            Shape::Table(version) => {
                let rows = objects.into_iter().map(|object| self.row(object)).collect();
                let mut table = self.table(version, Table { rows, ..Table::default() }, true);
                table["metadata"] = page.metadata();
                table
            }
        })
    }
}

/// One page of a list.
pub(crate) struct Page {
    pub entries: Vec<std::sync::Arc<Entry>>,
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

fn typed(mut object: Value, version: MetaVersion) -> Value {
    object["apiVersion"] = version.api_version().into();
    object
}

fn definition(column: &Column) -> ColumnDefinition {
    ColumnDefinition {
        name: column.name.to_owned(),
        r#type: column.r#type.to_owned(),
        format: column.format.to_owned(),
        description: column.description.to_owned(),
        priority: column.priority,
    }
}
