//! One step of a path to a field: a field's name, an item's keys, a set's value, or an index.
//!
//! Invariant: the text form (`f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0`) and the element determine each other.

use std::fmt;

use serde_json::Value;

use super::schema::Shape;
use crate::text::quote;

/// One step of a path. Values are their JSON texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// The item of a list with these keys.
    Key(Vec<(String, String)>),
    /// The item of a set with this value.
    Value(String),
    /// The item at a place.
    Index(i64),
}

impl Element {
    /// A field.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// What tells `item` apart in a list of this shape. Keys it leaves out have their default, or are left out here too.
    pub fn of(shape: &Shape, item: &Value) -> Self {
        let Shape::Keyed(keyed) = shape else { return Self::Value(item.to_string()) };
        let key = |key: &super::schema::Key| {
            let given = item.get(&key.name).filter(|value| !value.is_null());
            given.or(key.default.as_ref()).map(|value| (key.name.clone(), value.to_string()))
        };
        Self::Key(keyed.keys.iter().filter_map(key).collect())
    }

    /// From the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let json = || serde_json::from_str::<Value>(rest).ok();
        Some(match kind {
            "f" => Self::field(rest),
            "v" => Self::Value(json()?.to_string()),
            "i" => Self::Index(rest.parse().ok()?),
            "k" => {
                let Value::Object(keys) = json()? else { return None };
                let mut keys: Vec<_> =
                    keys.into_iter().map(|(name, value)| (name, value.to_string())).collect();
                keys.sort();
                Self::Key(keys)
            }
            _ => return None,
        })
    }

    /// The text form.
    pub fn text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let pairs: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                    .collect();
                format!("k:{{{}}}", pairs.join(","))
            }
        }
    }
}

/// As messages show it: `.spec`, `[name="x"]`, `[="x"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={}]", shown(value)),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                let pairs: Vec<String> =
                    keys.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
                write!(f, "[{}]", pairs.join(","))
            }
        }
    }
}

/// A value as Go quotes it.
fn shown(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::String(text)) => quote(&text),
        _ => json.to_owned(),
    }
}
