//! Budgets say what is so: how many of their pods are well, and how many more may be away.

use kelson_machinery::meta;
use serde_json::Value;

use super::Judgement;
use crate::world::{World, is_ready, resource};

pub(super) fn all(world: &World) -> Judgement {
    for (key, budget) in world.api.all(&resource("poddisruptionbudgets")) {
        let wrong = |what: &str| Err(format!("budget {key} {what}: {} {}", budget["spec"], budget["status"]));
        let app = &budget["spec"]["selector"]["matchLabels"]["app"];
        let pods = world.api.all(&resource("pods")).filter(|(pod, _)| pod.namespace == key.namespace);
        let pods: Vec<&Value> =
            pods.map(|(_, pod)| &***pod).filter(|pod| pod["metadata"]["labels"]["app"] == *app).collect();
        let status = |field: &str| meta::get_i64(budget, &["status", field]).unwrap_or(0);
        let conditions = meta::get_list(budget, &["status", "conditions"]);
        if conditions.iter().any(|one| one["reason"] == "SyncFailed") {
            if status("disruptionsAllowed") != 0 {
                return wrong("cannot be told and allows something");
            }
            continue;
        }
        let ready = pods.iter().filter(|pod| is_ready(pod)).count() as i64;
        let spare = (ready - status("desiredHealthy")).max(0);
        let spare = if status("expectedPods") > 0 { spare } else { 0 };
        if status("currentHealthy") != ready || status("disruptionsAllowed") != spare {
            return wrong(&format!("has {ready} pods that are well, {spare} to spare"));
        }
        if budget["spec"]["minAvailable"].as_i64().is_some_and(|least| least != status("desiredHealthy")) {
            return wrong("wants another number of pods than it says");
        }
        if budget["status"]["observedGeneration"] != budget["metadata"]["generation"] {
            return wrong("was not looked at since it was changed");
        }
    }
    Ok(())
}
