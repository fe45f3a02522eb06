//! Users who empty nodes with care: budgets, and evictions that ask them, as the API server's eviction does.

use kelson_machinery::{meta, time};
use kelson_plans::Key;
use serde_json::{Value, json};

use super::User;
use crate::api::{Deletion, Part, Place};
use crate::world::resource;

impl User<'_> {
    pub(super) fn budgets(&mut self) {
        let name = format!("{}-budget", self.app);
        match self.random.below(8) {
            0 => self.delete("poddisruptionbudgets", &name),
            1..=3 => {
                let field = if self.random.once_in(2) { "minAvailable" } else { "maxUnavailable" };
                let amount = [json!(1), json!(2), json!("50%")][self.random.below(3)].clone();
                let spec = json!({field: amount, "selector": {"matchLabels": {"app": self.app}}});
                let metadata = json!({"name": name, "namespace": self.namespace});
                self.create(json!({
                    "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec,
                }));
            }
            _ => self.evict_some_pod(),
        }
    }

    fn evict_some_pod(&mut self) {
        let Some(place) = self.any("pods") else { return };
        let Some(pod) = self.api.get(&place.resource, &place.key).cloned() else { return };
        let over = matches!(meta::get_str(&pod, &["status", "phase"]), "Succeeded" | "Failed" | "Pending");
        let unasked = over || meta::deletion_timestamp(&pod).is_some();
        if !unasked && !self.is_granted(&place.key, &pod) {
            return;
        }
        // Now and then whoever was granted an eviction never makes use of it.
        if !self.random.once_in(6) {
            let _ = self.api.delete(&place, &Deletion { uid: Some(meta::uid(&pod)), ..Deletion::default() });
        }
    }

    /// Whether the budget that covers the pod, if there is one, lets it go; then that is written down there.
    fn is_granted(&mut self, key: &Key, pod: &Value) -> bool {
        let all = self.api.all(&resource("poddisruptionbudgets"));
        let covers = |budget: &Value| {
            let app = &budget["spec"]["selector"]["matchLabels"]["app"];
            *app == pod["metadata"]["labels"]["app"]
        };
        let found: Vec<(Key, bool)> = all
            .filter(|(budget, object)| budget.namespace == key.namespace && covers(object))
            .map(|(budget, object)| {
                let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
                let spare = meta::get_i64(object, &["status", "disruptionsAllowed"]).unwrap_or(0);
                (budget.clone(), seen && spare > 0)
            })
            .collect();
        let [(budget, free)] = found.as_slice() else { return found.is_empty() };
        if !free {
            return false;
        }
        let now = time::seconds(self.api.time());
        let place = Place { resource: resource("poddisruptionbudgets"), key: budget.clone() };
        let granted = self.api.edit(&place, Part::Status, |budget| {
            let spare = meta::get_i64(budget, &["status", "disruptionsAllowed"]).unwrap_or(0);
            meta::set(budget, &["status", "disruptionsAllowed"], (spare - 1).max(0));
            meta::set(budget, &["status", "disruptedPods", &key.name], now);
        });
        granted.is_ok()
    }
}
