//! Preemption and PodDisruptionBudgets, and what becomes of those who hoped for a node that another gets.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::preemption::{plan, ranked, running, victims};
use super::with;
use crate::world::{World, node};
use crate::{Action, Key};

/// A pod of an app that runs on a node.
fn of_app(app: &str, name: &str, priority: i32, cpu: &str, node: &str) -> Value {
    with(running(name, priority, cpu, node, 0), |pod| pod["metadata"]["labels"] = json!({ "app": app }))
}

fn budget(app: &str, allowed: i32) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app, "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}})
}

fn goes(objects: Vec<Value>, expected: &[&str]) {
    let planned = plan(&World::with(objects));
    assert_eq!(victims(&planned), expected);
}

#[test]
fn the_guarded_are_spared_though_they_are_less_important() {
    let objects = |more: Vec<Value>| {
        let there =
            [node("n"), of_app("a", "a1", 1, "2", "n"), of_app("b", "b1", 5, "2", "n"), ranked("p", 10, "2")];
        [there.to_vec(), more].concat()
    };
    goes(objects(vec![]), &["a1"]);
    goes(objects(vec![budget("a", 0)]), &["b1"]);
    goes(objects(vec![budget("a", 1)]), &["a1"]);
    // Both guarded: importance decides again.
    goes(objects(vec![budget("a", 0), budget("b", 0)]), &["a1"]);
    // A budget that has let the pod go already is not asked again.
    let granted = with(budget("a", 0), |budget| {
        budget["status"]["disruptedPods"] = json!({"a1": "2026-01-02T03:04:05Z"});
    });
    goes(objects(vec![granted]), &["a1"]);
    // One that selects everything, or another namespace's, counts for nothing here.
    let all = with(budget("a", 0), |budget| budget["spec"]["selector"] = json!({}));
    let other = with(budget("a", 0), |budget| budget["metadata"]["namespace"] = "other".into());
    goes(objects(vec![all]), &["a1"]);
    goes(objects(vec![other]), &["a1"]);
}

#[test]
fn a_node_that_breaks_fewer_budgets_is_chosen_first() {
    let objects = vec![
        node("m"),
        node("n"),
        of_app("a", "a1", 1, "4", "m"),
        of_app("b", "b1", 9, "4", "n"),
        budget("a", 0),
        ranked("p", 10, "4"),
    ];
    goes(objects.clone(), &["b1"]);
    // Where nobody else is, budgets are broken.
    goes(objects.into_iter().filter(|object| object["metadata"]["name"] != "n").collect(), &["a1"]);
}

/// An allowance of one is spent on the more important of two, as upstream counts, and only once in a plan.
#[test]
fn an_allowance_is_spent_once() {
    let two =
        || vec![node("n"), of_app("a", "a1", 2, "2", "n"), of_app("a", "a2", 1, "2", "n"), budget("a", 1)];
    goes([two(), vec![ranked("p", 10, "2")]].concat(), &["a1"]);
    let objects = vec![
        node("m"),
        node("n"),
        of_app("a", "a1", 1, "4", "m"),
        of_app("a", "a2", 1, "2", "n"),
        of_app("b", "b1", 5, "2", "n"),
        budget("a", 1),
        ranked("p", 10, "4"),
        ranked("q", 9, "2"),
    ];
    // The first takes all of m; a second of app a would be one too many.
    goes(objects, &["a1", "b1"]);
}

/// Who hoped for a node that a more important one gets looks for another, at once.
#[test]
fn hope_for_what_another_gets_is_given_up() {
    let going = with(running("low", 1, "4", "n", 0), |pod| {
        pod["metadata"]["deletionTimestamp"] = json!(crate::world::time(0));
        pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
        pod["status"]["conditions"] =
            json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]);
    });
    let hoping = with(ranked("q", 5, "4"), |pod| pod["status"] = json!({"nominatedNodeName": "n"}));
    let mut world = World::with(vec![node("n"), going.clone(), hoping.clone()]);
    assert_eq!(plan(&world).actions().count(), 0, "it waits for its victim");
    // Another victim must go for somebody more important, so the node is no longer q's.
    let more = with(node("n"), |node| node["status"]["allocatable"]["cpu"] = "8".into());
    let other = running("mid", 3, "4", "n", 0);
    let objects = vec![more, going, other, hoping, ranked("p", 10, "8")];
    world = World::with(objects);
    let planned = plan(&world);
    assert_eq!(victims(&planned), ["mid"]);
    world.carry(&planned);
    let nominated = |name: &str| {
        let pod = world.get::<Pod>(&Key::new("default", name)).unwrap();
        pod.status.unwrap().nominated_node_name
    };
    assert_eq!((nominated("p").as_deref(), nominated("q")), (Some("n"), None));
    let patched =
        planned.actions().filter(|action| matches!(action, Action::Patch { key, .. } if key.name == "q"));
    assert_eq!(patched.count(), 1);
}
