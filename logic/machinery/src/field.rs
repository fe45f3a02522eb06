//! Field paths and field errors: what validation returns and what a 422 Status lists.
//!
//! Invariant: `Display` and the causes are upstream's texts to the byte (spec A1.11, A1.12). Never holds more than the
//! offending value.

use std::fmt;

use serde_json::Value;

use crate::text::{quote, quote_list};

/// A path into an object, spelled as upstream does: `spec.ports[0].name`, `metadata.labels[app]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// A path from its first element (which may already hold dots).
    pub fn new(root: impl Into<String>) -> Self {
        Self(root.into())
    }

    /// The member `name`.
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// The list element `index`.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The map entry `key`.
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// It must be there.
    Required,
    /// Its value cannot be.
    Invalid { value: Value },
    /// Its value has the wrong type.
    TypeInvalid { value: Value },
    /// Its value is none of the supported ones.
    NotSupported { value: Value, supported: Vec<String> },
    /// As `Invalid`, of a value too large or too plain to be repeated.
    InvalidUnsaid,
    /// It cannot be set here and now.
    Forbidden,
    /// Its value is taken by a sibling.
    Duplicate { value: Value },
    /// What it refers to does not exist.
    NotFound { value: Value },
    /// The list has more than `max` items (`actual` of them).
    TooMany { actual: usize, max: usize },
    /// The text is longer than `max` bytes; the value itself is not repeated.
    TooLong { max: usize },
    /// Nothing to do with what the user wrote.
    Internal,
}

/// One field that is wrong, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Where.
    pub path: Path,
    /// What.
    pub problem: Problem,
    /// Why, in upstream's words; may be empty.
    pub detail: String,
}

impl FieldError {
    fn new(path: &Path, problem: Problem, detail: impl Into<String>) -> Self {
        Self { path: path.clone(), problem, detail: detail.into() }
    }

    /// `path: Required value: detail`.
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::Required, detail)
    }

    /// `path: Invalid value: "value": detail`.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::Invalid { value: value.into() }, detail)
    }

    /// `path: Invalid value: detail`, the value itself not repeated.
    pub fn invalid_unsaid(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::InvalidUnsaid, detail)
    }

    /// As [`Self::invalid`], with the cause's reason `FieldValueTypeInvalid`.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::TypeInvalid { value: value.into() }, detail)
    }

    /// `path: Unsupported value: "value": supported values: "A", "B"`, in the given order (upstream's callers sort).
    pub fn not_supported<'a>(
        path: &Path,
        value: impl Into<Value>,
        supported: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let supported = supported.into_iter().map(str::to_owned).collect();
        Self::new(path, Problem::NotSupported { value: value.into(), supported }, "")
    }

    /// `path: Forbidden: detail`.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::Forbidden, detail)
    }

    /// `path: Duplicate value: "value"`.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(path, Problem::Duplicate { value: value.into() }, "")
    }

    /// `path: Not found: "value"`.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(path, Problem::NotFound { value: value.into() }, "")
    }

    /// `path: Too many: actual: must have at most max items`.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(path, Problem::TooMany { actual, max }, format!("must have at most {max} {unit}"))
    }

    /// `path: Too long: may not be more than max bytes`.
    pub fn too_long(path: &Path, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(path, Problem::TooLong { max }, format!("may not be more than {max} {unit}"))
    }

    /// `path: Internal error: detail`.
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(path, Problem::Internal, detail)
    }

    /// The cause's machine-readable reason in `status.details.causes`.
    pub fn reason(&self) -> &'static str {
        match self.problem {
            Problem::Required => "FieldValueRequired",
            Problem::Invalid { .. } | Problem::InvalidUnsaid => "FieldValueInvalid",
            Problem::TypeInvalid { .. } => "FieldValueTypeInvalid",
            Problem::NotSupported { .. } => "FieldValueNotSupported",
            Problem::Forbidden => "FieldValueForbidden",
            Problem::Duplicate { .. } => "FieldValueDuplicate",
            Problem::NotFound { .. } => "FieldValueNotFound",
            Problem::TooMany { .. } => "FieldValueTooMany",
            Problem::TooLong { .. } => "FieldValueTooLong",
            Problem::Internal => "InternalError",
        }
    }

    /// The message without the path: what a cause carries.
    pub fn body(&self) -> String {
        let head = match &self.problem {
            Problem::Required => "Required value".to_owned(),
            Problem::Invalid { value } | Problem::TypeInvalid { value } => {
                format!("Invalid value: {}", shown(value))
            }
            Problem::InvalidUnsaid => "Invalid value".to_owned(),
            Problem::NotSupported { value, .. } => format!("Unsupported value: {}", shown(value)),
            Problem::Forbidden => "Forbidden".to_owned(),
            Problem::Duplicate { value } => format!("Duplicate value: {}", shown(value)),
            Problem::NotFound { value } => format!("Not found: {}", shown(value)),
            Problem::TooMany { actual, .. } => format!("Too many: {actual}"),
            Problem::TooLong { .. } => "Too long".to_owned(),
            Problem::Internal => "Internal error".to_owned(),
        };
        match self.explanation() {
            explanation if explanation.is_empty() => head,
            explanation => format!("{head}: {explanation}"),
        }
    }

    fn explanation(&self) -> String {
        match &self.problem {
            Problem::NotSupported { supported, .. } if !supported.is_empty() && self.detail.is_empty() => {
                format!("supported values: {}", quote_list(supported.iter().map(String::as_str)))
            }
            _ => self.detail.clone(),
        }
    }
}

/// A value as upstream prints it: texts quoted, null as `"null"`, numbers and booleans bare, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "\"null\"".to_owned(),
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

impl std::error::Error for FieldError {}

#[cfg(test)]
#[path = "field_tests.rs"]
mod tests;
