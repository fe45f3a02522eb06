//! Kubernetes' protobuf encoding of request bodies, to the same JSON that the JSON encoding would have been.
//!
//! kubectl sends it where it makes objects of types it was built with (`kubectl create deployment`). Every byte is
//! untrusted: nesting is bounded, lengths are checked against what is there, fields not in [`SCHEMA`] are skipped. Only
//! requests: answers are JSON, which the same clients accept.

mod schema;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kelson_machinery::{Object, meta, time};
use serde_json::{Map, Value, json};

use schema::{Field, Message, Type, find};
use wire::{Fields, Wire};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Messages within messages, at most; the deepest built-in type needs under twenty.
const DEPTH_MAX: usize = 64;

/// Why a body is not an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// It does not begin as protobuf bodies do.
    Prefix,
    /// It is of a type we have no schema of.
    Type(String),
    /// It is not well-formed; where.
    Malformed(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prefix => f.write_str(
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
            ),
            Self::Type(name) => {
                write!(f, "no protobuf schema is known for {name}; send it as application/json")
            }
            Self::Malformed(what) => write!(f, "protobuf: {what}"),
        }
    }
}

/// Decodes a body: the envelope, then the object in it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Object, Error> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(Error::Prefix)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &b""[..]);
    for field in Fields::of(envelope) {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in Fields::of(type_meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = object,
            (3, Wire::Bytes(encoding)) if !encoding.is_empty() => {
                return Err(Error::Malformed("the content is encoded"));
            }
            _ => {}
        }
    }
    let message = message_of(&api_version, &kind)?;
    let mut object = Map::new();
    fill(&mut object, message, raw, 0)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn message_of(api_version: &str, kind: &str) -> Result<&'static Message, Error> {
    let (group, version) = meta::split_api_version(api_version);
    let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) };
    let own = find(&format!("{package}.{version}.{kind}"));
    own.or_else(|| find(&format!("meta.v1.{kind}")))
        .ok_or_else(|| Error::Type(format!("{api_version} {kind}")))
}

/// Puts a message's fields into a JSON object.
fn fill(
    object: &mut Map<String, Value>,
    message: &'static Message,
    bytes: &[u8],
    depth: usize,
) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::Malformed("too many messages within messages"));
    }
    for field in Fields::of(bytes) {
        let (number, wire) = field?;
        if let Some(field) = message.fields.iter().find(|field| field.number == number) {
            put(object, field, wire, depth)?;
        }
    }
    Ok(())
}

fn put(
    object: &mut Map<String, Value>,
    field: &'static Field,
    wire: Wire<'_>,
    depth: usize,
) -> Result<(), Error> {
    let name = field.name.as_str();
    match (&field.kind, wire) {
        (Type::Message(held), Wire::Bytes(bytes)) if name == "<" => {
            fill(object, known(held)?, bytes, depth + 1)?
        }
        (Type::List(of), Wire::Bytes(bytes)) if matches!(**of, Type::Int) => {
            let numbers = wire::packed(bytes)?.into_iter().map(Value::from);
            list_of(object, name).extend(numbers);
        }
        (Type::List(of), wire) => {
            let value = value(of, wire, depth)?;
            list_of(object, name).push(value);
        }
        (Type::Map(of), Wire::Bytes(entry)) => {
            let (key, value) = map_entry(of, entry, depth)?;
            let map = object.entry(name).or_insert_with(|| json!({}));
            meta::map_of(map).insert(key, value);
        }
        (Type::Present(of), wire) => drop(object.insert(name.into(), value(of, wire, depth)?)),
        // A message that comes twice is one: the later part adds to the earlier.
        (Type::Message(held), Wire::Bytes(bytes)) => {
            let inner = object.entry(name).or_insert_with(|| json!({}));
            fill(meta::map_of(inner), known(held)?, bytes, depth + 1)?;
        }
        (plain, wire) => {
            let value = value(plain, wire, depth)?;
            match is_zero(&value) {
                true => drop(object.remove(name)),
                false => drop(object.insert(name.into(), value)),
            }
        }
    }
    Ok(())
}

fn list_of<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    list.as_array_mut().expect("made a list just above")
}

