//! Strict decoding: keys that appear twice, and fields no type knows.
//!
//! [`parse`] is the way every request body becomes JSON, in time linear in its length: where a key stands is put into words
//! only for an error. Bounded: nesting by serde_json's limit of 128, errors by [`ERRORS_MAX`] and [`ERROR_BYTES_MAX`].

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::text::quote;

/// How many strict errors are reported at most.
pub const ERRORS_MAX: usize = 100;
/// How many bytes the keys before a reported one may have, all reports together: keys may be as long as the body.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Parses JSON; also says which keys appear twice (`duplicate field "spec.x"`). The last one wins.
pub fn parse(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let duplicates = RefCell::new(Errors::default());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node { place: &Place::Root, duplicates: &duplicates }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates.into_inner().texts))
}

/// `strict decoding error: unknown field "spec.foo", duplicate field "spec.x"`.
pub fn message(errors: &[String]) -> String {
    format!("strict decoding error: {}", errors.join(", "))
}

/// The fields of `input` that its typed round trip `known` lost: `unknown field "spec.foo"`. Nulls cannot be told from
/// absent ones and are never reported.
pub fn unknown_fields(input: &Value, known: &Value) -> Vec<String> {
    let mut errors = Errors::default();
    compare(input, known, &Place::Root, &mut errors);
    errors.texts
}

fn compare(input: &Value, known: &Value, place: &Place<'_>, errors: &mut Errors) {
    match (input, known) {
        (Value::Object(input), Value::Object(known)) => compare_maps(input, known, place, errors),
        (Value::Array(input), Value::Array(known)) => {
            for (index, (input, known)) in input.iter().zip(known).enumerate() {
                compare(input, known, &Place::Index(place, index), errors);
            }
        }
        _ => {}
    }
}

fn compare_maps(
    input: &Map<String, Value>,
    known: &Map<String, Value>,
    place: &Place<'_>,
    errors: &mut Errors,
) {
    for (key, value) in input {
        let place = Place::Member(place, key);
        match known.get(key) {
            Some(known) => compare(value, known, &place, errors),
            None if value.is_null() => {}
            None => errors.note("unknown field", &place),
        }
    }
}

/// Where in a document something stands.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    /// How many bytes its keys have.
    fn length(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Member(parent, key) => parent.length() + key.len(),
            Self::Index(parent, _) => parent.length(),
        }
    }
}

/// `spec.containers[0].name`.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, key) => f.write_str(key),
            Self::Member(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What is reported, within its bounds.
#[derive(Default)]
struct Errors {
    texts: Vec<String>,
    bytes: usize,
}

impl Errors {
    fn note(&mut self, what: &str, place: &Place<'_>) {
        if self.texts.len() >= ERRORS_MAX || self.bytes + place.length() > ERROR_BYTES_MAX {
            return;
        }
        self.bytes += place.length();
        self.texts.push(format!("{what} {}", quote(&place.to_string())));
    }
}

/// Builds a value and notes keys seen before.
struct Node<'a> {
    place: &'a Place<'a>,
    duplicates: &'a RefCell<Errors>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Index(self.place, list.len());
            let element = Node { place: &place, duplicates: self.duplicates };
            match elements.next_element_seed(element)? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut map, mut repeated) = (Map::new(), BTreeSet::new());
        while let Some(key) = entries.next_key::<String>()? {
            let place = Place::Member(self.place, &key);
            if map.contains_key(&key) && !repeated.contains(&key) {
                self.duplicates.borrow_mut().note("duplicate field", &place);
                repeated.insert(key.clone());
            }
            let node = Node { place: &place, duplicates: self.duplicates };
            let value = entries.next_value_seed(node).map_err(A::Error::custom)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(body: &str, known: Value, expected: &[&str]) {
        let (value, mut errors) = parse(body.as_bytes()).unwrap();
        errors.extend(unknown_fields(&value, &known));
        assert_eq!(errors, expected);
    }

    #[test]
    fn finds_duplicates_and_unknown_fields() {
        check(
            r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#,
            json!({"a": 1, "b": {"c": [{"d": 2}]}}),
            &["duplicate field \"b.c[0].d\""],
        );
        check(r#"{"a":1,"a":2,"a":3}"#, json!({"a": 3}), &["duplicate field \"a\""]);
        check(
            r#"{"spec":{"foo":1,"list":[{"x":1}]}}"#,
            json!({"spec": {"list": [{}]}}),
            &["unknown field \"spec.foo\"", "unknown field \"spec.list[0].x\""],
        );
        check(r#"{"spec":{"foo":null}}"#, json!({"spec": {}}), &[]);
        assert_eq!(message(&["a".to_owned(), "b".to_owned()]), "strict decoding error: a, b");
    }

    #[test]
    fn parses_what_serde_json_parses() {
        for text in ["null", "[1,-2,3.5,\"x\\u00e4\",true,{}]", r#"{"a":[[]],"b":18446744073709551615}"#] {
            assert_eq!(parse(text.as_bytes()).unwrap().0, serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn rejects_rubbish_without_panicking() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{\"a\"}", "[1,]", "nul", "1 2", "\"\\ud800\"", "1e999", deep.as_str()] {
            assert!(parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(20)]);
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    /// A key as long as the body, before very many values: no text is made of it for each.
    #[test]
    fn long_keys_cost_no_more_than_short_ones() {
        let key = "k".repeat(1 << 20);
        let many = format!("{{\"{key}\":[{}{{\"a\":1,\"a\":2}}]}}", "0,".repeat(1 << 20));
        let (value, errors) = parse(many.as_bytes()).unwrap();
        assert_eq!(value[&key].as_array().map(Vec::len), Some((1 << 20) + 1));
        assert_eq!(errors, [""; 0], "its place takes more bytes than all reports may");
        let known = json!({});
        assert_eq!(unknown_fields(&value, &known), [""; 0]);
    }

    #[test]
    fn reports_are_bounded() {
        let mut map = Map::new();
        for i in 0..1000 {
            map.insert(i.to_string(), json!(1));
        }
        assert_eq!(unknown_fields(&Value::Object(map), &json!({})).len(), ERRORS_MAX);
    }
}
