//! Whether a pod's node selector and required node affinity allow a node, and how much it would like it. Pure leaf of
//! `schedule`; volumes choose their nodes in the same words.

use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};

use crate::select;

/// Whether the pod's selector and required affinity allow the node.
pub fn allows(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let labels = node.metadata.labels.as_ref();
    let selected = spec.node_selector.as_ref().is_none_or(|wanted| select::matches_all(wanted, labels));
    let required =
        affinity(pod).and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|required| selects(required, node))
}

fn affinity(pod: &Pod) -> Option<&NodeAffinity> {
    pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()
}

/// Terms are alternatives; one that asks for nothing allows nothing.
pub(crate) fn selects(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| holds(term, node))
}

/// The weights of the pod's preferences that the node meets, together.
pub(super) fn liking(pod: &Pod, node: &Node) -> i64 {
    let preferred =
        affinity(pod).and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    let met = preferred.into_iter().flatten().filter(|term| holds(&term.preference, node));
    met.map(|term| i64::from(term.weight)).sum()
}

fn holds(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let asks = !expressions.is_empty() || !fields.is_empty();
    let label =
        |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let field = |name: &str| node.metadata.name.as_deref().filter(|_| name == "metadata.name");
    asks && expressions.iter().all(|one| meets(one, label(&one.key)))
        && fields.iter().all(|one| meets(one, field(&one.key)))
}

fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = |value: &str| values.iter().any(|listed| listed == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = values.first().and_then(|text| number(text));
    let compared = value.and_then(number).zip(bound);
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared.is_some_and(|(value, bound)| value > bound),
        "Lt" => compared.is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
