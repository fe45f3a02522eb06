//! ReplicaSet: so many pods of one template (H3).

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy::{self, immutable};
use crate::walk::{self, int, member};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["rs"],
    categories: &["all"],
    subresources: &[Subresource::Scale, Subresource::Status],
    older: older::REPLICA_SET,
    columns: &[
        NAME,
        Column::number("Desired", "Replicas is the number of desired pods. This is a pointer to distinguish between explicit zero and unspecified. Defaults to 1."),
        Column::number("Current", "Replicas is the most recently observed number of non-terminating pods."),
        Column::number("Ready", "The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition."),
        AGE,
        CONTAINERS,
        IMAGES,
        Column::text("Selector", "Selector is a label query over pods that should match the replica count. Label keys and values that must match in order to be controlled by this replica set. It must match the pod template's labels.").wide(),
    ],
    cells: print,
    default: |set| {
        if let Some(spec) = member(set, "spec") {
            workload::defaults(spec);
        }
    },
    prepare_create: |set| {
        walk::put(set, "status", json!({"replicas": 0}));
        meta::set_generation(set, 1);
    },
    prepare_update: strategy::update_with_status,
    validate,
    validate_update,
    validate_status_update,
    selectable: &["status.replicas"],
    select: |set, field| (field == "status.replicas").then(|| int(&set["status"]["replicas"]).to_string()),
    generation: true,
    ..base::<ReplicaSet>("replicaset")
};

fn print(set: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let [containers, images] = cells::containers_and_images(&spec["template"]);
    vec![
        cells::name(set),
        cells::number(&spec["replicas"]),
        cells::number(&status["replicas"]),
        cells::number(&status["readyReplicas"]),
        cells::aged(set, now),
        containers,
        images,
        cells::selector(&spec["selector"]),
    ]
}

fn validate(set: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(set);
    let (spec, path) = (&set["spec"], Path::new("spec"));
    workload::not_negative(spec, "replicas", &path, &mut errors);
    workload::not_negative(spec, "minReadySeconds", &path, &mut errors);
    workload::selector(spec, "deployment", &path, &mut errors);
    workload::template(spec, &path, &mut errors);
    errors
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let path = Path::new("spec.selector");
    errors.extend(immutable(&new["spec"]["selector"], &old["spec"]["selector"], &path));
    errors
}

fn validate_status_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let (status, path) = (&new["status"], Path::new("status"));
    let replicas = int(&status["replicas"]);
    for field in
        ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"]
    {
        workload::not_negative(status, field, &path, &mut errors);
    }
    for field in ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] {
        let number = int(&status[field]);
        if number > replicas {
            let detail = "cannot be greater than status.replicas";
            errors.push(FieldError::invalid(&path.child(field), number, detail));
        }
    }
    if int(&status["availableReplicas"]) > int(&status["readyReplicas"]) {
        let detail = "cannot be greater than readyReplicas";
        errors.push(FieldError::invalid(
            &path.child("availableReplicas"),
            int(&status["availableReplicas"]),
            detail,
        ));
    }
    errors
}
