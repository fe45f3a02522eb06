//! How Go's JSON decoder names values and types. Only for messages; nothing is decided by it.

use serde_json::Value;

/// What Go's decoder calls a JSON value in its messages.
pub fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A Rust type as Go names it: `Vec<…::core::v1::container::Container>` is `[]v1.Container`. Only for messages.
pub fn go_type(rust: &str) -> String {
    let inside = |prefix: &str| rust.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = inside("core::option::Option<").or_else(|| inside("alloc::boxed::Box<")) {
        return go_type(inner);
    }
    if let Some(inner) = inside("alloc::vec::Vec<") {
        return format!("[]{}", go_type(inner));
    }
    if let Some((key, value)) =
        inside("alloc::collections::btree::map::BTreeMap<").and_then(|inner| inner.split_once(", "))
    {
        return format!("map[{}]{}", go_type(key), go_type(value));
    }
    go_name(rust)
}

fn go_name(rust: &str) -> String {
    match rust {
        "alloc::string::String" => return "string".to_owned(),
        "i32" => return "int32".to_owned(),
        "i64" => return "int64".to_owned(),
        "f64" => return "float64".to_owned(),
        "k8s_openapi::ByteString" | "k8s_openapi::byte_string::ByteString" => return "[]uint8".to_owned(),
        _ => {}
    }
    let mut parts = rust.rsplit("::");
    let name = parts.next().unwrap_or(rust);
    let _module = parts.next();
    match parts.next() {
        Some(package) => format!("{package}.{name}"),
        None => name.to_owned(),
    }
}
