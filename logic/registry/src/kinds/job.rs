//! Job: pods that run until enough of them succeeded (H6).

mod indexes;
mod policy;
pub mod rules;

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy;
use crate::walk::{self, default_to, flag, int, items, items_mut, member, present, text};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, age, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    categories: &["all"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Status", "Status of the job."),
        Column::text("Completions", "Number of successful completions, of those wanted."),
        Column::text("Duration", "Time required to complete the job."),
        AGE,
        CONTAINERS,
        IMAGES,
        Column::text("Selector", "A label query over pods that should match the pod count.").wide(),
    ],
    cells: print,
    default,
    prepare_create: |job| {
        strategy::create_with_status(job);
        generate_selector(job);
    },
    prepare_update: strategy::update_with_status,
    validate,
    validate_update,
    selectable: &["status.successful"],
    select: |job, field| (field == "status.successful").then(|| int(&job["status"]["succeeded"]).to_string()),
    selected_from: &[("status.successful", &["status.succeeded"])],
    generation: true,
    ..base::<Job>("job")
};

fn print(job: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&job["spec"], &job["status"]);
    let [containers, images] = cells::containers_and_images(&spec["template"]);
    vec![
        cells::name(job),
        state(job).into(),
        completions(spec, status).into(),
        duration(status, now).into(),
        cells::aged(job, now),
        containers,
        images,
        cells::selector(&spec["selector"]),
    ]
}

fn state(job: &Object) -> &'static str {
    let conditions = items(&job["status"]["conditions"]);
    let has =
        |kind: &str| conditions.iter().any(|c| text(&c["type"]) == kind && text(&c["status"]) == "True");
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if meta::deletion_timestamp(job).is_some() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(spec: &Value, status: &Value) -> String {
    let done = int(&status["succeeded"]);
    match (spec["completions"].as_i64(), int(&spec["parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(status: &Value, now: Timestamp) -> String {
    let Ok(start) = text(&status["startTime"]).parse::<Timestamp>() else { return String::new() };
    let end = text(&status["completionTime"]).parse().unwrap_or(now);
    age::human(end.duration_since(start).as_secs())
}

/// H6.1.
fn default(job: &mut Object) {
    let Some(spec) = member(job, "spec") else { return };
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        default_to(spec, "completions", 1);
    }
    default_to(spec, "parallelism", 1);
    let limit = if spec["backoffLimitPerIndex"].is_null() { 6 } else { i64::from(i32::MAX) };
    default_to(spec, "backoffLimit", limit);
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    let replacement = if spec["podFailurePolicy"].is_null() { "TerminatingOrFailed" } else { "Failed" };
    default_to(spec, "podReplacementPolicy", replacement);
    if let Some(policy) = member(spec, "podFailurePolicy") {
        for rule in items_mut(policy, "rules") {
            items_mut(rule, "onPodConditions").for_each(|pattern| default_to(pattern, "status", "True"));
        }
    }
    workload::template_defaults(spec);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if present(&labels) && !present(&job["metadata"]["labels"]) {
        walk::put(walk::object(job, "metadata"), "labels", labels);
    }
}

/// H6.2: pods are told apart by the job's uid, in the old spelling and the new.
fn generate_selector(job: &mut Object) {
    let (uid, name) = (meta::uid(job).to_owned(), meta::name(job).to_owned());
    let Some(spec) = member(job, "spec").filter(|spec| !flag(&spec["manualSelector"])) else { return };
    if uid.is_empty() {
        return;
    }
    let labels = walk::object(walk::object(walk::object(spec, "template"), "metadata"), "labels");
    for prefix in ["", "batch.kubernetes.io/"] {
        walk::put(labels, &format!("{prefix}controller-uid"), uid.as_str());
        walk::put(labels, &format!("{prefix}job-name"), name.as_str());
    }
    let selector = walk::object(walk::object(spec, "selector"), "matchLabels");
    walk::put(selector, "batch.kubernetes.io/controller-uid", uid);
}

fn validate(job: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(job);
    rules::validate_spec(&job["spec"], &Path::new("spec"), &mut errors);
    rules::validate_name(job, &mut errors);
    errors
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    rules::validate_update(new, old, &mut errors);
    errors
}

#[cfg(test)]
mod tests;
