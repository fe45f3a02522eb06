//! StatefulSet: pods with names that stay (H4).

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::older;
use crate::printed::{AGE, CONTAINERS, IMAGES, NAME};
use crate::strategy;
use crate::walk::{self, default_to, entries, int, items_mut, member, text};
use crate::workload;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const KIND: Kind = Kind {
    short_names: &["sts"],
    categories: &["all"],
    subresources: &[Subresource::Scale, Subresource::Status],
    older: older::STATEFUL_SET,
    columns: &[NAME, Column::text("Ready", "Number of the pod with ready state"), AGE, CONTAINERS, IMAGES],
    cells: print,
    default,
    prepare_create: |set| {
        walk::put(set, "status", json!({"replicas": 0}));
        meta::set_generation(set, 1);
    },
    prepare_update: strategy::update_with_status,
    validate,
    validate_update,
    generation: true,
    ..base::<StatefulSet>("statefulset")
};

/// What may change in a set that exists (H4.11).
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn print(set: &Object, now: Timestamp) -> Vec<Value> {
    let [containers, images] = cells::containers_and_images(&set["spec"]["template"]);
    let ready = format!("{}/{}", int(&set["status"]["readyReplicas"]), int(&set["spec"]["replicas"]));
    vec![cells::name(set), ready.into(), cells::aged(set, now), containers, images]
}

fn default(set: &mut Object) {
    let Some(spec) = member(set, "spec") else { return };
    workload::defaults(spec);
    default_to(spec, "podManagementPolicy", "OrderedReady");
    default_to(spec, "revisionHistoryLimit", 10);
    let strategy = walk::object(spec, "updateStrategy");
    default_to(strategy, "type", "RollingUpdate");
    if text(&strategy["type"]) == "RollingUpdate" {
        default_to(walk::object(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = walk::object(spec, "persistentVolumeClaimRetentionPolicy");
    default_to(retention, "whenDeleted", "Retain");
    default_to(retention, "whenScaled", "Retain");
    for claim in items_mut(spec, "volumeClaimTemplates") {
        default_to(walk::object(claim, "spec"), "volumeMode", "Filesystem");
        default_to(walk::object(claim, "status"), "phase", "Pending");
    }
}

fn validate(set: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate(set, true, names::dns1123_subdomain);
    let (spec, path) = (&set["spec"], Path::new("spec"));
    crate::pod_spec::spec::supported(
        spec,
        "podManagementPolicy",
        &["OrderedReady", "Parallel"],
        &path,
        &mut errors,
    );
    let strategy = &spec["updateStrategy"];
    let at = path.child("updateStrategy");
    crate::pod_spec::spec::supported(strategy, "type", &["RollingUpdate", "OnDelete"], &at, &mut errors);
    workload::not_negative(&strategy["rollingUpdate"], "partition", &at.child("rollingUpdate"), &mut errors);
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        workload::not_negative(spec, field, &path, &mut errors);
    }
    workload::selector(spec, "statefulset", &path, &mut errors);
    // Claims become volumes of the pods: mounts may name them.
    workload::template(&with_claim_volumes(spec), &path, &mut errors);
    errors
}

fn with_claim_volumes(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let claims = spec["volumeClaimTemplates"].clone();
    let Some(pod) = walk::at(&mut spec, &["template", "spec"]).filter(|pod| pod.is_object()) else {
        return spec;
    };
    default_to(pod, "volumes", json!([]));
    let Some(volumes) = member(pod, "volumes").and_then(Value::as_array_mut) else { return spec };
    let mut known: BTreeSet<String> = volumes.iter().map(|volume| text(&volume["name"]).to_owned()).collect();
    for claim in walk::items(&claims) {
        let name = text(&claim["metadata"]["name"]);
        if known.insert(name.to_owned()) {
            volumes.push(json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        }
    }
    spec
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let fixed = |spec: &Value| -> Vec<(String, Value)> {
        let kept = entries(spec).filter(|(name, _)| !MUTABLE.contains(name));
        kept.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    };
    if fixed(&new["spec"]) != fixed(&old["spec"]) {
        let (last, first) = (MUTABLE[6], MUTABLE[..6].join("', '"));
        let detail =
            format!("updates to statefulset spec for fields other than '{first}' and '{last}' are forbidden");
        errors.push(FieldError::forbidden(&Path::new("spec"), detail));
    }
    errors
}
