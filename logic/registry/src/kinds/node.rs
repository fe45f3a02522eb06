//! Node: where pods run.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata::{self, checked};
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{flag, items, present, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::Value;
use std::collections::BTreeSet;

pub const KIND: Kind = Kind {
    short_names: &["no"],
    subresources: &[Subresource::Proxy, Subresource::Status],
    columns: &[
        NAME,
        Column::text("Status", "The status of the node"),
        Column::text("Roles", "The roles of the node"),
        AGE,
        Column::text("Version", "Kubelet Version reported by the node."),
        Column::text("Internal-IP", "List of addresses reachable to the node.").wide(),
        Column::text("External-IP", "List of addresses reachable to the node.").wide(),
        Column::text("OS-Image", "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).").wide(),
        Column::text("Kernel-Version", "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).").wide(),
        Column::text("Container-Runtime", "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).").wide(),
    ],
    cells: print,
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::keep(new, old, "status");
    },
    validate,
    validate_update,
    selectable: &["spec.unschedulable"],
    select: |node, field| (field == "spec.unschedulable").then(|| flag(&node["spec"]["unschedulable"]).to_string()),
    ..base::<Node>("node")
};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE: &str = "kubernetes.io/role";

fn print(node: &Object, now: Timestamp) -> Vec<Value> {
    let system = &node["status"]["nodeInfo"];
    let reported = |field: &str| match text(&system[field]) {
        "" => "<unknown>".to_owned(),
        value => value.to_owned(),
    };
    vec![
        cells::name(node),
        condition(node).into(),
        roles(node).into(),
        cells::aged(node, now),
        text(&system["kubeletVersion"]).into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        reported("osImage").into(),
        reported("kernelVersion").into(),
        reported("containerRuntimeVersion").into(),
    ]
}

fn condition(node: &Object) -> String {
    let ready =
        items(&node["status"]["conditions"]).iter().find(|condition| text(&condition["type"]) == "Ready");
    let word = match ready.map(|condition| text(&condition["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = flag(&node["spec"]["unschedulable"]);
    if cordoned { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

fn roles(node: &Object) -> String {
    let mut roles: Vec<&str> = meta::labels(node)
        .into_iter()
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None => (key == ROLE).then_some(value),
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn address(node: &Object, kind: &str) -> String {
    let found = items(&node["status"]["addresses"]).iter().find(|address| text(&address["type"]) == kind);
    found.map_or("<none>", |address| text(&address["address"])).to_owned()
}

fn validate(node: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(node);
    let path = Path::new("spec");
    let mut seen = BTreeSet::new();
    for (index, taint) in items(&node["spec"]["taints"]).iter().enumerate() {
        let at = path.child("taints").index(index);
        let (key, value, effect) = (text(&taint["key"]), text(&taint["value"]), text(&taint["effect"]));
        errors.extend(checked(&at.child("key"), key, names::qualified_name(key)));
        errors.extend(checked(&at.child("value"), value, names::label_value(value)));
        crate::pod_spec::spec::supported(taint, "effect", &EFFECTS, &at, &mut errors);
        if !seen.insert((key, effect)) {
            errors.push(FieldError::duplicate(&at, taint.clone()));
        }
    }
    for (index, cidr) in items(&node["spec"]["podCIDRs"]).iter().enumerate() {
        errors.extend(crate::ip::validate_cidr(text(cidr), &path.child("podCIDRs").index(index)));
    }
    errors
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let path = Path::new("spec");
    if present(&old["spec"]["podCIDRs"]) && new["spec"]["podCIDRs"] != old["spec"]["podCIDRs"] {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&path.child("podCIDRs"), detail));
    }
    if present(&old["spec"]["providerID"]) && new["spec"]["providerID"] != old["spec"]["providerID"] {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&path.child("providerID"), detail));
    }
    errors
}
