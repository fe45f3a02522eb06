//! `metadata.managedFields`: who last said what about an object.
//!
//! Invariant: one entry an identity; entries are written in upstream's order and read back as they were.

use serde_json::{Map, Value, json};

use super::set::Set;
use crate::{Object, meta};

/// How fields came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply: what is no longer applied is removed.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The field manager's name, for example `kubectl`.
    pub name: String,
    /// How.
    pub operation: Operation,
    /// In which version of the kind.
    pub api_version: String,
    /// Through which subresource; empty for the object itself.
    pub subresource: String,
}

impl Identity {
    /// Whether two writes are the same owner's. An applier is itself in every version.
    pub fn is_same(&self, other: &Identity) -> bool {
        let version = self.operation == Operation::Apply || self.api_version == other.api_version;
        (&self.name, self.operation, &self.subresource) == (&other.name, other.operation, &other.subresource)
            && version
    }
}

/// One owner and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub identity: Identity,
    /// When its fields last changed, RFC 3339; may be empty.
    pub time: String,
    /// Which fields.
    pub fields: Set,
}

/// All owners of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(pub Vec<Owner>);

impl Owners {
    /// What an object's metadata says; `None` when it is nonsense.
    pub fn of(object: &Object) -> Option<Self> {
        let entries = meta::get_list(object, &["metadata", "managedFields"]);
        entries.iter().map(owner).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether an object asks for its owners to be forgotten: one empty entry.
    pub fn are_reset(object: &Object) -> bool {
        let entries = meta::get_list(object, &["metadata", "managedFields"]);
        matches!(entries, [only] if only.as_object().is_some_and(|only| only.values().all(is_blank)))
    }

    /// The owner this identity is.
    pub fn find(&self, identity: &Identity) -> Option<&Owner> {
        self.0.iter().find(|owner| owner.identity.is_same(identity))
    }

    /// Writes them into an object's metadata.
    pub fn write(mut self, object: &mut Object) {
        self.0.retain(|owner| !owner.fields.is_empty());
        self.0.sort_by(|a, b| {
            let (x, y) = (&a.identity, &b.identity);
            (x.operation, &a.time, &x.name, &x.api_version, &x.subresource).cmp(&(
                y.operation,
                &b.time,
                &y.name,
                &y.api_version,
                &y.subresource,
            ))
        });
        match self.0.is_empty() {
            true => drop(meta::remove(object, &["metadata", "managedFields"])),
            false => {
                let entries: Vec<Value> = self.0.iter().map(entry).collect();
                meta::set(object, &["metadata", "managedFields"], entries);
            }
        }
    }

    /// Whether they differ in nothing but times.
    pub fn are_same(&self, other: &Self) -> bool {
        let kept = |owners: &Self| owners.0.iter().filter(|owner| !owner.fields.is_empty()).count();
        kept(self) == kept(other)
            && self
                .0
                .iter()
                .filter(|owner| !owner.fields.is_empty())
                .all(|owner| other.0.iter().any(|o| o.identity == owner.identity && o.fields == owner.fields))
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn owner(entry: &Value) -> Option<Owner> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    if text("fieldsType") != "FieldsV1" {
        return None;
    }
    let identity = Identity {
        name: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
    };
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => Set::default(),
        Some(fields) => Set::from_json(fields)?,
    };
    Some(Owner { identity, time: text("time"), fields })
}

fn entry(owner: &Owner) -> Value {
    let Identity { name, operation, api_version, subresource } = &owner.identity;
    let mut entry = Map::new();
    entry.insert("manager".into(), name.as_str().into());
    entry.insert("operation".into(), operation.as_str().into());
    entry.insert("apiVersion".into(), api_version.as_str().into());
    if !owner.time.is_empty() {
        entry.insert("time".into(), owner.time.as_str().into());
    }
    entry.insert("fieldsType".into(), json!("FieldsV1"));
    entry.insert("fieldsV1".into(), owner.fields.to_json());
    if !subresource.is_empty() {
        entry.insert("subresource".into(), subresource.as_str().into());
    }
    Value::Object(entry)
}
