//! Printed tables: what `kubectl get` shows, as the text of a `meta.k8s.io` Table, row after row.
//!
//! Rows carry what the client asked for: the whole object, its metadata only, or nothing. What stands ready as text goes
//! in as it is; nothing here is read or copied twice.

use serde_json::{Value, json};

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition<'a> {
    /// The heading, in mixed case.
    pub name: &'a str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub r#type: &'a str,
    /// `name` on the column that is the object's name; otherwise mostly empty.
    pub format: &'a str,
    /// For people.
    pub description: &'a str,
    /// 0 is always shown, higher only with `-o wide`.
    pub priority: i32,
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
}

/// What a row carries of its object, as JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// Nothing.
    Nothing,
    /// The object's metadata, of which a `PartialObjectMetadata` is made.
    Metadata(&'a str),
    /// The object.
    Object(&'a [u8]),
}

/// What stands after the last row.
pub const END: &[u8] = b"]}";

/// The beginning of a table, up to its first row. `columns` are empty on all but the first event of a watch.
pub fn begin(api_version: &str, metadata: &Value, columns: &[ColumnDefinition]) -> Vec<u8> {
    let columns = match columns.is_empty() {
        true => Value::Null,
        false => columns.iter().map(|column| column.to_json()).collect(),
    };
    let begin = format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"columnDefinitions\":{columns},\"rows\":["
    );
    begin.into_bytes()
}

/// Appends a row; the caller writes the commas between rows.
pub fn row(out: &mut Vec<u8>, cells: &[Value], object: Carried) {
    out.extend_from_slice(b"{\"cells\":");
    serde_json::to_writer(&mut *out, cells).expect("JSON values always have a text");
    out.extend_from_slice(b",\"object\":");
    match object {
        Carried::Nothing => out.extend_from_slice(b"null"),
        Carried::Metadata(text) => partial_metadata(out, "meta.k8s.io/v1", text),
        Carried::Object(text) => out.extend_from_slice(text),
    }
    out.push(b'}');
}

/// Appends a `PartialObjectMetadata` of an object's metadata, which is JSON text.
pub fn partial_metadata(out: &mut Vec<u8>, api_version: &str, metadata: &str) {
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    out.extend_from_slice(api_version.as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(metadata.as_bytes());
    out.push(b'}');
}

impl ColumnDefinition<'_> {
    fn to_json(self) -> Value {
        json!({"name": self.name, "type": self.r#type, "format": self.format, "description": self.description,
            "priority": self.priority})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(columns: &[ColumnDefinition], carried: Carried, columns_as: Value, object_as: Value) {
        let mut text = begin("meta.k8s.io/v1beta1", &json!({"resourceVersion": "7"}), columns);
        row(&mut text, &["a".into(), 1.into()], carried);
        text.extend_from_slice(END);
        let expected = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1beta1", "metadata": {"resourceVersion": "7"},
            "columnDefinitions": columns_as, "rows": [{"cells": ["a", 1], "object": object_as}]});
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_table_has_upstreams_shape() {
        let column = ColumnDefinition {
            name: "Name",
            r#type: "string",
            format: "name",
            description: "d",
            priority: 0,
        };
        let columns_as =
            json!([{"name": "Name", "type": "string", "format": "name", "description": "d", "priority": 0}]);
        let object_as = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}});
        check(&[column], Carried::Metadata("{\"name\":\"a\"}"), columns_as, object_as);
        check(&[], Carried::Nothing, Value::Null, Value::Null);
        check(&[], Carried::Object(b"{\"kind\":\"Pod\"}"), Value::Null, json!({"kind": "Pod"}));
    }

    #[test]
    fn include_object_is_one_of_three() {
        let check = |text: &str, expected: Option<Include>| assert_eq!(Include::parse(text), expected);
        check("None", Some(Include::None));
        check("Object", Some(Include::Object));
        check("", Some(Include::Metadata));
        check("Everything", None);
    }
}
