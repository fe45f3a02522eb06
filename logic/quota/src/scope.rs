//! Which pods and claims a quota with scopes is about; of other objects such a quota is never about any.

use k8s_openapi::api::core::v1::{
    Pod, PodAffinityTerm, PodSpec, ResourceQuota, ScopedResourceSelectorRequirement,
};

use crate::usage::Subject;

/// Whether all scopes of the quota hold for an object.
pub(crate) fn covers(quota: &ResourceQuota, subject: &Subject<'_>) -> bool {
    let Some(spec) = &quota.spec else { return true };
    let plain = spec.scopes.iter().flatten().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: scope.clone(),
        operator: "Exists".to_owned(),
        values: None,
    });
    let terms = spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    plain.chain(terms.cloned()).all(|term| holds(&term, subject))
}

fn holds(term: &ScopedResourceSelectorRequirement, subject: &Subject<'_>) -> bool {
    match subject {
        Subject::Pod(pod) => holds_for_pod(term, pod),
        Subject::Claim(claim) if term.scope_name == "VolumeAttributesClass" => {
            let (spec, status) = (claim.spec.as_ref(), claim.status.as_ref());
            let wanted = spec.and_then(|spec| spec.volume_attributes_class_name.as_deref());
            let is = status.and_then(|status| status.current_volume_attributes_class_name.as_deref());
            let target = status.and_then(|status| status.modify_volume_status.as_ref());
            let target = target.and_then(|target| target.target_volume_attributes_class_name.as_deref());
            let names: Vec<&str> =
                [wanted, is, target].into_iter().flatten().filter(|name| !name.is_empty()).collect();
            match names.is_empty() {
                true => selects(term, None),
                false => names.iter().any(|name| selects(term, Some(name))),
            }
        }
        _ => false,
    }
}

fn holds_for_pod(term: &ScopedResourceSelectorRequirement, pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let terminating = spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    match term.scope_name.as_str() {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => is_best_effort(pod, spec),
        "NotBestEffort" => !is_best_effort(pod, spec),
        "PriorityClass" => selects(term, spec.priority_class_name.as_deref().filter(|name| !name.is_empty())),
        "CrossNamespacePodAffinity" => looks_elsewhere(spec),
        _ => false,
    }
}

/// Whether a term of names holds for one, or for none.
fn selects(term: &ScopedResourceSelectorRequirement, name: Option<&str>) -> bool {
    let listed = || term.values.iter().flatten().any(|value| Some(value.as_str()) == name);
    match term.operator.as_str() {
        "Exists" => name.is_some(),
        "DoesNotExist" => name.is_none(),
        "In" => listed(),
        "NotIn" => !listed(),
        _ => false,
    }
}

fn is_best_effort(pod: &Pod, spec: &PodSpec) -> bool {
    if let Some(class) = pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) {
        return class == "BestEffort";
    }
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let all = containers.filter_map(|container| container.resources.as_ref()).chain(spec.resources.as_ref());
    let lists = all.flat_map(|resources| [&resources.requests, &resources.limits]);
    let amounts = lists.flat_map(|list| crate::amounts::read(list.as_ref()));
    !amounts.into_iter().any(|(name, amount)| matches!(name.as_str(), "cpu" | "memory") && !amount.is_zero())
}

/// Whether the pod's wishes for company name other namespaces.
fn looks_elsewhere(spec: &PodSpec) -> bool {
    let Some(affinity) = &spec.affinity else { return false };
    let elsewhere = |term: &PodAffinityTerm| {
        term.namespaces.as_ref().is_some_and(|names| !names.is_empty()) || term.namespace_selector.is_some()
    };
    let (near, far) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
    let hard = near.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let hard_far = far.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let soft = near.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    let soft_far = far.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    hard.into_iter().chain(hard_far).flatten().any(elsewhere)
        || soft.into_iter().chain(soft_far).flatten().any(|term| elsewhere(&term.pod_affinity_term))
}
