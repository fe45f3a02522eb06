//! Rules of `resources`: names, amounts, requests not above limits.

use crate::metadata::NOT_NEGATIVE;
use crate::resource_names;
use crate::walk::{entries, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::quantity::Quantity;
use serde_json::Value;

/// Requests and limits of one container.
pub fn validate(resources: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for list in ["limits", "requests"] {
        for (name, amount) in entries(&resources[list]) {
            let here = at.child(list).key(name);
            errors.extend(resource_names::validate_of_container(name, &here));
            if quantity(amount).is_some_and(|amount| amount.is_negative()) {
                errors.push(FieldError::invalid(&here, text(amount), NOT_NEGATIVE));
            }
        }
    }
    for (name, request) in entries(&resources["requests"]) {
        let limit = &resources["limits"][name];
        compare(name, request, limit, at, errors);
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    Quantity::parse(text(value)).ok()
}

fn compare(name: &str, request: &Value, limit: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let at = at.child("requests");
    let exact = name.contains('/') || name.starts_with("hugepages-");
    let (Some(asked), Some(most)) = (quantity(request), quantity(limit)) else {
        if exact && limit.is_null() {
            errors.push(FieldError::required(&at, "Limit must be set for non overcommitable resources"));
        }
        return;
    };
    if exact && asked != most {
        let detail = format!("must be equal to {name} limit of {}", text(limit));
        errors.push(FieldError::invalid(&at, text(request), detail));
    } else if !exact && asked > most {
        let detail = format!("must be less than or equal to {name} limit of {}", text(limit));
        errors.push(FieldError::invalid(&at, text(request), detail));
    }
}
