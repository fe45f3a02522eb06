//! Rules of a Job's policies: what failures mean, when it has succeeded, when a pod is replaced (H6.6, upstream:
//! validatePodFailurePolicy, validateSuccessPolicy, validatePodReplacementPolicy).

use super::indexes;
use crate::metadata::{NOT_NEGATIVE, checked};
use crate::walk::{int, items, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;
use std::collections::BTreeSet;

const RULES_MAX: usize = 20;
const CODES_MAX: usize = 255;
const PATTERNS_MAX: usize = 20;
const INDEXES_TEXT_MAX: usize = 64 * 1024;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// `spec.podFailurePolicy`.
pub fn on_failure(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    if job["podFailurePolicy"].is_null() {
        return;
    }
    let (rules, at) =
        (items(&job["podFailurePolicy"]["rules"]), path.child("podFailurePolicy").child("rules"));
    if rules.len() > RULES_MAX {
        errors.push(FieldError::too_many(&at, rules.len(), RULES_MAX));
    }
    let spec = &job["template"]["spec"];
    let containers = items(&spec["containers"]).iter().chain(items(&spec["initContainers"]));
    let containers: BTreeSet<&str> = containers.map(|container| text(&container["name"])).collect();
    for (index, rule) in rules.iter().enumerate() {
        let at = at.index(index);
        action(job, rule, &at, errors);
        let (codes, patterns) = (&rule["onExitCodes"], items(&rule["onPodConditions"]));
        if !codes.is_null() {
            exit_codes(codes, &at.child("onExitCodes"), &containers, errors);
        }
        conditions(patterns, &at.child("onPodConditions"), errors);
        let detail = match (!codes.is_null(), !patterns.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.push(FieldError::invalid_unsaid(&at, detail));
    }
}

/// `valid values: ["A" "B"]`, as upstream prints the list of a required choice.
fn choices(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

/// Required, and one of these.
fn choice(value: &Value, values: &[&'static str], at: &Path, errors: &mut Vec<FieldError>) {
    match text(value) {
        "" => errors.push(FieldError::required(at, choices(values))),
        given if !values.contains(&given) => {
            errors.push(FieldError::not_supported(at, given, values.iter().copied()));
        }
        _ => {}
    }
}

fn action(job: &Value, rule: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let at = at.child("action");
    choice(&rule["action"], &ACTIONS, &at, errors);
    if text(&rule["action"]) == "FailIndex" && job["backoffLimitPerIndex"].is_null() {
        let detail = "requires the backoffLimitPerIndex to be set";
        errors.push(FieldError::invalid(&at, "FailIndex", detail));
    }
}

fn exit_codes(codes: &Value, at: &Path, containers: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    choice(&codes["operator"], &OPERATORS, &at.child("operator"), errors);
    if let Some(name) = codes["containerName"].as_str().filter(|name| !containers.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(&at.child("containerName"), name, detail));
    }
    let (values, place) = (items(&codes["values"]), at.child("values"));
    if values.is_empty() {
        errors.push(FieldError::invalid(&place, codes["values"].clone(), "at least one value is required"));
    } else if values.len() > CODES_MAX {
        errors.push(FieldError::too_many(&place, values.len(), CODES_MAX));
    }
    let mut seen = BTreeSet::new();
    for (index, code) in values.iter().enumerate() {
        if text(&codes["operator"]) == "In" && int(code) == 0 {
            let detail = "must not be 0 for the In operator";
            errors.push(FieldError::invalid(&place.index(index), 0, detail));
        }
        if !seen.insert(int(code)) {
            errors.push(FieldError::duplicate(&place.index(index), code.clone()));
        }
    }
    if !values.is_sorted_by_key(int) {
        errors.push(FieldError::invalid(&place, codes["values"].clone(), "must be ordered"));
    }
}

fn conditions(patterns: &[Value], at: &Path, errors: &mut Vec<FieldError>) {
    if patterns.len() > PATTERNS_MAX {
        errors.push(FieldError::too_many(at, patterns.len(), PATTERNS_MAX));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let (at, kind) = (at.index(index), text(&pattern["type"]));
        errors.extend(checked(&at.child("type"), kind, names::qualified_name(kind)));
        choice(&pattern["status"], &STATUSES, &at.child("status"), errors);
    }
}

/// `spec.successPolicy`.
pub fn on_success(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (policy, at) = (&job["successPolicy"], path.child("successPolicy"));
    if policy.is_null() {
        return;
    }
    if text(&job["completionMode"]) != "Indexed" {
        errors.push(FieldError::invalid(&at, policy.clone(), "requires indexed completion mode"));
        return;
    }
    let (rules, at) = (items(&policy["rules"]), at.child("rules"));
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(&at, detail));
    }
    if rules.len() > RULES_MAX {
        errors.push(FieldError::too_many(&at, rules.len(), RULES_MAX));
    }
    // Without completions there is nothing to compare with, and their absence is an error already.
    let Some(completions) = job["completions"].as_i64() else { return };
    for (index, rule) in rules.iter().enumerate() {
        success(rule, completions, &at.index(index), errors);
    }
}

fn success(rule: &Value, completions: i64, at: &Path, errors: &mut Vec<FieldError>) {
    let (count, wanted) = (rule["succeededCount"].as_i64(), rule["succeededIndexes"].as_str());
    if count.is_none() && wanted.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(at, detail));
    }
    let indexes = at.child("succeededIndexes");
    let mut total = 0;
    if let Some(wanted) = wanted {
        if wanted.len() > INDEXES_TEXT_MAX {
            errors.push(FieldError::too_long(&indexes, INDEXES_TEXT_MAX));
        }
        match indexes::count(wanted, completions) {
            Ok(number) => total = number,
            Err(why) => {
                let detail = format!("error parsing succeededIndexes: {why}");
                errors.push(FieldError::invalid(&indexes, wanted, detail));
            }
        }
    }
    let Some(count) = count else { return };
    let at = at.child("succeededCount");
    if count < 0 {
        errors.push(FieldError::invalid(&at, count, NOT_NEGATIVE));
    }
    let mut within = |max: i64, what: &str| {
        if count > max {
            let detail = format!("must be less than or equal to {max} ({what})");
            errors.push(FieldError::invalid(&at, count, detail));
        }
    };
    within(completions, "the number of specified completions");
    if wanted.is_some() {
        within(total, "the number of indexes in the specified succeededIndexes field");
    }
}

/// `spec.podReplacementPolicy`.
pub fn on_replacement(job: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let policy = &job["podReplacementPolicy"];
    let supported: &[&str] =
        if job["podFailurePolicy"].is_null() { &["Failed", "TerminatingOrFailed"] } else { &["Failed"] };
    if present(policy) && !supported.contains(&text(policy)) {
        let at = path.child("podReplacementPolicy");
        errors.push(FieldError::not_supported(&at, text(policy), supported.iter().copied()));
    }
}
