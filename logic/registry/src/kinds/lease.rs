//! Lease: who holds a role, and since when it has not said so.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::printed::{AGE, NAME};
use crate::walk::text;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;

pub const KIND: Kind = Kind {
    columns: &[
        NAME,
        Column::text("Holder", "holderIdentity contains the identity of the holder of a current lease."),
        AGE,
    ],
    cells: print,
    validate,
    create_on_update: true,
    unconditional_update: false,
    ..base::<Lease>("lease")
};

fn print(lease: &Object, now: Timestamp) -> Vec<Value> {
    let holder = text(&lease["spec"]["holderIdentity"]);
    vec![cells::name(lease), holder.into(), cells::aged(lease, now)]
}

fn validate(lease: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(lease);
    let (spec, path) = (&lease["spec"], Path::new("spec"));
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|seconds| *seconds <= 0) {
        errors.push(FieldError::invalid(
            &path.child("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        ));
    }
    if let Some(count) = spec["leaseTransitions"].as_i64().filter(|count| *count < 0) {
        errors.push(FieldError::invalid(&path.child("leaseTransitions"), count, metadata::NOT_NEGATIVE));
    }
    errors
}
