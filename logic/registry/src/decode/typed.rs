//! A serde deserializer over `serde_json::Value` that reads as Go's JSON decoder does: null is the zero value, empty
//! lists and maps of optional fields are absent, and an error names the Go type and the path.
//!
//! Invariant: visits each value once, at most `DEPTH_MAX` deep. It decides nothing about values but their types.

use super::absent::is_absent;
use super::go::{go_type, json_name};
use super::{DEPTH_MAX, UNKNOWN_MAX};
use kelson_machinery::quantity;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// The text after `cannot be handled as a X: `.
#[derive(Debug)]
pub struct Cause(pub String);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

impl de::Error for Cause {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Cause(message.to_string())
    }
}

/// Reads a `T`; also the paths of the fields `T` does not have.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<(T, Vec<String>), Cause> {
    let unknown = RefCell::new(Vec::new());
    let place = Place { parent: None, step: Step::Root, owner: "", depth: 0, unknown: &unknown };
    let read = T::deserialize(Reader { value, place: &place })?;
    Ok((read, unknown.into_inner()))
}

/// Where in the document the reader stands.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// Name of the innermost struct around this value.
    owner: &'a str,
    depth: usize,
    unknown: &'a RefCell<Vec<String>>,
}

enum Step<'a> {
    Root,
    Field(&'a str),
    /// An entry of a map: Go's messages do not name it.
    Key(&'a str),
    Index(usize),
}

impl Place<'_> {
    /// Field names joined by dots, as Go's decoder names a place; list indices are not part of it.
    fn go_path(&self) -> String {
        let mut path = self.parent.map(Place::go_path).unwrap_or_default();
        if let Step::Field(name) = self.step {
            push_name(&mut path, name);
        }
        path
    }

    /// As strict decoding names a place: with list indices.
    fn strict_path(&self) -> String {
        let mut path = self.parent.map(Place::strict_path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Field(name) | Step::Key(name) => push_name(&mut path, name),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
        path
    }

    /// The field's name, if this is the value of a field.
    fn field(&self) -> &str {
        match self.step {
            Step::Field(name) => name,
            _ => "",
        }
    }

    fn remember_unknown(&self, name: &str) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() < UNKNOWN_MAX {
            let mut path = self.strict_path();
            push_name(&mut path, name);
            unknown.push(path);
        }
    }

    fn mismatch(&self, value: &str, go: &str) -> Cause {
        let path = self.go_path();
        if path.is_empty() {
            return Cause(format!("json: cannot unmarshal {value} into Go value of type {go}"));
        }
        Cause(format!(
            "json: cannot unmarshal {value} into Go struct field {}.{path} of type {go}",
            self.owner
        ))
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[derive(Clone, Copy)]
struct Reader<'a, 'p> {
    value: &'a Value,
    place: &'p Place<'p>,
}

impl<'a, 'p> Reader<'a, 'p> {
    fn mismatch<V>(&self, go: &str) -> Result<V, Cause> {
        let value = match self.value {
            // Go shows the number only where its size may be the trouble.
            Value::Number(number) if go.starts_with("int") || go.starts_with("uint") => {
                format!("number {number}")
            }
            other => json_name(other).to_owned(),
        };
        Err(self.place.mismatch(&value, go))
    }

    fn integer<V>(
        &self,
        min: i64,
        max: i64,
        go: &str,
        visit: impl FnOnce(i64) -> Result<V, Cause>,
    ) -> Result<V, Cause> {
        match self.value.as_i64().or(self.value.is_null().then_some(0)) {
            Some(number) if (min..=max).contains(&number) => visit(number),
            _ => self.mismatch(go),
        }
    }

    fn text<V>(&self, visit: impl FnOnce(&'a str) -> Result<V, Cause>) -> Result<V, Cause> {
        match self.value {
            Value::String(text) => visit(text),
            Value::Null => visit(""),
            _ => self.mismatch("string"),
        }
    }

    fn deeper(&self) -> Result<usize, Cause> {
        match self.place.depth < DEPTH_MAX {
            true => Ok(self.place.depth + 1),
            false => Err(Cause("json: exceeded max depth".to_owned())),
        }
    }

    fn fields<V: Visitor<'a>>(
        self,
        owner: &'p str,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Cause> {
        let depth = self.deeper()?;
        let fields = match self.value {
            Value::Object(fields) => Some(fields),
            Value::Null => None,
            _ => return self.mismatch(&go_type(std::any::type_name::<V::Value>())),
        };
        let walk = Fields {
            entries: fields.into_iter().flatten(),
            pending: None,
            place: self.place,
            owner,
            known,
            depth,
        };
        visitor.visit_map(walk)
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty, $go:literal;)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
            let (min, max) = (i64::from(<$type>::MIN), i64::try_from(<$type>::MAX).unwrap_or(i64::MAX));
            self.integer(min, max, $go, |number| visitor.$visit(<$type>::try_from(number).unwrap_or_default()))
        }
    )*};
}

impl<'a> de::Deserializer<'a> for Reader<'a, '_> {
    type Error = Cause;

