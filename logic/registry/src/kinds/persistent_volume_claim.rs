//! PersistentVolumeClaim: storage a pod asks for.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::printed::{AGE, NAME};
use crate::storage;
use crate::strategy;
use crate::walk::{self, default_to, member, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::quantity::Quantity;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["pvc"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Status", "phase represents the current phase of PersistentVolumeClaim."),
        Column::text(
            "Volume",
            "volumeName is the binding reference to the PersistentVolume backing this claim.",
        ),
        Column::text("Capacity", "capacity represents the actual resources of the underlying volume."),
        Column::text(
            "Access Modes",
            "accessModes contains the actual access modes the volume backing the PVC has.",
        ),
        Column::text("StorageClass", "StorageClass of the pvc"),
        Column::text("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
        AGE,
        Column::text("VolumeMode", "volumeMode defines what type of volume is required by the claim.").wide(),
    ],
    cells: print,
    default: |claim| {
        if let Some(spec) = member(claim, "spec") {
            default_to(spec, "volumeMode", "Filesystem");
        }
    },
    prepare_create: |claim| {
        walk::put(claim, "status", json!({"phase": "Pending"}));
        storage::protect(claim, "kubernetes.io/pvc-protection");
    },
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::keep(new, old, "status");
    },
    validate,
    validate_update,
    ..base::<PersistentVolumeClaim>("persistentvolumeclaim")
};

fn print(claim: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&claim["spec"], &claim["status"]);
    let bound = !text(&spec["volumeName"]).is_empty();
    let (capacity, modes) = match bound {
        true => {
            (text(&status["capacity"]["storage"]).to_owned(), storage::access_modes(&status["accessModes"]))
        }
        false => (String::new(), String::new()),
    };
    let deleting = meta::deletion_timestamp(claim).is_some();
    let attributes = match text(&spec["volumeAttributesClassName"]) {
        "" => "<unset>",
        class => class,
    };
    vec![
        cells::name(claim),
        if deleting { "Terminating" } else { text(&status["phase"]) }.into(),
        text(&spec["volumeName"]).into(),
        capacity.into(),
        modes.into(),
        text(&spec["storageClassName"]).into(),
        attributes.into(),
        cells::aged(claim, now),
        text(&spec["volumeMode"]).into(),
    ]
}

fn validate(claim: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(claim);
    let (spec, path) = (&claim["spec"], Path::new("spec"));
    storage::validate_access_modes(spec, &path, &mut errors);
    let at = path.child("resources").key("storage");
    storage::validate_size(&spec["resources"]["requests"]["storage"], &at, &mut errors);
    errors
}

/// Only the attributes class and, once it is bound, the size may change, and the volume once.
fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let mut after = new["spec"].clone();
    let bound = text(&old["status"]["phase"]) == "Bound";
    for field in ["resources", "volumeAttributesClassName"] {
        if bound || field != "resources" {
            walk::put(&mut after, field, old["spec"][field].clone());
        }
    }
    errors.extend(shrinks(new, old));
    if text(&old["spec"]["volumeName"]).is_empty() {
        walk::put(&mut after, "volumeName", Value::Null);
    }
    // A claim of before there was a default class may still get it.
    if old["spec"]["storageClassName"].is_null() {
        walk::put(&mut after, "storageClassName", Value::Null);
    }
    if after != old["spec"] {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden(&Path::new("spec"), detail));
    }
    errors
}

/// A claim may ask for less again, but never for less than it has: a volume does not shrink.
fn shrinks(new: &Object, old: &Object) -> Option<FieldError> {
    let bytes = |size: &Value| size.as_str().and_then(|size| Some(Quantity::parse(size).ok()?.value()));
    let size = |claim: &Object| bytes(&claim["spec"]["resources"]["requests"]["storage"]);
    let held = bytes(&old["status"]["capacity"]["storage"]).unwrap_or(0);
    let at = Path::new("spec").child("resources").child("requests").child("storage");
    let wrong = size(new)? < size(old)? && size(new)? <= held;
    wrong.then(|| FieldError::forbidden(&at, "field can not be less than status.capacity"))
}
