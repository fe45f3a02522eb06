//! Which nodes a DaemonSet is for, and the pod it makes for one (H5.1, H5.2, H5.7). Pure leaf.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};

use crate::owners::controller_reference;
use crate::replica_set::pod_of;
use crate::revisions::REVISION_LABEL;
use crate::{pod, schedule, taints};

const NAME_FIELD: &str = "metadata.name";
const GENERATION: &str = "deprecated.daemonset.template.generation";
const GENERATION_LABEL: &str = "pod-template-generation";

/// What every daemon's pod tolerates: it is there to serve the node in any condition.
const TOLERATED: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NO_NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// Whether a node is to have a pod, and whether one that is there may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Eligible {
    pub start: bool,
    pub stay: bool,
}

/// Upstream's judgement: name, selector and affinity decide both; taints that only forbid scheduling let a pod stay.
pub(super) fn eligible(set: &DaemonSet, node: &Node) -> Eligible {
    let spec = set.spec.template.spec.clone().unwrap_or_default();
    let here = spec.node_name.as_deref().filter(|name| !name.is_empty());
    let named = here.is_none_or(|name| Some(name) == node.metadata.name.as_deref());
    let pod = Pod { spec: Some(tolerant(spec)), ..Pod::default() };
    if !named || !schedule::affinity::allows(&pod, node) {
        return Eligible { start: false, stay: false };
    }
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let untolerated: Vec<&Taint> = taints.filter(|taint| taints::toleration(&pod, taint).is_none()).collect();
    let any = |effect: &str| untolerated.iter().any(|taint| taint.effect == effect);
    let expelled = any("NoExecute");
    Eligible { start: !expelled && !any("NoSchedule"), stay: !expelled }
}

/// The pod for one node.
pub(super) fn pod(set: &DaemonSet, node: &str, hash: &str) -> Pod {
    let mut pod = pod_of(&set.spec.template, &set.metadata);
    pod.metadata.owner_references = Some(vec![controller_reference(set)]);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    if let Some(generation) = set.metadata.annotations.as_ref().and_then(|notes| notes.get(GENERATION)) {
        labels.insert(GENERATION_LABEL.to_owned(), generation.clone());
    }
    let mut spec = tolerant(pod.spec.take().unwrap_or_default());
    bind_to(&mut spec, node);
    pod.spec = Some(spec);
    pod
}

fn tolerant(mut spec: PodSpec) -> PodSpec {
    let host = (spec.host_network == Some(true)).then_some(NO_NETWORK);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.iter().copied().chain(host) {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    spec
}

/// Affinity to the node's name alone takes the place of what the template requires: that was judged already.
fn bind_to(spec: &mut PodSpec, node: &str) {
    let by_name = NodeSelectorRequirement {
        key: NAME_FIELD.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![by_name]), ..NodeSelectorTerm::default() };
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}

/// The node that a pod is on or is meant for.
pub(super) fn target(pod: &Pod) -> Option<&str> {
    if let Some(node) = pod::node(pod) {
        return Some(node);
    }
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let by_name = fields.filter(|field| field.key == NAME_FIELD && field.operator == "In");
    by_name.filter_map(|field| field.values.as_ref()?.first()).next().map(String::as_str)
}

/// The hash of the revision that a pod was made from.
pub(super) fn hash(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

/// Whether a node altered in anything that eligibility reads; its heartbeat is not that.
pub(super) fn differ(old: &Node, new: &Node) -> bool {
    old.spec != new.spec || old.metadata.labels != new.metadata.labels
}