/// What JSON leaves out unless the field may be absent.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn map_entry(of: &'static Type, bytes: &[u8], depth: usize) -> Result<(String, Value), Error> {
    let (mut key, mut found) = (String::new(), None);
    for field in Fields::of(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => key = utf8(text)?,
            (2, wire) => found = Some(value(of, wire, depth)?),
            _ => {}
        }
    }
    let absent = || match of {
        Type::Int => json!(0),
        Type::Bool => json!(false),
        Type::Text | Type::Bytes => json!(""),
        _ => json!({}),
    };
    Ok((key, found.unwrap_or_else(absent)))
}

fn value(of: &'static Type, wire: Wire<'_>, depth: usize) -> Result<Value, Error> {
    Ok(match (of, wire) {
        (Type::Int, Wire::Varint(number)) => Value::from(number.cast_signed()),
        (Type::Bool, Wire::Varint(number)) => Value::Bool(number != 0),
        (Type::Double, Wire::Fixed64(bits)) => Value::from(f64::from_bits(bits)),
        (Type::Text, Wire::Bytes(bytes)) => utf8(bytes)?.into(),
        (Type::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Type::Time, Wire::Bytes(bytes)) => instant(bytes, false)?,
        (Type::MicroTime, Wire::Bytes(bytes)) => instant(bytes, true)?,
        (Type::Duration, Wire::Bytes(bytes)) => duration(bytes)?,
        (Type::Quantity, Wire::Bytes(bytes)) => text_at(bytes, 1)?.into(),
        (Type::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Type::Raw, Wire::Bytes(bytes)) => raw(bytes)?,
        (Type::Items(of), Wire::Bytes(bytes)) => items(of, bytes, depth)?,
        (Type::Present(of), wire) => value(of, wire, depth)?,
        (Type::Message(name), Wire::Bytes(bytes)) => {
            let mut inner = Map::new();
            fill(&mut inner, known(name)?, bytes, depth + 1)?;
            Value::Object(inner)
        }
        _ => return Err(Error::Malformed("a field has another wire type than its own")),
    })
}

fn known(name: &str) -> Result<&'static Message, Error> {
    find(name).ok_or_else(|| Error::Type(name.to_owned()))
}

fn utf8(bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Malformed("a text is not UTF-8"))
}

fn text_at(bytes: &[u8], wanted: u32) -> Result<String, Error> {
    let mut text = String::new();
    for field in Fields::of(bytes) {
        if let (number, Wire::Bytes(bytes)) = field?
            && number == wanted
        {
            text = utf8(bytes)?;
        }
    }
    Ok(text)
}

fn numbers(bytes: &[u8]) -> Result<[i64; 2], Error> {
    let mut numbers = [0; 2];
    for field in Fields::of(bytes) {
        if let (at @ (1 | 2), Wire::Varint(number)) = field? {
            numbers[at as usize - 1] = number.cast_signed();
        }
    }
    Ok(numbers)
}

/// Seconds and nanoseconds since 1970; nothing at all is no time.
fn instant(bytes: &[u8], micros: bool) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let [seconds, nanos] = numbers(bytes)?;
    let nanos = i32::try_from(nanos).map_err(|_| Error::Malformed("a time is out of range"))?;
    let at = jiff::Timestamp::new(seconds, nanos).map_err(|_| Error::Malformed("a time is out of range"))?;
    Ok(if micros { time::micros(at) } else { time::seconds(at) }.into())
}

/// Nanoseconds, as the text Go prints for whole seconds; finer ones keep a fraction.
fn duration(bytes: &[u8]) -> Result<Value, Error> {
    let [nanos, _] = numbers(bytes)?;
    let (seconds, rest) = (nanos / 1_000_000_000, (nanos % 1_000_000_000).abs());
    let text = match rest {
        0 => format!("{seconds}s"),
        rest => format!("{seconds}.{rest:09}").trim_end_matches('0').to_owned() + "s",
    };
    Ok(text.into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Error> {
    let [kind, number] = numbers(bytes)?;
    Ok(if kind == 1 { text_at(bytes, 3)?.into() } else { number.into() })
}

fn raw(bytes: &[u8]) -> Result<Value, Error> {
    let text = text_at(bytes, 1)?;
    match text.as_str() {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text).map_err(|_| Error::Malformed("an embedded object is not JSON")),
    }
}

fn items(of: &'static Type, bytes: &[u8], depth: usize) -> Result<Value, Error> {
    let mut list = Vec::new();
    for field in Fields::of(bytes) {
        if let (1, wire) = field? {
            list.push(value(of, wire, depth)?);
        }
    }
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests;
