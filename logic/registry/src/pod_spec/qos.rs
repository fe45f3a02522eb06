//! Quality of service of a pod, from its requests and limits (upstream: component-helpers qos).

use crate::walk::{entries, items, text};
use kelson_machinery::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// `Guaranteed`, `Burstable` or `BestEffort`, from a defaulted pod spec.
pub fn qos(spec: &Value) -> &'static str {
    let lists = [&spec["containers"], &spec["initContainers"]];
    let containers: Vec<&Value> = lists.into_iter().flat_map(items).collect();
    let mut totals = [BTreeMap::new(), BTreeMap::new()];
    let mut guaranteed = true;
    for container in &containers {
        let resources = &container["resources"];
        let limited = ["cpu", "memory"].iter().all(|name| positive(&resources["limits"][*name]).is_some());
        guaranteed &= limited;
        add(&mut totals[0], &resources["requests"]);
        add(&mut totals[1], &resources["limits"]);
    }
    let [requests, limits] = totals;
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let equal = requests.len() == limits.len()
        && requests.iter().all(|(name, amount)| limits.get(name) == Some(amount));
    if guaranteed && equal { "Guaranteed" } else { "Burstable" }
}

fn positive(value: &Value) -> Option<Quantity> {
    Quantity::parse(text(value)).ok().filter(|amount| !amount.is_zero())
}

fn add<'a>(totals: &mut BTreeMap<&'a str, i64>, amounts: &'a Value) {
    for (name, amount) in entries(amounts).filter(|(name, _)| ["cpu", "memory"].contains(name)) {
        if let Some(amount) = positive(amount) {
            let total = totals.entry(name).or_default();
            *total = i64::saturating_add(*total, amount.milli());
        }
    }
}
