//! ResourceQuota: how much of what a namespace may hold together.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata::{self, NOT_NEGATIVE};
use crate::printed::{AGE, NAME};
use crate::resource_names;
use crate::strategy;
use crate::walk::{entries, items, present, put, text, texts};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceQuota;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::quantity::Quantity;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const KIND: Kind = Kind {
    short_names: &["quota"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text(
            "Request",
            "Request represents a minimum amount of cpu/memory that a container may consume.",
        ),
        Column::text(
            "Limit",
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
        ),
        AGE,
    ],
    cells: print,
    prepare_create: |quota| put(quota, "status", json!({})),
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::keep(new, old, "status");
    },
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        let scopes = |quota: &Object| -> BTreeSet<String> {
            texts(&quota["spec"]["scopes"]).into_iter().map(str::to_owned).collect()
        };
        if scopes(new) != scopes(old) {
            let at = Path::new("spec.scopes");
            errors.push(FieldError::invalid(&at, new["spec"]["scopes"].clone(), "field is immutable"));
        }
        errors
    },
    validate_status_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        if meta::resource_version(new).is_empty() {
            errors.push(FieldError::required(&Path::new("resourceVersion"), ""));
        }
        for list in ["hard", "used"] {
            amounts(&new["status"][list], &Path::new("status").child(list), &mut errors);
        }
        errors
    },
    ..base::<ResourceQuota>("resourcequota")
};

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// What pods are counted by that are not of the least class.
const OF_PODS: [&str; 7] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "pods", "requests.cpu", "requests.memory"];
const OF_CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];

/// What is used of each limit: limits of containers in a column of their own.
fn print(quota: &Object, now: Timestamp) -> Vec<Value> {
    let (hard, used) = (&quota["status"]["hard"], &quota["status"]["used"]);
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, most) in entries(hard) {
        let used = if present(&used[name]) { text(&used[name]) } else { "0" };
        let cell = format!("{name}: {used}/{}", text(most));
        if name.starts_with("limits.") { limits.push(cell) } else { requests.push(cell) }
    }
    vec![cells::name(quota), requests.join(", ").into(), limits.join(", ").into(), cells::aged(quota, now)]
}

fn validate(quota: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(quota);
    let (spec, path) = (&quota["spec"], Path::new("spec"));
    amounts(&spec["hard"], &path.child("hard"), &mut errors);
    scopes(spec, &path.child("scopes"), &mut errors);
    scope_selector(spec, &path.child("scopeSelector").child("matchExpressions"), &mut errors);
    errors
}

fn amounts(list: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for (name, amount) in entries(list) {
        let at = at.key(name);
        errors.extend(resource_names::validate_of_quota(name, &at));
        let Ok(quantity) = Quantity::parse(text(amount)) else { continue };
        if quantity.is_negative() {
            errors.push(FieldError::invalid(&at, text(amount), NOT_NEGATIVE));
        }
        if resource_names::is_whole(name) && Quantity::whole(quantity.value()) != quantity {
            errors.push(FieldError::invalid(&at, text(amount), "must be an integer"));
        }
    }
}

fn scopes(spec: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let whole = &spec["scopes"];
    for scope in texts(whole) {
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(at, whole.clone(), "unsupported scope"));
        }
        misfits(spec, scope, whole, at, errors);
    }
    conflicts(&texts(whole), whole, at, errors);
}

/// One error a limited resource that has nothing to do with a scope.
fn misfits(spec: &Value, scope: &str, whole: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for (name, _) in entries(&spec["hard"]) {
        if resource_names::is_standard_for_quota(name) && !suits(scope, name) {
            errors.push(FieldError::invalid(at, whole.clone(), "unsupported scope applied to resource"));
        }
    }
}

fn suits(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => OF_CLAIMS.contains(&name),
        scope if SCOPES.contains(&scope) => OF_PODS.contains(&name),
        _ => true,
    }
}

fn conflicts(scopes: &[&str], whole: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for [one, other] in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.push(FieldError::invalid(at, whole.clone(), "conflicting scopes"));
        }
    }
}

fn scope_selector(spec: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let selector = &spec["scopeSelector"];
    let mut named = Vec::new();
    for term in items(&selector["matchExpressions"]) {
        let scope = text(&term["scopeName"]);
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(&at.child("scopeName"), scope, "unsupported scope"));
        }
        misfits(spec, scope, selector, at, errors);
        operator(term, scope, at, errors);
        named.push(scope);
    }
    conflicts(&named, &spec["scopes"], at, errors);
}

fn operator(term: &Value, scope: &str, at: &Path, errors: &mut Vec<FieldError>) {
    let (operator, values) = (text(&term["operator"]), &term["values"]);
    if !matches!(scope, "PriorityClass" | "VolumeAttributesClass")
        && SCOPES.contains(&scope)
        && operator != "Exists"
    {
        let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                      ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                      ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.push(FieldError::invalid(&at.child("operator"), operator, detail));
    }
    let at_values = at.child("values");
    match operator {
        "In" | "NotIn" if items(values).is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(FieldError::required(&at_values, detail));
        }
        "Exists" | "DoesNotExist" if !items(values).is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(&at_values, values.clone(), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => {
            let detail = "not a valid selector operator";
            errors.push(FieldError::invalid(&at.child("operator"), operator, detail));
        }
    }
}
