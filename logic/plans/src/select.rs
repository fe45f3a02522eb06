//! Typed label selectors against labels. Leaf; matching cannot fail: a selector the API would refuse matches nothing.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

type Labels = BTreeMap<String, String>;

/// Whether a `metav1.LabelSelector` chooses these labels; an empty one chooses all.
pub fn matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let exact = selector.match_labels.as_ref().is_none_or(|wanted| matches_all(wanted, labels));
    exact && selector.match_expressions.iter().flatten().all(|term| holds(term, labels))
}

/// Whether all pairs are among the labels, as a Service's selector asks.
pub fn matches_all(wanted: &Labels, labels: Option<&Labels>) -> bool {
    wanted.iter().all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value))
}

/// Whether the selector names nothing and so would choose everything.
pub fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

fn holds(term: &LabelSelectorRequirement, labels: Option<&Labels>) -> bool {
    let value = labels.and_then(|labels| labels.get(&term.key));
    let listed = |value: &String| term.values.iter().flatten().any(|listed| listed == value);
    match term.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}
