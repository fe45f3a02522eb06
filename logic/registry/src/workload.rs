//! Rules that Deployments, ReplicaSets and their siblings share: label selectors and pod templates (H1.4).

use crate::metadata::{self, NOT_NEGATIVE, checked};
use crate::pod_spec::spec;
use crate::walk::{self, default_to, entries, int, items, member, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{LabelSelector, meta, names};
use serde_json::Value;

/// Defaults of `spec.template` (its `metadata` is left alone) and of `replicas`.
pub fn defaults(spec: &mut Value) {
    default_to(spec, "replicas", 1);
    template_defaults(spec);
}

/// Defaults of `spec.template` alone.
pub fn template_defaults(spec: &mut Value) {
    if let Some(template) = walk::at(spec, &["template", "spec"]) {
        crate::pod_spec::defaults::template(template);
    }
}

/// A number that may be missing but not negative.
pub fn not_negative(spec: &Value, field: &str, path: &Path, errors: &mut Vec<FieldError>) {
    if let Some(number) = spec[field].as_i64().filter(|number| *number < 0) {
        errors.push(FieldError::invalid(&path.child(field), number, NOT_NEGATIVE));
    }
}

/// The selector of a workload, by the name upstream's message has for it: there, not empty, well formed.
pub fn selector(spec: &Value, workload: &str, path: &Path, errors: &mut Vec<FieldError>) {
    let (selector, at) = (&spec["selector"], path.child("selector"));
    if !present(selector) {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    label_selector(selector, &at, errors);
    if !present(&selector["matchLabels"]) && !present(&selector["matchExpressions"]) {
        let detail = format!("empty selector is invalid for {workload}");
        errors.push(FieldError::invalid(&at, selector.clone(), detail));
    }
}

/// A `metav1.LabelSelector`.
pub fn label_selector(selector: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    errors.extend(metadata::labels(&selector["matchLabels"], &at.child("matchLabels")));
    for (index, term) in items(&selector["matchExpressions"]).iter().enumerate() {
        expression(term, &at.child("matchExpressions").index(index), errors);
    }
}

fn expression(term: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let (operator, given) = (text(&term["operator"]), present(&term["values"]));
    let values = at.child("values");
    match operator {
        "In" | "NotIn" if !given => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&values, detail));
        }
        "Exists" | "DoesNotExist" if given => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => {
            errors.push(FieldError::invalid(&at.child("operator"), operator, "not a valid selector operator"))
        }
    }
    let key = text(&term["key"]);
    errors.extend(checked(&at.child("key"), key, names::qualified_name(key)));
    for (index, value) in walk::texts(&term["values"]).into_iter().enumerate() {
        errors.extend(checked(&values.index(index), value, names::label_value(value)));
    }
}

/// The template of a workload whose pods run for ever.
pub fn template(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (template, at) = (&spec["template"], path.child("template"));
    if !present(template) {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    matches_selector(spec, &at, errors);
    errors.extend(spec::validate_template(template, &at));
    let policy = text(&template["spec"]["restartPolicy"]);
    let here = at.child("spec");
    if spec::RESTART_POLICIES.contains(&policy) && policy != "Always" {
        errors.push(FieldError::not_supported(&here.child("restartPolicy"), policy, ["Always"]));
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(&here.child("activeDeadlineSeconds"), detail));
    }
}

fn matches_selector(spec: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let labels = &spec["template"]["metadata"]["labels"];
    let Ok(selector) = LabelSelector::from_json(&spec["selector"]) else { return };
    if present(&spec["selector"]) && !selector.matches(&meta::labels(&spec["template"])) {
        let at = at.child("metadata").child("labels");
        let shown = if labels.is_null() { Value::Object(Default::default()) } else { labels.clone() };
        errors.push(FieldError::invalid(&at, shown, "`selector` does not match template `labels`"));
    }
}

/// A whole number or a percentage, neither negative.
pub fn int_or_percent(value: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(percent) if names::percent(percent).is_err() => {
            errors.push(FieldError::invalid(
                at,
                percent.as_str(),
                "must be an integer or percentage (e.g '5%%')",
            ));
        }
        Value::Number(_) if int(value) < 0 => {
            errors.push(FieldError::invalid(at, int(value), NOT_NEGATIVE));
        }
        _ => {}
    }
}

/// The percentage, if the value is one.
pub fn percent(value: &Value) -> Option<i64> {
    text(value).strip_suffix('%')?.parse().ok()
}

/// The selector old versions derive from the template's labels, and the labels of the object itself.
pub fn derive_from_template(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if entries(&labels).next().is_none() {
        return;
    }
    if let Some(spec) = member(object, "spec").filter(|spec| !present(&spec["selector"])) {
        walk::put(walk::object(spec, "selector"), "matchLabels", labels.clone());
    }
    if !present(&object["metadata"]["labels"]) {
        walk::put(walk::object(object, "metadata"), "labels", labels);
    }
}
