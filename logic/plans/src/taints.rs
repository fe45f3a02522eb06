//! Taints and tolerations. Leaf, shared by `schedule` and `node_lifecycle`.

use k8s_openapi::api::core::v1::{Pod, Taint, Toleration};

/// The first toleration of the pod that covers the taint.
pub(crate) fn toleration<'a>(pod: &'a Pod, taint: &Taint) -> Option<&'a Toleration> {
    tolerations(pod).find(|toleration| covers(toleration, taint))
}

/// Every toleration of the pod.
pub(crate) fn tolerations(pod: &Pod) -> impl Iterator<Item = &Toleration> {
    pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten())
}

pub(crate) fn covers(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    let by_effect = effect.is_empty() || effect == taint.effect;
    let by_key = key.is_empty() || key == taint.key;
    let by_value = match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => !key.is_empty() && text(&toleration.value) == text(&taint.value),
        _ => false,
    };
    by_effect && by_key && by_value
}
