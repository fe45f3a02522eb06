//! ClusterRoles whose rules are gathered from others: `aggregationRule` → the rules.

use kelson_machinery::{LabelSelector, Object, meta};

use crate::rule::{Rule, rules_of};

/// Whether a ClusterRole's rules are gathered.
pub fn is_aggregated(role: &Object) -> bool {
    role["aggregationRule"].is_object()
}

/// The rules that `role` gathers from `others` (in the order of their names), each once. `None` unless it gathers.
pub fn aggregated_rules<'a>(
    role: &Object,
    others: impl Iterator<Item = &'a Object> + Clone,
) -> Option<Vec<Rule>> {
    let selectors = role.get("aggregationRule")?.get("clusterRoleSelectors");
    let selectors = selectors.and_then(|list| list.as_array()).map_or(&[][..], Vec::as_slice);
    let mut rules: Vec<Rule> = Vec::new();
    for selector in selectors.iter().filter_map(|selector| LabelSelector::from_json(selector).ok()) {
        let chosen = others.clone().filter(|other| meta::name(other) != meta::name(role));
        for rule in chosen.filter(|other| selector.matches_object(other)).flat_map(rules_of) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    Some(rules)
}