    integers! {
        deserialize_i8 visit_i8 i8, "int8";
        deserialize_i16 visit_i16 i16, "int16";
        deserialize_i32 visit_i32 i32, "int32";
        deserialize_i64 visit_i64 i64, "int64";
        deserialize_u8 visit_u8 u8, "uint8";
        deserialize_u16 visit_u16 u16, "uint16";
        deserialize_u32 visit_u32 u32, "uint32";
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Number(_) => self.deserialize_number(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.fields(self.place.owner, None, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null => visitor.visit_bool(false),
            _ => self.mismatch("bool"),
        }
    }

    fn deserialize_u64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        self.integer(0, i64::MAX, "uint64", |number| visitor.visit_u64(number.unsigned_abs()))
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        match self.value.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => self.mismatch("float64"),
        }
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        let place = self.place;
        let bytes = std::any::type_name::<V::Value>().ends_with("ByteString");
        self.text(|text| visitor.visit_borrowed_str(text)).map_err(|cause| match bytes {
            true if !cause.0.starts_with("json:") => Cause(illegal_base64(text_of(self.value))),
            true => place.mismatch(json_name(self.value), "[]uint8"),
            false => cause,
        })
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        let rust = std::any::type_name::<V::Value>();
        // Byte strings ask for an option themselves; an empty one is a value there.
        let absent = if rust.ends_with("ByteString") {
            self.value.is_null()
        } else {
            is_absent(self.value, self.place.owner, self.place.field(), rust)
        };
        if absent { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Cause> {
        match name {
            "Quantity" => read_quantity(&self, visitor),
            "Time" | "MicroTime" => read_time(self, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        let depth = self.deeper()?;
        let items = match self.value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            _ => return self.mismatch(&go_type(std::any::type_name::<V::Value>())),
        };
        visitor.visit_seq(Items { items: items.iter().enumerate(), place: self.place, depth })
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        self.fields(self.place.owner, None, visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cause> {
        self.fields(name, Some(fields), visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

impl<'a> Reader<'a, '_> {
    fn deserialize_number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Cause> {
        let wide = std::any::type_name::<V::Value>().ends_with("IntOrString");
        match (self.value.as_i64(), self.value.as_u64(), self.value.as_f64()) {
            (Some(number), ..) if !wide || i32::try_from(number).is_ok() => visitor.visit_i64(number),
            (_, Some(number), _) if !wide => visitor.visit_u64(number),
            (_, _, Some(number)) if !wide => visitor.visit_f64(number),
            _ => self.mismatch("int32"),
        }
    }
}

/// Quantities are numbers or text in JSON; canonical text comes out.
fn read_quantity<'a, V: Visitor<'a>>(reader: &Reader<'a, '_>, visitor: V) -> Result<V::Value, Cause> {
    let text = match reader.value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => "0".to_owned(),
        _ => return Err(Cause(NOT_A_QUANTITY.to_owned())),
    };
    match quantity::Quantity::parse(text.trim()) {
        Ok(parsed) => visitor.visit_newtype_struct(parsed.to_string().into_deserializer()),
        Err(_) => Err(Cause(NOT_A_QUANTITY.to_owned())),
    }
}

const NOT_A_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

fn read_time<'a, V: Visitor<'a>>(reader: Reader<'a, '_>, visitor: V) -> Result<V::Value, Cause> {
    let Value::String(text) = reader.value else { return reader.mismatch("string") };
    let failed = |_| {
        Cause(format!(
            "parsing time \"\\\"{text}\\\"\" as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": cannot parse \"{text}\" as \"2006\""
        ))
    };
    visitor.visit_newtype_struct(BorrowedStrDeserializer::<Cause>::new(text)).map_err(failed)
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Go's message for broken base64: the offset of the first byte that cannot be.
fn illegal_base64(text: &str) -> String {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let offset = text.bytes().position(|byte| !valid(&byte)).unwrap_or(text.len() / 4 * 4);
    format!("illegal base64 data at input byte {offset}")
}

struct Items<'a, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    place: &'p Place<'p>,
    depth: usize,
}

impl<'a> SeqAccess<'a> for Items<'a, '_> {
    type Error = Cause;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Cause> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        let Place { owner, unknown, .. } = self.place;
        let place =
            Place { parent: Some(self.place), step: Step::Index(index), owner, depth: self.depth, unknown };
        read_seed(seed, value, &place).map(Some)
    }
}

struct Fields<'a, 'p> {
    entries: std::iter::Flatten<std::option::IntoIter<&'a Map<String, Value>>>,
    pending: Option<(&'a str, &'a Value)>,
    place: &'p Place<'p>,
    owner: &'p str,
    known: Option<&'static [&'static str]>,
    depth: usize,
}

impl<'a> MapAccess<'a> for Fields<'a, '_> {
    type Error = Cause;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Cause> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.pending = Some((key, value));
        if self.known.is_some_and(|known| !known.contains(&key.as_str())) {
            self.place.remember_unknown(key);
        }
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Cause> {
        let (key, value) =
            self.pending.take().ok_or_else(|| Cause("json: value without a key".to_owned()))?;
        let place = Place {
            parent: Some(self.place),
            step: if self.known.is_some() { Step::Field(key) } else { Step::Key(key) },
            owner: self.owner,
            depth: self.depth,
            unknown: self.place.unknown,
        };
        read_seed(seed, value, &place)
    }
}

/// The place lives on this frame while the value below it, which outlives it, is read.
fn read_seed<'a, T: DeserializeSeed<'a>>(
    seed: T,
    value: &'a Value,
    place: &Place<'_>,
) -> Result<T::Value, Cause> {
    seed.deserialize(Reader { value, place })
}
