//! Label and field selectors: what lists, watches and controllers choose objects by.
//!
//! Grammar and messages are upstream's. Invariant: a selector that was made matches or does not, it never fails;
//! requirements are in the order of their keys.

mod field;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::field::{FieldError, Path};
use crate::meta;
use crate::names;
use crate::text::{aggregate, quote};

pub use field::{FieldSelector, FieldTerm};

/// How a requirement relates its key to its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's own")]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// The relation.
    pub operator: Operator,
    /// The values, in order, none twice.
    pub values: Vec<String>,
}

/// All of its requirements, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self { requirements: Vec::new(), nothing: false }
    }

    /// Matches no object.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Parses the query parameter `labelSelector`. The error is upstream's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::requirements(text).map(Self::of)
    }

    /// Every pair must be there: `spec.selector` of Services and ReplicationControllers. Not validated.
    pub fn from_map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::of(pairs.into_iter().map(|(key, value)| Requirement::equals(key, value)).collect())
    }

    /// A `metav1.LabelSelector`. Null selects nothing, an empty one everything. The error is upstream's message.
    pub fn from_json(selector: &Value) -> Result<Self, String> {
        if selector.is_null() {
            return Ok(Self::nothing());
        }
        if !selector.is_object() {
            return Err("a label selector must be an object".to_owned());
        }
        let mut requirements = Vec::new();
        for (key, value) in meta::get_map(selector, &["matchLabels"]) {
            requirements.push(Requirement::new(key, Operator::In, vec![value.to_owned()], &Path::default())?);
        }
        for expression in meta::get_list(selector, &["matchExpressions"]) {
            requirements.push(Requirement::from_json(expression)?);
        }
        Ok(Self::of(requirements))
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<&str, &str>) -> bool {
        self.matches_by(|key| labels.get(key).copied())
    }

    /// As [`Self::matches`], over owned labels.
    pub fn matches_owned(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_by(|key| labels.get(key).map(String::as_str))
    }

    /// Whether `object` is selected.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches_by(|key| meta::label(object, key))
    }

    /// As [`Self::matches`], over any lookup.
    pub fn matches_by<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.holds(label(&requirement.key)))
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// The conditions.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl Requirement {
    /// Checks and makes one. The error is upstream's aggregate; `path` is where it was written (mostly nowhere).
    pub fn new(key: &str, operator: Operator, values: Vec<String>, path: &Path) -> Result<Self, String> {
        let mut errors: Vec<FieldError> = key_error(key, &path.child("key")).into_iter().collect();
        let at = path.child("values");
        errors.extend(count_error(operator, &values, &at));
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            errors.extend(
                values.iter().enumerate().filter_map(|(i, value)| integer_error(value, &at.index(i))),
            );
        }
        errors
            .extend(values.iter().enumerate().filter_map(|(i, value)| value_error(key, value, &at.index(i))));
        match errors.is_empty() {
            true => Ok(Self { key: key.to_owned(), operator, values }),
            false => Err(aggregate(errors.iter().map(FieldError::to_string))),
        }
    }

    fn equals(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), operator: Operator::Equals, values: vec![value.to_owned()] }
    }

    fn from_json(expression: &Value) -> Result<Self, String> {
        let operator = match meta::get_str(expression, &["operator"]) {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => return Err(format!("{} is not a valid label selector operator", quote(other))),
        };
        let values =
            meta::get_list(expression, &["values"]).iter().filter_map(Value::as_str).map(str::to_owned);
        Self::new(meta::get_str(expression, &["key"]), operator, values.collect(), &Path::default())
    }

    /// Whether the label's value (or its absence) satisfies it.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|candidate| candidate == value);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value, |label, bound| label > bound),
            Operator::LessThan => self.compare(value, |label, bound| label < bound),
        }
    }

    fn compare(&self, value: Option<&str>, relation: fn(i64, i64) -> bool) -> bool {
        let label = value.and_then(|text| text.parse().ok());
        let bound = self.values.first().and_then(|text| text.parse().ok());
        matches!((label, bound), (Some(label), Some(bound)) if relation(label, bound))
    }
}

fn key_error(key: &str, path: &Path) -> Option<FieldError> {
    let errors = names::qualified_name(key).err()?;
    Some(FieldError::invalid(path, key, errors.join("; ")))
}

fn value_error(key: &str, value: &str, path: &Path) -> Option<FieldError> {
    let errors = names::label_value(value).err()?;
    Some(FieldError::invalid(&path.key(key), value, errors.join("; ")))
}

fn integer_error(value: &str, path: &Path) -> Option<FieldError> {
    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
    value.parse::<i64>().is_err().then(|| FieldError::invalid(path, value, detail))
}

fn count_error(operator: Operator, values: &[String], path: &Path) -> Option<FieldError> {
    let (wrong, detail) = match operator {
        Operator::In | Operator::NotIn => {
            (values.is_empty(), "for 'in', 'notin' operators, values set can't be empty")
        }
        Operator::Equals | Operator::DoubleEquals | Operator::NotEquals => {
            (values.len() != 1, "exact-match compatibility requires one single value")
        }
        Operator::Exists | Operator::DoesNotExist => {
            (!values.is_empty(), "values set must be empty for exists and does not exist")
        }
        Operator::GreaterThan | Operator::LessThan => {
            (values.len() != 1, "for 'Gt', 'Lt' operators, exactly one value is required")
        }
    };
    wrong.then(|| FieldError::invalid(path, values.to_vec(), detail))
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.join(",");
        match self.operator {
            Operator::In => write!(f, "{} in ({values})", self.key),
            Operator::NotIn => write!(f, "{} notin ({values})", self.key),
            Operator::Equals => write!(f, "{}={values}", self.key),
            Operator::DoubleEquals => write!(f, "{}=={values}", self.key),
            Operator::NotEquals => write!(f, "{}!={values}", self.key),
            Operator::Exists => f.write_str(&self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
            Operator::GreaterThan => write!(f, "{}>{values}", self.key),
            Operator::LessThan => write!(f, "{}<{values}", self.key),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.requirements.iter().map(Requirement::to_string).collect();
        f.write_str(&parts.join(","))
    }
}
