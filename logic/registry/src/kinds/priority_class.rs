//! PriorityClass: which pods go first.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::older;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::strategy::immutable;
use crate::walk::{default_to, flag, int, text};
use jiff::Timestamp;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    older: older::PRIORITY_CLASS,
    short_names: &["pc"],
    columns: &[
        NAME,
        Column::number("Value", "value represents the integer value of this priority class."),
        Column {
            r#type: "boolean",
            ..Column::text(
                "Global-Default",
                "globalDefault specifies whether this PriorityClass should be considered as the default priority for pods that do not have any priority class.",
            )
        },
        AGE,
        Column::text(
            "PreemptionPolicy",
            "preemptionPolicy is the Policy for preempting pods with lower priority.",
        ),
    ],
    cells: print,
    default: |class| default_to(class, "preemptionPolicy", "PreemptLowerPriority"),
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        let detail = "may not be changed in an update.";
        for field in ["value", "preemptionPolicy"] {
            let wrong = immutable(&new[field], &old[field], &Path::new(field));
            errors.extend(wrong.map(|error| FieldError::forbidden(&error.path, detail)));
        }
        errors
    },
    ..base::<PriorityClass>("priorityclass")
};

/// The highest value a user may give.
const VALUE_MAX: i64 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";

fn print(class: &Object, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(class),
        int(&class["value"]).into(),
        flag(&class["globalDefault"]).into(),
        cells::aged(class, now),
        text(&class["preemptionPolicy"]).into(),
    ]
}

fn validate(class: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(class);
    let (name, value) = (meta::name(class), int(&class["value"]));
    let system = matches!(
        (name, value),
        ("system-node-critical", 2_000_001_000) | ("system-cluster-critical", 2_000_000_000)
    );
    if name.starts_with(SYSTEM_PREFIX) && !system {
        let detail = "priority class names with 'system-' prefix are reserved for system use only";
        errors.push(FieldError::forbidden(&Path::new("metadata.name"), detail));
    } else if value > VALUE_MAX && !system {
        let detail = format!("maximum allowed value of a user defined priority is {VALUE_MAX}");
        errors.push(FieldError::forbidden(&Path::new("value"), detail));
    }
    supported(class, "preemptionPolicy", &["Never", "PreemptLowerPriority"], &Path::new(""), &mut errors);
    errors
}
