//! Short words for looking into decoded JSON: a missing value is the empty one, as it is for Go's types.
//!
//! Invariant: none of these panics on any JSON; mutating ones do nothing when the parent is not what they expect.

use serde_json::{Map, Value};

/// The text, or "".
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The integer, or 0.
pub fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// True only for `true`.
pub fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

/// The list's items, or none.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The list's items that are texts.
pub fn texts(value: &Value) -> Vec<&str> {
    items(value).iter().map(text).collect()
}

/// The map's entries, in key order.
pub fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// How many entries a map has.
pub fn size(value: &Value) -> usize {
    value.as_object().map(Map::len).unwrap_or_default()
}

/// Whether there is anything: not null, not "", not an empty list or map.
pub fn present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The member, if the value is an object and has it.
pub fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    value.as_object_mut()?.get_mut(name)
}

/// The member at a path of names.
pub fn at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, name| member(value, name))
}

/// The items of a list member, to change them.
pub fn items_mut<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    member(value, name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets the member when it is missing or null.
pub fn default_to(value: &mut Value, name: &str, default: impl Into<Value>) {
    if let Some(fields) = value.as_object_mut() {
        let slot = fields.entry(name).or_insert(Value::Null);
        if slot.is_null() {
            *slot = default.into();
        }
    }
}

/// Sets the member; `Null` removes it.
pub fn put(value: &mut Value, name: &str, new: impl Into<Value>) {
    let Some(fields) = value.as_object_mut() else { return };
    match new.into() {
        Value::Null => _ = fields.remove(name),
        new => _ = fields.insert(name.to_owned(), new),
    }
}

/// Removes the member.
pub fn cut(value: &mut Value, name: &str) -> Option<Value> {
    value.as_object_mut()?.remove(name)
}

/// The member as an object, made empty if it is missing.
pub fn object<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let fields = value.as_object_mut().expect("made an object just above");
    let slot = fields.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot
}

/// The first that is present; the second if the first is not.
pub fn or<'a>(first: &'a Value, second: &'a Value) -> &'a Value {
    if present(first) { first } else { second }
}
