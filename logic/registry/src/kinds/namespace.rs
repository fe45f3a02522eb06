//! Namespace: kept by its finalizer until what is in it is gone.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{self, member, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;

use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["ns"],
    verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
    subresources: &[Subresource::Finalize, Subresource::Status],
    columns: &[NAME, Column::text("Status", "The status of the namespace"), AGE],
    cells: print,
    default,
    prepare_create,
    prepare_update,
    validate: |namespace| metadata::validate(namespace, false, names::dns1123_label),
    selectable: &["name", "status.phase"],
    selected_from: &[("name", &["metadata.name"])],
    select: |namespace, field| match field {
        "name" => Some(meta::name(namespace).to_owned()),
        "status.phase" => Some(text(&namespace["status"]["phase"]).to_owned()),
        _ => None,
    },
    ..base::<Namespace>("namespace")
};

/// The label every namespace has, so that selectors can name one.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

fn print(namespace: &Object, now: Timestamp) -> Vec<Value> {
    let phase = text(&namespace["status"]["phase"]);
    vec![cells::name(namespace), phase.into(), cells::aged(namespace, now)]
}

fn default(namespace: &mut Object) {
    let name = meta::name(namespace).to_owned();
    if !name.is_empty() {
        meta::set_label(namespace, NAME_LABEL, &name);
    }
}

fn prepare_create(namespace: &mut Object) {
    walk::put(namespace, "status", json!({"phase": "Active"}));
    let spec = walk::object(namespace, "spec");
    walk::default_to(spec, "finalizers", json!([]));
    if let Some(finalizers) = member(spec, "finalizers").and_then(Value::as_array_mut)
        && !finalizers.contains(&json!("kubernetes"))
    {
        finalizers.push(json!("kubernetes"));
    }
}

/// The finalizers of the spec change through `/finalize` alone.
fn prepare_update(new: &mut Object, old: &Object) {
    metadata::carry(new, old);
    strategy::keep(new, old, "status");
    let finalizers = old["spec"]["finalizers"].clone();
    walk::put(walk::object(new, "spec"), "finalizers", finalizers);
}
