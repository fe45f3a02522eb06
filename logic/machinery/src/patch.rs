//! The three patches of the API: JSON patch (RFC 6902), JSON merge patch (RFC 7386), strategic merge.
//!
//! Patches come from anybody. Invariant: none of them panics or recurses deeper than the input was nested; operations,
//! copied bytes, nesting and work have named bounds ([`OPERATIONS_MAX`], [`COPY_BYTES_MAX`], [`DEPTH_MAX`], [`WORK_MAX`]).

mod json;
mod pointer;
#[cfg(test)]
mod property_tests;
mod strategic;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use crate::status::{Reason, Status};

pub use json::json_patch;
pub use strategic::strategic_merge;

/// The most operations one JSON patch may have (upstream's bound).
pub const OPERATIONS_MAX: usize = 10_000;
/// The most bytes all `copy` operations of one patch may add (upstream's bound).
pub const COPY_BYTES_MAX: usize = 3 << 20;
/// How deep the result of a JSON patch may be nested: what the parser takes again.
pub const DEPTH_MAX: usize = 128;
/// The most elements all operations of one JSON patch may visit or shift.
pub const WORK_MAX: usize = 50_000_000;

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// It is no patch of its kind: 400.
    Malformed(String),
    /// It is one, but does not fit this object: 422.
    Unfit(String),
    /// It exceeds a bound: 413.
    TooLarge(String),
}

impl PatchError {
    /// What the client is told.
    pub fn status(&self) -> Status {
        match self {
            Self::Malformed(why) => Status::bad_request(why.as_str()),
            // Upstream keeps the reason to itself here, and kubectl prints this sentence.
            Self::Unfit(_) => {
                let message = "the server rejected our request due to an error in our request";
                Status { details: Some(Box::default()), ..Status::new(422, Reason::Invalid, message) }
            }
            Self::TooLarge(why) => Status::too_large(why),
        }
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::Unfit(why) | Self::TooLarge(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for PatchError {}

/// How strategic merge treats one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Lists are replaced, maps are merged.
    #[default]
    Default,
    /// A list of maps merged by this key.
    ByKey(&'static str),
    /// A list of texts or numbers that is a set.
    Set,
    /// Replaced as a whole even if it is a map.
    Replace,
}

/// The strategic-merge facts of a kind. Paths name members only, never list indexes:
/// `["spec", "template", "spec", "containers"]`.
pub trait MergeKeys {
    /// How the field at `path` merges.
    fn merge(&self, path: &[&str]) -> Merge;
}

impl<F: Fn(&[&str]) -> Merge> MergeKeys for F {
    fn merge(&self, path: &[&str]) -> Merge {
        self(path)
    }
}

/// Applies an RFC 7386 merge patch: null removes, maps merge, all else replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(entries) = patch else {
        *target = patch.clone();
        return;
    };
    let target = crate::meta::map_of(target);
    for (key, value) in entries {
        match value {
            Value::Null => drop(target.remove(key)),
            value => merge_patch(target.entry(key.as_str()).or_insert(Value::Null), value),
        }
    }
}
