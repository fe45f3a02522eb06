//! What may change in a pod that exists (upstream: ValidatePodUpdate): images, deadline, more tolerations.

use crate::metadata;
use crate::walk::{self, entries, int, items, items_mut, text};
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;
use std::collections::BTreeSet;

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                    existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                    previously negative)";

/// How many changed fields a refusal lists.
const LISTED_MAX: usize = 8;

/// Rules that compare with the stored pod.
pub fn validate(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let (path, after, before) = (Path::new("spec"), &new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        if items(&after[list]).len() != items(&before[list]).len() {
            let detail = match list {
                "containers" => "pod updates may not add or remove containers",
                _ => "pod updates may not add or remove init containers",
            };
            errors.push(FieldError::forbidden(&path.child(list), detail));
            return errors;
        }
    }
    deadline(after, before, &path, &mut errors);
    tolerations(after, before, &path, &mut errors);
    // With everything that may change made equal, nothing may differ.
    let munged = munged(after, before);
    if munged != *before {
        let changed = changed_fields(&munged, before);
        errors.push(FieldError::forbidden(&path, format!("{ONLY}\nchanged: {changed}")));
    }
    errors
}

/// `/status` and `/ephemeralcontainers`: metadata rules only.
pub fn validate_status(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let (nominated, path) =
        (text(&new["status"]["nominatedNodeName"]), Path::new("status.nominatedNodeName"));
    if !nominated.is_empty() {
        let verdict = kelson_machinery::names::dns1123_subdomain(nominated);
        errors.extend(metadata::checked(&path, nominated, verdict));
    }
    errors
}

fn deadline(after: &Value, before: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.child("activeDeadlineSeconds");
    match (after["activeDeadlineSeconds"].as_i64(), before["activeDeadlineSeconds"].as_i64()) {
        (Some(new), Some(old)) if new > old => {
            errors.push(FieldError::invalid(&at, new, "must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            errors.push(FieldError::invalid(
                &at,
                Value::Null,
                "must not update from a positive integer to nil value",
            ));
        }
        _ => {}
    }
}

fn tolerations(after: &Value, before: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    // Fields of a decoded object: text, or not there.
    let said = |toleration: &Value| {
        ["key", "operator", "value", "effect"].map(|field| toleration[field].as_str().map(str::to_owned))
    };
    let kept: BTreeSet<_> = items(&after["tolerations"]).iter().map(said).collect();
    if !items(&before["tolerations"]).iter().all(|old| kept.contains(&said(old))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(&path.child("tolerations"), detail));
    }
}

fn munged(after: &Value, before: &Value) -> Value {
    let mut spec = after.clone();
    for list in ["containers", "initContainers"] {
        for (new, old) in items_mut(&mut spec, list).zip(items(&before[list])) {
            walk::put(new, "image", old["image"].clone());
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        walk::put(&mut spec, field, before[field].clone());
    }
    let grace = "terminationGracePeriodSeconds";
    if int(&before[grace]) < 0 && int(&after[grace]) == 1 {
        walk::put(&mut spec, grace, before[grace].clone());
    }
    spec
}

/// Paths of what differs, for the user to see.
fn changed_fields(after: &Value, before: &Value) -> String {
    let mut found = Vec::new();
    differences(after, before, "spec", &mut found);
    found.join(", ")
}

fn differences(after: &Value, before: &Value, path: &str, found: &mut Vec<String>) {
    if after == before || found.len() >= LISTED_MAX {
        return;
    }
    match (after, before) {
        (Value::Object(_), Value::Object(_)) => {
            let gone = entries(before).filter(|(name, _)| after[*name].is_null());
            for (name, _) in entries(after).chain(gone) {
                differences(&after[name], &before[name], &format!("{path}.{name}"), found);
            }
        }
        (Value::Array(new), Value::Array(old)) if new.len() == old.len() => {
            for (index, (new, old)) in new.iter().zip(old).enumerate() {
                differences(new, old, &format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}
