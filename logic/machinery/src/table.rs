//! Printed tables: what `kubectl get` shows, as `meta.k8s.io/v1` Table.
//!
//! Rows carry what the client asked for: the whole object, its metadata only, or nothing.

use serde_json::{Map, Value, json};

use crate::Object;

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// The heading, in mixed case.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub r#type: String,
    /// `name` on the column that is the object's name; otherwise mostly empty.
    pub format: String,
    /// For people.
    pub description: String,
    /// 0 is always shown, higher only with `-o wide`.
    pub priority: i32,
}

/// One object's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// One JSON value a column.
    pub cells: Vec<Value>,
    /// The object as the client wants it; `None` for `includeObject=None`.
    pub object: Option<Object>,
}

/// How much of the object a row carries (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`, the default.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Parses the query parameter; empty is the default, anything unknown `None`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }

    /// What goes into the row.
    pub fn of(self, object: &Object) -> Option<Object> {
        match self {
            Self::None => None,
            Self::Metadata => Some(partial_metadata(object)),
            Self::Object => Some(object.clone()),
        }
    }
}

/// The object's metadata as a `PartialObjectMetadata`.
pub fn partial_metadata(object: &Object) -> Object {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The list's resource version.
    pub resource_version: String,
    /// Where the next page starts; empty on the last.
    pub continue_token: String,
    /// How many objects come after this page.
    pub remaining: Option<u64>,
    /// The columns; empty (left out) on all but the first event of a watch.
    pub columns: Vec<ColumnDefinition>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// The API object.
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        let columns = match self.columns.is_empty() {
            true => Value::Null,
            false => self.columns.iter().map(ColumnDefinition::to_json).collect(),
        };
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": self.metadata(),
            "columnDefinitions": columns, "rows": rows})
    }

    fn metadata(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), self.resource_version.as_str().into());
        if !self.continue_token.is_empty() {
            metadata.insert("continue".to_owned(), self.continue_token.as_str().into());
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".to_owned(), remaining.into());
        }
        Value::Object(metadata)
    }
}

impl ColumnDefinition {
    fn to_json(&self) -> Value {
        json!({"name": self.name, "type": self.r#type, "format": self.format, "description": self.description,
            "priority": self.priority})
    }
}

impl Row {
    fn to_json(&self) -> Value {
        let object = self.object.clone().unwrap_or(Value::Null);
        json!({"cells": self.cells, "object": object})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_upstreams_shape() {
        let column = ColumnDefinition {
            name: "Name".to_owned(),
            r#type: "string".to_owned(),
            format: "name".to_owned(),
            description: "d".to_owned(),
            priority: 0,
        };
        let pod = json!({"kind": "Pod", "metadata": {"name": "a"}, "spec": {}});
        let row = Row { cells: vec!["a".into()], object: Include::Metadata.of(&pod) };
        let table = Table {
            resource_version: "7".to_owned(),
            columns: vec![column],
            rows: vec![row],
            ..Table::default()
        };
        let expected = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "7"},
            "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "description": "d", "priority": 0}],
            "rows": [{"cells": ["a"], "object":
                {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}}}]});
        assert_eq!(table.to_json(), expected);
    }

    #[test]
    fn include_object_is_one_of_three() {
        let pod = json!({"metadata": {"name": "a"}, "spec": 1});
        assert_eq!(Include::parse("None").unwrap().of(&pod), None);
        assert_eq!(Include::parse("Object").unwrap().of(&pod), Some(pod.clone()));
        assert_eq!(Include::parse(""), Some(Include::Metadata));
        assert_eq!(Include::parse("Everything"), None);
    }
}
