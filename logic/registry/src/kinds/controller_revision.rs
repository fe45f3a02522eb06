//! ControllerRevision: what a StatefulSet or DaemonSet looked like once.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::printed::{AGE, NAME};
use crate::strategy::immutable;
use crate::walk::int;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    columns: &[
        NAME,
        Column::text("Controller", "Controller of the object"),
        Column::number("Revision", "revision indicates the revision of the state represented by data."),
        AGE,
    ],
    cells: print,
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        errors.extend(immutable(&new["data"], &old["data"], &Path::new("data")));
        errors
    },
    ..base::<ControllerRevision>("controllerrevision")
};

fn print(revision: &Object, now: Timestamp) -> Vec<Value> {
    let controller = meta::controller_of(revision).map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let group =
                owner.api_version.split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
            format!("{}{group}/{}", owner.kind.to_lowercase(), owner.name)
        },
    );
    vec![
        cells::name(revision),
        controller.into(),
        int(&revision["revision"]).into(),
        cells::aged(revision, now),
    ]
}

fn validate(revision: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(revision);
    if revision["data"].is_null() {
        errors.push(FieldError::required(&Path::new("data"), "data is mandatory"));
    }
    if int(&revision["revision"]) < 0 {
        let path = Path::new("revision");
        errors.push(FieldError::invalid(&path, int(&revision["revision"]), metadata::NOT_NEGATIVE));
    }
    errors
}
