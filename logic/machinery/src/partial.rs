//! Reading only what somebody looks at out of an object's JSON text: cells of a table, fields of a selector.
//!
//! Where it stands: beside whoever holds objects as bytes and needs a few of their fields. What is passed over is neither
//! kept nor copied; a text is read no further than the last member asked for. Lists are transparent: a path goes on in
//! every item. It never judges an object, and what it leaves out reads as absent.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Object;

/// Which parts of an object are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// All of it.
    #[default]
    Whole,
    /// Nothing of it.
    Nothing,
    /// These members, in these parts.
    Only(Vec<(String, Parts)>),
    /// All members, and of these only those parts.
    AllBut(Vec<(String, Parts)>),
}

impl Parts {
    /// What lies at these paths: names joined by dots.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut parts = Self::Only(Vec::new());
        paths.into_iter().for_each(|path| parts.add(path));
        parts
    }

    /// Everything but `metadata.managedFields`, which is for writers and often the larger half.
    pub fn without_managed_fields() -> Self {
        let metadata = Self::AllBut(vec![("managedFields".to_owned(), Self::Nothing)]);
        Self::AllBut(vec![("metadata".to_owned(), metadata)])
    }

    fn add(&mut self, path: &str) {
        let Self::Only(members) = self else { return };
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let index = members.iter().position(|(member, _)| member == name).unwrap_or_else(|| {
            members.push((name.to_owned(), Self::Only(Vec::new())));
            members.len() - 1
        });
        match rest {
            Some(rest) => members[index].1.add(rest),
            None => members[index].1 = Self::Whole,
        }
    }

    /// What is read of a member.
    fn member(&self, name: &str) -> &Parts {
        let (members, others) = match self {
            Self::Only(members) => (members, &Self::Nothing),
            Self::AllBut(members) => (members, &Self::Whole),
            Self::Whole | Self::Nothing => return self,
        };
        members.iter().find(|(member, _)| member == name).map_or(others, |(_, parts)| parts)
    }

    /// Whether the member is one of those named.
    fn names(&self, name: &str) -> bool {
        match self {
            Self::Only(members) | Self::AllBut(members) => members.iter().any(|(member, _)| member == name),
            Self::Whole | Self::Nothing => false,
        }
    }

    /// How many members are all that is read; `None` when that is open.
    fn only(&self) -> Option<usize> {
        match self {
            Self::Only(members) => Some(members.len()),
            _ => None,
        }
    }
}

/// These parts of an object. Errors: what is read of the text is not JSON, or it is no object.
pub fn read(text: &[u8], parts: &Parts) -> Result<Object, serde_json::Error> {
    let mut root = Root { parts, fields: Map::new(), metadata: None, keep_metadata: false, complete: false };
    root.read(text)?;
    Ok(Value::Object(root.fields))
}

/// As [`read`], and the text of the object's `metadata` as it stands there; `{}` when it has none.
pub fn read_with_metadata<'a>(text: &'a [u8], parts: &Parts) -> Result<(Object, &'a str), serde_json::Error> {
    let mut root = Root { parts, fields: Map::new(), metadata: None, keep_metadata: true, complete: false };
    root.read(text)?;
    Ok((Value::Object(root.fields), root.metadata.unwrap_or("{}")))
}

/// The text of an object's `metadata`, as it stands there; `{}` when it has none. Errors as [`read`]'s.
pub fn metadata(text: &[u8]) -> Result<&str, serde_json::Error> {
    let parts = Parts::Only(vec![("metadata".to_owned(), Parts::Nothing)]);
    read_with_metadata(text, &parts).map(|(_, metadata)| metadata)
}

/// What is being made of the outermost map, which is left as soon as nothing more is wanted of it.
struct Root<'a, 'p> {
    parts: &'p Parts,
    fields: Map<String, Value>,
    metadata: Option<&'a str>,
    keep_metadata: bool,
    complete: bool,
}

impl<'a> Root<'a, '_> {
    fn read(&mut self, text: &'a [u8]) -> Result<(), serde_json::Error> {
        match serde_json::Deserializer::from_slice(text).deserialize_map(&mut *self) {
            // What stops the reader once it has all that is wanted is an error of its own.
            Err(_) if self.complete => Ok(()),
            read => read,
        }
    }

    fn member<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let parts = self.parts.member(name);
        if !self.keep_metadata || name != "metadata" {
            return member(name, parts, map, &mut self.fields);
        }
        let text = map.next_value::<&RawValue>()?.get();
        self.metadata = Some(text);
        if *parts != Parts::Nothing {
            let value = Seed(parts).deserialize(&mut serde_json::Deserializer::from_str(text));
            self.fields.insert(name.to_owned(), value.map_err(A::Error::custom)?);
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for &mut Root<'a, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut missing = self.parts.only();
        while let Some(Name(name)) = map.next_key()? {
            self.member(&name, &mut map)?;
            let is_wanted = self.parts.names(&name);
            missing = missing.map(|missing| missing.saturating_sub(usize::from(is_wanted)));
            if missing == Some(0) {
                self.complete = true;
                return Err(A::Error::custom("all that is wanted has been read"));
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed from the text where it stands there as it is.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the value that comes next, or passes over it.
fn member<'de, A: MapAccess<'de>>(
    name: &str,
    parts: &Parts,
    map: &mut A,
    into: &mut Map<String, Value>,
) -> Result<(), A::Error> {
    let value = match parts {
        Parts::Nothing => return map.next_value::<IgnoredAny>().map(drop),
        Parts::Whole => map.next_value()?,
        parts => map.next_value_seed(Seed(parts))?,
    };
    into.insert(name.to_owned(), value);
    Ok(())
}

/// Reads these parts of any value.
struct Seed<'p>(&'p Parts);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        match self.0 {
            Parts::Whole => Value::deserialize(input),
            _ => input.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(Name(name)) = map.next_key()? {
            member(&name, self.0.member(&name), &mut map, &mut fields)?;
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Seed(self.0))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests;
