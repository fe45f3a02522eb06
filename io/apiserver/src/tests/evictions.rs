//! Evictions and the budgets that refuse them, in upstream's words.

use super::*;

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

/// A running pod and a budget over it with this status.
async fn harness(ready: bool, status: Value) -> Harness {
    let harness = Harness::new().await;
    harness.post(PODS, pod("web")).await.expect(201);
    let binding = json!({"target": {"kind": "Node", "name": "n1"}});
    harness.post(&format!("{PODS}/web/binding"), binding).await.expect(201);
    let ready = if ready { "True" } else { "False" };
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
    harness.patch(&format!("{PODS}/web/status"), "merge-patch", running).await.expect(200);
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    harness.post(BUDGETS, budget).await.expect(201);
    let status = json!({ "status": status });
    harness.patch(&format!("{BUDGETS}/b/status"), "merge-patch", status).await.expect(200);
    harness
}

async fn evict(harness: &Harness) -> Answer {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}});
    harness.post(&format!("{PODS}/web/eviction"), eviction).await
}

fn figures(allowed: i64, healthy: i64) -> Value {
    json!({"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": 1,
        "expectedPods": 2})
}

const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

#[track_caller]
fn refused(answer: &Answer, cause: &str, retry: Option<&str>) {
    assert_eq!(answer.status(), (429, "TooManyRequests", REFUSAL));
    let told = &answer.body["details"]["causes"][0];
    assert_eq!((told["reason"].as_str(), told["message"].as_str()), (Some("DisruptionBudget"), Some(cause)));
    let after = answer.headers.get("retry-after").map(|value| value.to_str().unwrap());
    assert_eq!(after, retry);
}

#[tokio::test]
async fn a_budget_is_charged_and_then_refuses() {
    let harness = harness(true, figures(1, 2)).await;
    evict(&harness).await.expect(201);
    let budget = harness.get(&format!("{BUDGETS}/b")).await.expect(200);
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["web"].is_string(), "{budget}");
    assert_eq!(budget["status"]["conditions"][0]["reason"], "InsufficientPods");
    let pod = harness.get(&format!("{PODS}/web")).await.expect(200);
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    let told =
        pod["status"]["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "DisruptionTarget");
    assert_eq!(told.unwrap()["reason"], "EvictionByEvictionAPI");
    // It is on its way already: nobody is asked again.
    evict(&harness).await.expect(201);
}

#[tokio::test]
async fn nothing_left_is_429_with_the_cause() {
    let harness = harness(true, figures(0, 1)).await;
    let answer = evict(&harness).await;
    refused(&answer, "The disruption budget b needs 1 healthy pods and has 1 currently", None);
    let pod = harness.get(&format!("{PODS}/web")).await.expect(200);
    assert_eq!(pod["metadata"]["deletionTimestamp"], Value::Null);
}

#[tokio::test]
async fn figures_that_are_not_there_yet_are_waited_for() {
    let harness = harness(true, json!({"observedGeneration": 0, "disruptionsAllowed": 1})).await;
    let cause = "The disruption budget b is still being processed by the server.";
    refused(&evict(&harness).await, cause, Some("10"));
}

#[tokio::test]
async fn a_pod_that_is_not_ready_is_no_loss_while_enough_others_are() {
    let enough = harness(false, figures(0, 1)).await;
    evict(&enough).await.expect(201);
    let too_few = harness(false, figures(0, 0)).await;
    let cause = "The disruption budget b needs 1 healthy pods and has 0 currently";
    refused(&evict(&too_few).await, cause, None);
    let policy = json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    too_few.patch(&format!("{BUDGETS}/b"), "merge-patch", policy).await.expect(200);
    evict(&too_few).await.expect(201);
}

#[tokio::test]
async fn two_budgets_are_one_too_many_and_a_trial_charges_none() {
    let harness = harness(true, figures(1, 2)).await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}});
    harness.post(&format!("{PODS}/web/eviction?dryRun=All"), eviction).await.expect(201);
    let budget = harness.get(&format!("{BUDGETS}/b")).await.expect(200);
    assert_eq!(budget["status"]["disruptionsAllowed"], 1);
    let second = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "c"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    harness.post(BUDGETS, second).await.expect(201);
    let text =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    let answer = evict(&harness).await;
    assert_eq!((answer.code, answer.status().2), (500, text));
}
