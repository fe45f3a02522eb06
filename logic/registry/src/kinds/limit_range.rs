//! LimitRange: how much one container, pod or claim of a namespace may and must ask for, and what it gets unasked.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata::{self, checked};
use crate::printed::NAME;
use crate::resource_names;
use crate::walk::{self, entries, items, items_mut, member, present, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::LimitRange;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::quantity::Quantity;
use kelson_machinery::{Object, meta, names};
use serde_json::Value;
use std::collections::BTreeSet;

pub const KIND: Kind = Kind {
    short_names: &["limits"],
    columns: &[NAME, Column { r#type: "date", ..Column::text("Created At", "When it was made.") }],
    cells: print,
    default,
    validate,
    ..base::<LimitRange>("limitrange")
};

const CLAIM: &str = "PersistentVolumeClaim";
const TYPES: [&str; 3] = ["Pod", "Container", CLAIM];

fn print(limits: &Object, _now: Timestamp) -> Vec<Value> {
    vec![cells::name(limits), meta::creation_timestamp(limits).unwrap_or_default().into()]
}

/// What is the most is the default limit, that the default request, and without one the least is.
fn default(limits: &mut Object) {
    let Some(spec) = member(limits, "spec") else { return };
    for item in items_mut(spec, "limits").filter(|item| text(&item["type"]) == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let source = item[from].clone();
            for (name, amount) in entries(&source) {
                walk::default_to(walk::object(item, to), name, amount.clone());
            }
        }
    }
}

fn validate(limits: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(limits);
    let mut types = BTreeSet::new();
    for (index, item) in items(&limits["spec"]["limits"]).iter().enumerate() {
        let at = Path::new("spec.limits").index(index);
        let of = text(&item["type"]);
        type_name(of, &at.child("type"), &mut errors);
        if !types.insert(of) {
            errors.push(FieldError::duplicate(&at.child("type"), of));
        }
        lists(item, of, &at, &mut errors);
        let named: BTreeSet<&str> =
            compared(of).iter().flat_map(|list| entries(&item[*list])).map(|(name, _)| name).collect();
        for name in named {
            order(item, of, name, &at, &mut errors);
            ratio(item, name, &at, &mut errors);
        }
    }
    errors
}

fn type_name(of: &str, at: &Path, errors: &mut Vec<FieldError>) {
    let wrong = checked(at, of, names::qualified_name(of));
    if wrong.is_empty() && !of.contains('/') && !TYPES.contains(&of) {
        errors.push(FieldError::invalid(at, of, "must be a standard limit type or fully qualified"));
    }
    errors.extend(wrong);
}

/// The lists that count for a type.
fn compared(of: &str) -> &'static [&'static str] {
    match of {
        "Pod" => &["max", "min", "maxLimitRequestRatio"],
        _ => &["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"],
    }
}

fn lists(item: &Value, of: &str, at: &Path, errors: &mut Vec<FieldError>) {
    for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if of == "Pod" && list.starts_with("default") {
            if present(&item[list]) {
                let detail = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(&at.child(list), detail));
            }
            continue;
        }
        for (name, _) in entries(&item[list]) {
            let at = at.child(list).key(name);
            errors.extend(match of {
                "Pod" | "Container" => resource_names::validate_of_container(name, &at),
                _ => resource_names::validate(name, &at),
            });
        }
    }
    if of == CLAIM && item["min"]["storage"].is_null() && item["max"]["storage"].is_null() {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(&at.child("limits"), detail));
    }
}

/// The least is not above the default request, nor that above the default, nor that above the most.
fn order(item: &Value, of: &str, name: &str, at: &Path, errors: &mut Vec<FieldError>) {
    // The list that is to be no more, the one it is compared with, both lists' names in the message, and whose field
    // and value is shown.
    const ORDER: [(&str, &str, &str, &str, &str, &str); 6] = [
        ("min", "max", "min value", "max value", "min", "min"),
        ("min", "defaultRequest", "min value", "default request value", "defaultRequest", "defaultRequest"),
        ("defaultRequest", "max", "default request value", "max value", "defaultRequest", "defaultRequest"),
        (
            "defaultRequest",
            "default",
            "default request value",
            "default limit value",
            "defaultRequest",
            "defaultRequest",
        ),
        ("min", "default", "min value", "default value", "default", "min"),
        ("default", "max", "default value", "max value", "default", "max"),
    ];
    let amount = |list: &str| match compared(of).contains(&list) {
        true => quantity(&item[list][name]),
        false => None,
    };
    for (less, more, less_name, more_name, field, shown) in ORDER {
        let (Some(low), Some(high)) = (amount(less), amount(more)) else { continue };
        if low > high {
            let detail = format!("{less_name} {low} is greater than {more_name} {high}");
            errors.push(FieldError::invalid(&at.child(field).key(name), text(&item[shown][name]), detail));
        }
    }
    let (limit, request) = (amount("default"), amount("defaultRequest"));
    if let (Some(limit), Some(request)) = (limit, request)
        && limit != request
        && !resource_names::is_overcommitted(name)
    {
        let detail = format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        let at = at.child("defaultRequest").key(name);
        errors.push(FieldError::invalid(&at, request.to_string(), detail));
    }
}

/// A ratio is at least one, and not more than the most is of the least.
fn ratio(item: &Value, name: &str, at: &Path, errors: &mut Vec<FieldError>) {
    let Some(ratio) = quantity(&item["maxLimitRequestRatio"][name]) else { return };
    let at = at.child("maxLimitRequestRatio").key(name);
    if ratio < Quantity::whole(1) {
        let detail = format!("ratio {ratio} is less than 1");
        errors.push(FieldError::invalid(&at, ratio.to_string(), detail));
    }
    let (Some(min), Some(max)) = (quantity(&item["min"][name]), quantity(&item["max"][name])) else { return };
    let span = max.ratio_to(&min);
    if ratio.ratio_to(&Quantity::whole(1)) > span {
        let detail = format!("ratio {ratio} is greater than max/min = {span:.6}");
        errors.push(FieldError::invalid(&at, ratio.to_string(), detail));
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    Quantity::parse(text(value)).ok()
}
