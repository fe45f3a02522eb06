//! That the judge of preemption sees what is wrong.

use std::sync::Arc;

use jiff::Timestamp;
use kelson_plans::Step;
use serde_json::{Value, json};

use super::*;

fn pod(name: &str, priority: i32, cpu: &str, node: Option<&str>) -> Value {
    json!({"metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": GUEST}},
        "spec": {"priority": priority, "nodeName": node, "containers": [
            {"name": "c", "resources": {"requests": {"cpu": cpu}}, "ports": [{"containerPort": 1, "hostPort": 80}]}]}})
}

/// What is found of a plan that deletes one pod.
fn check(pods: &[Value], deleted: &str, expected: Option<&str>) {
    let mut view = View::default();
    for pod in pods {
        view.applied::<Pod>(Arc::new(serde_json::from_value(pod.clone()).unwrap()), Timestamp::UNIX_EPOCH);
    }
    let victim = view.pods.get(&Key::new("default", deleted)).unwrap();
    let plan = Plan::of(vec![Step::from(Action::delete(victim.as_ref()))]);
    let found = fault(&view, &plan);
    assert_eq!(
        found.as_deref().map(|found| found.contains(expected.unwrap_or("nothing"))),
        expected.map(|_| true),
        "{found:?}"
    );
}

#[test]
fn the_lesser_go_first() {
    let on = |name, priority, cpu| pod(name, priority, cpu, Some("n"));
    let waiting = pod("p", 10, "1", None);
    check(&[on("low", 1, "8"), on("mid", 5, "8"), waiting.clone()], "low", None);
    check(
        &[on("low", 1, "8"), on("mid", 5, "8"), waiting.clone()],
        "mid",
        Some("default/low, which is less important"),
    );
    // What would not make as much room may stay.
    check(&[on("low", 1, "4"), on("mid", 5, "8"), waiting.clone()], "mid", None);
    let mut free = on("low", 1, "8");
    free["spec"]["containers"][0]["ports"] = json!([]);
    check(&[free, on("mid", 5, "8"), waiting.clone()], "mid", None);
    let elsewhere = pod("low", 1, "8", Some("m"));
    check(&[elsewhere, on("mid", 5, "8"), waiting.clone()], "mid", None);
    check(&[on("mid", 10, "8"), waiting], "mid", Some("for nobody more important"));
}
