//! Whether a node under pressure takes a new pod.

use super::{Condition, is_critical};
use crate::spec;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use std::collections::BTreeSet;

const MEMORY_TAINT: &str = "node.kubernetes.io/memory-pressure";

/// Why a node with these conditions does not take the pod, if it does not. Where only memory is short, whoever asked for
/// some is taken, and who tolerates it.
pub fn refusal(conditions: &BTreeSet<Condition>, pod: &Pod) -> Option<String> {
    let only_memory = conditions.iter().all(|condition| *condition == Condition::Memory);
    let asked = pod.spec.as_ref().is_some_and(|spec| spec::qos_class(spec) != "BestEffort");
    if conditions.is_empty() || is_critical(pod) || only_memory && (asked || tolerates_shortage(pod)) {
        return None;
    }
    let names: Vec<&str> = conditions.iter().map(|condition| condition.name()).collect();
    Some(format!("The node had condition: [{}]. ", names.join(" ")))
}

fn tolerates_shortage(pod: &Pod) -> bool {
    let is = |text: &Option<String>, wanted: &str| {
        text.as_deref().is_none_or(|text| text.is_empty() || text == wanted)
    };
    let covers = |it: &Toleration| {
        let exists = it.operator.as_deref() == Some("Exists");
        let by_value = exists
            || it.key.as_deref() == Some(MEMORY_TAINT) && it.value.as_deref().unwrap_or_default().is_empty();
        is(&it.key, MEMORY_TAINT) && is(&it.effect, "NoSchedule") && by_value
    };
    pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten()).any(covers)
}
