//! PersistentVolume: storage there is.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::storage;
use crate::strategy;
use crate::walk::{self, default_to, entries, member, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolume;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["pv"],
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text("Capacity", "capacity is the description of the persistent volume's resources and capacity."),
        Column::text("Access Modes", "accessModes contains all ways the volume can be mounted."),
        Column::text("Reclaim Policy", "persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim."),
        Column::text("Status", "phase indicates if a volume is available, bound to a claim, or released by a claim."),
        Column::text("Claim", "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim."),
        Column::text("StorageClass", "StorageClass of the pv"),
        Column::text("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
        Column::text("Reason", "reason is a brief CamelCase string that describes any failure and is meant for machine parsing and tidy display in the CLI."),
        AGE,
        Column::text("VolumeMode", "volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block state.").wide(),
    ],
    cells: print,
    default,
    prepare_create: |volume| {
        walk::put(volume, "status", json!({"phase": "Pending"}));
        storage::protect(volume, "kubernetes.io/pv-protection");
    },
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::keep(new, old, "status");
    },
    validate,
    ..base::<PersistentVolume>("persistentvolume")
};

/// Members of the spec that are no source of storage.
const SETTINGS: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

fn print(volume: &Object, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&volume["spec"], &volume["status"]);
    let claim = match text(&spec["claimRef"]["name"]) {
        "" => String::new(),
        name => format!("{}/{name}", text(&spec["claimRef"]["namespace"])),
    };
    let deleting = meta::deletion_timestamp(volume).is_some();
    let attributes = match text(&spec["volumeAttributesClassName"]) {
        "" => "<unset>",
        class => class,
    };
    vec![
        cells::name(volume),
        text(&spec["capacity"]["storage"]).into(),
        storage::access_modes(&spec["accessModes"]).into(),
        text(&spec["persistentVolumeReclaimPolicy"]).into(),
        if deleting { "Terminating" } else { text(&status["phase"]) }.into(),
        claim.into(),
        text(&spec["storageClassName"]).into(),
        attributes.into(),
        text(&status["reason"]).into(),
        cells::aged(volume, now),
        text(&spec["volumeMode"]).into(),
    ]
}

fn default(volume: &mut Object) {
    let Some(spec) = member(volume, "spec") else { return };
    default_to(spec, "persistentVolumeReclaimPolicy", "Retain");
    default_to(spec, "volumeMode", "Filesystem");
    if let Some(path) = member(spec, "hostPath") {
        default_to(path, "type", "");
    }
}

fn validate(volume: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(volume);
    let (spec, path) = (&volume["spec"], Path::new("spec"));
    storage::validate_access_modes(spec, &path, &mut errors);
    storage::validate_size(&spec["capacity"]["storage"], &path.child("capacity").key("storage"), &mut errors);
    supported(spec, "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"], &path, &mut errors);
    let sources: Vec<&str> =
        entries(spec).map(|(name, _)| name).filter(|name| !SETTINGS.contains(name)).collect();
    if sources.is_empty() {
        errors.push(FieldError::required(&path, "must specify a volume type"));
    }
    for extra in sources.iter().skip(1) {
        errors.push(FieldError::forbidden(&path.child(extra), "may not specify more than 1 volume type"));
    }
    errors
}
