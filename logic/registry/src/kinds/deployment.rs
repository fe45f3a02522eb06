//! Deployment: rules of its strategy (H2); template and selector rules are in `crate::workload`.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::pod_spec;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy::{self, immutable};
use crate::walk::{self, default_to, int, member, text};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["deploy"],
    categories: &["all"],
    subresources: &[Subresource::Scale, Subresource::Status],
    older: older::DEPLOYMENT,
    columns: &[
        NAME,
        Column::text("Ready", "Number of the pod with ready state"),
        Column::text("Up-to-date", "Total number of non-terminated pods targeted by this deployment that have the desired template spec."),
        Column::text("Available", "Total number of available pods (ready for at least minReadySeconds) targeted by this deployment."),
        AGE,
        CONTAINERS,
        IMAGES,
        Column::text("Selector", "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by this deployment.").wide(),
    ],
    cells: print,
    default,
    prepare_create: strategy::create_with_status,
    prepare_update: |new, old| {
        strategy::update_with_status(new, old);
        // Annotations hold the change cause, which the controller copies.
        strategy::count_generation(new, old, &["/spec", "/metadata/annotations"]);
    },
    validate,
    validate_update,
    validate_status_update,
    warnings,
    generation: true,
    ..base::<Deployment>("deployment")
};

fn print(deployment: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let [containers, images] = cells::containers_and_images(&spec["template"]);
    vec![
        cells::name(deployment),
        format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"])).into(),
        cells::number(&status["updatedReplicas"]),
        cells::number(&status["availableReplicas"]),
        cells::aged(deployment, now),
        containers,
        images,
        cells::selector(&spec["selector"]),
    ]
}

/// H2.1.
fn default(deployment: &mut Object) {
    let Some(spec) = member(deployment, "spec") else { return };
    workload::defaults(spec);
    default_to(spec, "strategy", json!({}));
    if let Some(strategy) = member(spec, "strategy") {
        default_to(strategy, "type", "RollingUpdate");
        if text(&strategy["type"]) == "RollingUpdate" {
            let rolling = walk::object(strategy, "rollingUpdate");
            default_to(rolling, "maxUnavailable", "25%");
            default_to(rolling, "maxSurge", "25%");
        }
    }
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
}

fn validate(deployment: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(deployment);
    let (spec, path) = (&deployment["spec"], Path::new("spec"));
    workload::not_negative(spec, "replicas", &path, &mut errors);
    workload::selector(spec, "deployment", &path, &mut errors);
    workload::template(spec, &path, &mut errors);
    validate_strategy(&spec["strategy"], &path.child("strategy"), &mut errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        workload::not_negative(spec, field, &path, &mut errors);
    }
    let deadline = &spec["progressDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|deadline| deadline <= int(&spec["minReadySeconds"])) {
        let at = path.child("progressDeadlineSeconds");
        errors.push(FieldError::invalid(&at, deadline.clone(), "must be greater than minReadySeconds"));
    }
    errors
}

/// H2.2.
fn validate_strategy(strategy: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let (rolling, at) = (&strategy["rollingUpdate"], path.child("rollingUpdate"));
    match text(&strategy["type"]) {
        "Recreate" if !rolling.is_null() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(&at, detail));
        }
        "Recreate" => {}
        "RollingUpdate" => validate_rolling(rolling, &at, errors),
        other => {
            errors.push(FieldError::not_supported(&path.child("type"), other, ["Recreate", "RollingUpdate"]))
        }
    }
}

fn validate_rolling(rolling: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    workload::int_or_percent(unavailable, &at.child("maxUnavailable"), errors);
    workload::int_or_percent(surge, &at.child("maxSurge"), errors);
    let zero = |value: &Value| value.as_i64().or_else(|| workload::percent(value)) == Some(0);
    if zero(unavailable) && zero(surge) {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(&at.child("maxUnavailable"), unavailable.clone(), detail));
    }
    if workload::percent(unavailable).is_some_and(|percent| percent > 100) {
        let detail = "must not be greater than 100%";
        errors.push(FieldError::invalid(&at.child("maxUnavailable"), unavailable.clone(), detail));
    }
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let path = Path::new("spec.selector");
    errors.extend(immutable(&new["spec"]["selector"], &old["spec"]["selector"], &path));
    errors
}

fn validate_status_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let path = Path::new("status");
    let fields = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"];
    for field in fields {
        workload::not_negative(&new["status"], field, &path, &mut errors);
    }
    errors
}

fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let template = &new["spec"]["template"];
    if old.is_some_and(|old| old["spec"]["template"] == *template) {
        return Vec::new();
    }
    pod_spec::warnings(&template["spec"], &Path::new("spec.template.spec"))
}
