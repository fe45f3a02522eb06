//! Which objects of a kind a list or watch is about: label selector, field selector, namespace.
//!
//! Field selectors are checked against what the kind declares before anything is read (spec A1.8). Parses only as much
//! of an object as the selectors look at.

use kelson_machinery::partial::{self, Parts};
use kelson_machinery::selector::{FieldSelector, LabelSelector};
use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;
use kelson_store::Entry;

use crate::request::Query;

/// What is selected.
#[derive(Clone)]
pub(crate) struct Selection {
    kind: &'static Kind,
    labels: LabelSelector,
    fields: FieldSelector,
    /// What of an object the selectors look at.
    parts: Parts,
}

/// Fields every kind can be selected by.
const META_FIELDS: [&str; 2] = ["metadata.name", "metadata.namespace"];

impl Selection {
    /// What a query's `labelSelector` and `fieldSelector` say.
    pub fn parse(kind: &'static Kind, query: &Query) -> Result<Self, Status> {
        let labels = LabelSelector::parse(query.get("labelSelector")).map_err(|e| {
            Status::bad_request(format!("unable to parse requirement: {e}").replacen(PREFIX_TWICE, PREFIX, 1))
        })?;
        let fields = FieldSelector::parse(query.get("fieldSelector")).map_err(Status::bad_request)?;
        for term in fields.terms() {
            check_field(kind, &term.field)?;
        }
        let looked_at = kind.selected_paths(fields.terms().iter().map(|term| term.field.as_str()));
        let parts = Parts::of(looked_at.into_iter().chain(["metadata.labels"]));
        Ok(Self { kind, labels, fields, parts })
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// The one name it can match, if it says so.
    pub fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name")
    }

    /// The one namespace it can match, if it says so.
    pub fn namespace(&self) -> Option<&str> {
        self.fields.exact("metadata.namespace")
    }

    /// Whether a stored object is selected. An object that cannot be read is not.
    pub fn matches(&self, entry: &Entry) -> bool {
        if self.is_everything() {
            return true;
        }
        partial::read(&entry.value, &self.parts).is_ok_and(|object| self.matches_object(&object))
    }

    /// Whether an object is selected.
    pub fn matches_object(&self, object: &Object) -> bool {
        self.labels.matches_object(object) && self.fields.matches_by(|field| self.field(object, field))
    }

    fn field(&self, object: &Object, field: &str) -> String {
        match field {
            "metadata.name" => meta::name(object).to_owned(),
            "metadata.namespace" => meta::namespace(object).to_owned(),
            other => (self.kind.select)(object, other).unwrap_or_default(),
        }
    }
}

const PREFIX: &str = "unable to parse requirement: ";
const PREFIX_TWICE: &str = "unable to parse requirement: unable to parse requirement: ";

fn check_field(kind: &Kind, field: &str) -> Result<(), Status> {
    if META_FIELDS.contains(&field) || kind.selectable.contains(&field) {
        return Ok(());
    }
    Err(Status::bad_request(match kind.selectable.is_empty() {
        true => format!(
            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
        false => format!("field label not supported: {field}"),
    }))
}

#[cfg(test)]
mod tests;
