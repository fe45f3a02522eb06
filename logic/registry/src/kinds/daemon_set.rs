//! DaemonSet: a pod on every node (H5).

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy::{self, immutable};
use crate::walk::{self, default_to, member, text};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["ds"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    older: older::DAEMON_SET,
    columns: &[
        NAME,
        Column::number(
            "Desired",
            "The total number of nodes that should be running the daemon pod (including nodes correctly running the daemon pod).",
        ),
        Column::number(
            "Current",
            "The number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod.",
        ),
        Column::number(
            "Ready",
            "numberReady is the number of nodes that should be running the daemon pod and have one or more of the daemon pod running with a Ready Condition.",
        ),
        Column::number("Up-to-date", "The total number of nodes that are running updated daemon pod"),
        Column::number(
            "Available",
            "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available (ready for at least spec.minReadySeconds)",
        ),
        Column::text(
            "Node Selector",
            "NodeSelector is a selector which must be true for the pod to fit on a node.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column::text("Selector", "A label query over pods that are managed by the daemon set.").wide(),
    ],
    cells: print,
    default,
    prepare_create: |set| {
        let status = json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0});
        walk::put(set, "status", status);
        meta::set_generation(set, 1);
        let given = template_generation(set);
        note_template_generation(set, given.max(1));
    },
    prepare_update: |new, old| {
        strategy::update_with_status(new, old);
        let changed = new["spec"]["template"] != old["spec"]["template"];
        note_template_generation(new, template_generation(old).max(1) + i64::from(changed));
    },
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        let path = Path::new("spec.selector");
        errors.extend(immutable(&new["spec"]["selector"], &old["spec"]["selector"], &path));
        errors
    },
    generation: true,
    ..base::<DaemonSet>("daemonset")
};

/// How often the template was changed; apps/v1 keeps it as an annotation, and pods carry it as a label.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn template_generation(set: &Object) -> i64 {
    text(&set["metadata"]["annotations"][TEMPLATE_GENERATION]).parse().unwrap_or(0)
}

fn note_template_generation(set: &mut Object, generation: i64) {
    let notes = walk::object(walk::object(set, "metadata"), "annotations");
    walk::put(notes, TEMPLATE_GENERATION, generation.to_string());
}

fn print(set: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let [containers, images] = cells::containers_and_images(&spec["template"]);
    let numbers = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    ];
    let mut cells = vec![cells::name(set)];
    cells.extend(numbers.map(|field| cells::number(&status[field])));
    cells.extend([
        cells::label_map(&spec["template"]["spec"]["nodeSelector"]),
        cells::aged(set, now),
        containers,
        images,
        cells::selector(&spec["selector"]),
    ]);
    cells
}

fn default(set: &mut Object) {
    let Some(spec) = member(set, "spec") else { return };
    workload::template_defaults(spec);
    default_to(spec, "revisionHistoryLimit", 10);
    let strategy = walk::object(spec, "updateStrategy");
    default_to(strategy, "type", "RollingUpdate");
    if text(&strategy["type"]) == "RollingUpdate" {
        let rolling = walk::object(strategy, "rollingUpdate");
        default_to(rolling, "maxUnavailable", 1);
        default_to(rolling, "maxSurge", 0);
    }
}

fn validate(set: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(set);
    let (spec, path) = (&set["spec"], Path::new("spec"));
    workload::selector(spec, "daemonset", &path, &mut errors);
    workload::template(spec, &path, &mut errors);
    workload::not_negative(spec, "minReadySeconds", &path, &mut errors);
    workload::not_negative(spec, "revisionHistoryLimit", &path, &mut errors);
    let (strategy, at) = (&spec["updateStrategy"], path.child("updateStrategy"));
    crate::pod_spec::spec::supported(strategy, "type", &["RollingUpdate", "OnDelete"], &at, &mut errors);
    let (rolling, at) = (&strategy["rollingUpdate"], at.child("rollingUpdate"));
    for field in ["maxUnavailable", "maxSurge"] {
        workload::int_or_percent(&rolling[field], &at.child(field), &mut errors);
    }
    let zero =
        |field: &str| rolling[field].as_i64().or_else(|| workload::percent(&rolling[field])) == Some(0);
    if zero("maxUnavailable") && zero("maxSurge") {
        let detail = "cannot be 0 when maxSurge is 0";
        errors.push(FieldError::invalid(
            &at.child("maxUnavailable"),
            rolling["maxUnavailable"].clone(),
            detail,
        ));
    }
    errors
}
