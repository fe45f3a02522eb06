//! StorageClass: where volumes come from.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::older;
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::strategy::immutable;
use crate::walk::{default_to, flag, present, text};
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::StorageClass;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    older: older::STORAGE_CLASS,
    short_names: &["sc"],
    columns: &[
        NAME,
        Column::text("Provisioner", "provisioner indicates the type of the provisioner."),
        Column::text(
            "ReclaimPolicy",
            "reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class.",
        ),
        Column::text(
            "VolumeBindingMode",
            "volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound.",
        ),
        Column {
            r#type: "boolean",
            ..Column::text(
                "AllowVolumeExpansion",
                "allowVolumeExpansion shows whether the storage class allow volume expand.",
            )
        },
        AGE,
    ],
    cells: print,
    default: |class| {
        default_to(class, "reclaimPolicy", "Delete");
        default_to(class, "volumeBindingMode", "Immediate");
    },
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            errors.extend(immutable(&new[field], &old[field], &Path::new(field)));
        }
        errors
    },
    create_on_update: true,
    ..base::<StorageClass>("storageclass")
};

const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

fn print(class: &Object, now: Timestamp) -> Vec<Value> {
    let default = DEFAULT.into_iter().any(|name| meta::annotation(class, name) == Some("true"));
    let name =
        if default { format!("{} (default)", meta::name(class)) } else { meta::name(class).to_owned() };
    vec![
        name.into(),
        text(&class["provisioner"]).into(),
        text(&class["reclaimPolicy"]).into(),
        text(&class["volumeBindingMode"]).into(),
        flag(&class["allowVolumeExpansion"]).into(),
        cells::aged(class, now),
    ]
}

fn validate(class: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(class);
    if !present(&class["provisioner"]) {
        errors.push(FieldError::required(&Path::new("provisioner"), ""));
    }
    let root = Path::new("");
    supported(class, "reclaimPolicy", &["Delete", "Retain"], &root, &mut errors);
    supported(class, "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"], &root, &mut errors);
    errors
}
