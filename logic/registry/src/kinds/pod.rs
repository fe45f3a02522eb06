//! Pod: what workloads make and the node runs. Its spec's rules are in `crate::pod_spec`.

pub mod ephemeral;
mod print;
mod update;

use crate::base::base;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::pod_spec::{defaults, qos, spec};
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{self, flag, member, present, text};
use k8s_openapi::api::core::v1::Pod;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        Subresource::Attach,
        Subresource::Binding,
        Subresource::EphemeralContainers,
        Subresource::Eviction,
        Subresource::Exec,
        Subresource::Log,
        Subresource::PortForward,
        Subresource::Proxy,
        Subresource::Status,
    ],
    columns: &[
        NAME,
        Column::text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        Column::text("Status", "The aggregate status of the containers in this pod."),
        Column::text(
            "Restarts",
            "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
        ),
        AGE,
        Column::text("IP", "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.").wide(),
        Column::text("Node", "NodeName indicates in which node this pod is scheduled.").wide(),
        Column::text(
            "Nominated Node",
            "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right away as preemption victims receive their graceful termination periods.",
        )
        .wide(),
        Column::text(
            "Readiness Gates",
            "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers are ready AND all conditions specified in the readiness gates have status equal to \"True\"",
        )
        .wide(),
    ],
    cells: print::cells,
    shown: print::SHOWN,
    default: |pod| {
        if let Some(spec) = member(pod, "spec") {
            defaults::pod(spec);
        }
    },
    prepare_create,
    prepare_update: strategy::update_with_status,
    prepare_status_update,
    validate,
    validate_update: update::validate,
    validate_status_update: update::validate_status,
    warnings,
    selectable: &[
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
    ],
    select,
    selected_from: &[("status.podIP", &["status.podIP", "status.podIPs.ip"])],
    generation: true,
    graceful: true,
    ..base::<Pod>("pod")
};

fn prepare_create(pod: &mut Object) {
    if let Some(spec) = member(pod, "spec") {
        defaults::admission(spec);
    }
    let qos = qos(&pod["spec"]);
    let mut status = json!({"phase": "Pending", "qosClass": qos});
    if walk::present(&pod["spec"]["schedulingGates"]) {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        let gated = json!({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message});
        walk::put(&mut status, "conditions", json!([gated]));
    }
    walk::put(pod, "status", status);
    meta::set_generation(pod, 1);
}

/// The class of service is fixed at creation; the node writes the rest.
fn prepare_status_update(new: &mut Object, old: &Object) {
    strategy::status_update(new, old);
    if let Some(status) = member(new, "status") {
        walk::put(status, "qosClass", old["status"]["qosClass"].clone());
    }
}

fn validate(pod: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate(pod, true, names::dns1123_subdomain);
    errors.extend(spec::validate(&pod["spec"], &Path::new("spec")));
    errors
}

fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    if old.is_some_and(|old| old["spec"] == new["spec"]) {
        return Vec::new();
    }
    crate::pod_spec::warnings(&new["spec"], &Path::new("spec"))
}

fn select(pod: &Object, field: &str) -> Option<String> {
    let value: &Value = match field {
        "spec.hostNetwork" => return Some(flag(&pod["spec"]["hostNetwork"]).to_string()),
        "status.podIP" => match present(&pod["status"]["podIPs"]) {
            true => &pod["status"]["podIPs"][0]["ip"],
            false => &pod["status"]["podIP"],
        },
        _ => {
            let (part, name) = field.split_once('.')?;
            KIND.selectable.contains(&field).then(|| &pod[part][name])?
        }
    };
    Some(text(value).to_owned())
}

#[cfg(test)]
mod tests;
