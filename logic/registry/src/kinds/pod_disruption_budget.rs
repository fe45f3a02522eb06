//! PodDisruptionBudget: how many pods may be away at once by choice.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{self, int, present};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    older: older::POD_DISRUPTION_BUDGET,
    short_names: &["pdb"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Min Available", "The minimum number of pods that must be available."),
        Column::text("Max Unavailable", "The maximum number of pods that may be unavailable."),
        Column::number(
            "Allowed Disruptions",
            "Calculated number of pods that may be disrupted at this time.",
        ),
        AGE,
    ],
    cells: print,
    prepare_create: |budget| {
        let status =
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        walk::put(budget, "status", status);
        meta::set_generation(budget, 1);
    },
    prepare_update: strategy::update_with_status,
    validate,
    generation: true,
    ..base::<PodDisruptionBudget>("poddisruptionbudget")
};

fn print(budget: &Object, now: Timestamp) -> Vec<Value> {
    let shown = |field: &str| match &budget["spec"][field] {
        Value::Null => "N/A".to_owned(),
        Value::String(percent) => percent.clone(),
        number => number.to_string(),
    };
    vec![
        cells::name(budget),
        shown("minAvailable").into(),
        shown("maxUnavailable").into(),
        int(&budget["status"]["disruptionsAllowed"]).into(),
        cells::aged(budget, now),
    ]
}

fn validate(budget: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(budget);
    let (spec, path) = (&budget["spec"], Path::new("spec"));
    if present(&spec["minAvailable"]) && present(&spec["maxUnavailable"]) {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid(&path, spec.clone(), detail));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        workload::int_or_percent(&spec[field], &path.child(field), &mut errors);
    }
    workload::label_selector(&spec["selector"], &path.child("selector"), &mut errors);
    if present(&spec["unhealthyPodEvictionPolicy"]) {
        supported(
            spec,
            "unhealthyPodEvictionPolicy",
            &["AlwaysAllow", "IfHealthyBudget"],
            &path,
            &mut errors,
        );
    }
    errors
}
