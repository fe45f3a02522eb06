//! DELETE: at once, gracefully, held by finalizers, of whole collections and of namespaces.

use super::*;

#[tokio::test]
async fn what_nothing_holds_is_gone_at_once() {
    let harness = Harness::new().await;
    let created = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let status = harness.delete(&path, Value::Null).await.expect(200);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(
        status["details"],
        json!({"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]})
    );
    assert_eq!(
        harness.delete(&path, Value::Null).await.status(),
        (404, "NotFound", "configmaps \"a\" not found")
    );
}

#[tokio::test]
async fn preconditions_hold() {
    let harness = Harness::new().await;
    let created = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let answer = harness.delete(&path, json!({"preconditions": {"uid": "x"}})).await;
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let text = format!(
        "Operation cannot be fulfilled on configmaps \"a\": the UID in the precondition (x) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!(answer.status(), (409, "Conflict", text.as_str()));
    let answer = harness.delete(&path, json!({"preconditions": {"resourceVersion": "1"}})).await;
    assert_eq!(answer.code, 409);
    harness.delete(&path, json!({"preconditions": {"uid": uid}})).await.expect(200);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let harness = Harness::new().await;
    let mut held = config_map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    harness.post(CONFIG_MAPS, held).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let pending = harness.delete(&path, Value::Null).await.expect(200);
    assert_eq!(
        (&pending["kind"], &pending["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("ConfigMap"), &json!(0))
    );
    assert!(pending["metadata"]["deletionTimestamp"].is_string());
    let again = harness.delete(&path, Value::Null).await.expect(200);
    assert_eq!(again, pending);
    let added = harness
        .patch(
            &path,
            "merge-patch",
            json!({"metadata": {"finalizers": ["example.com/hold", "example.com/late"]}}),
        )
        .await;
    assert!(
        added.status().2.contains("no new finalizers can be added if the object is being deleted"),
        "{added:?}"
    );
    harness.patch(&path, "merge-patch", json!({"metadata": {"finalizers": null}})).await.expect(200);
    assert_eq!(harness.get(&path).await.code, 404);
}

#[tokio::test]
async fn propagation_is_a_finalizer() {
    let harness = Harness::new().await;
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
        let path = format!("{DEPLOYMENTS}/d");
        let pending = harness
            .delete(&path, json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}))
            .await
            .expect(200);
        assert_eq!(pending["metadata"]["finalizers"], json!([finalizer]));
        assert_eq!(pending["metadata"]["generation"], 2);
        harness.delete(&format!("{path}?propagationPolicy=Background"), Value::Null).await.expect(200);
        assert_eq!(harness.get(&path).await.code, 404);
    }
    let wrong = harness.delete(&format!("{DEPLOYMENTS}/d"), json!({"propagationPolicy": "Sideways"})).await;
    assert_eq!(wrong.status().0, 422);
    assert_eq!(
        harness.delete(&format!("{DEPLOYMENTS}/d"), json!({"gracePeriodSeconds": "soon"})).await.code,
        400
    );
}

async fn bound_pod(harness: &Harness, name: &str) -> String {
    harness.post(PODS, pod(name)).await.expect(201);
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}});
    harness.post(&format!("{PODS}/{name}/binding"), binding).await.expect(201);
    format!("{PODS}/{name}")
}

#[tokio::test]
async fn pods_without_a_node_go_at_once_and_others_wait_for_it() {
    let harness = Harness::new().await;
    harness.post(PODS, pod("free")).await.expect(201);
    assert_eq!(harness.delete(&format!("{PODS}/free"), Value::Null).await.expect(200)["kind"], "Pod");
    assert_eq!(harness.get(&format!("{PODS}/free")).await.code, 404);

    let path = bound_pod(&harness, "bound").await;
    let pending = harness.delete(&path, Value::Null).await.expect(200);
    assert_eq!(pending["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(pending["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(harness.delete(&path, Value::Null).await.expect(200), pending);
    assert_eq!(harness.delete(&path, json!({"gracePeriodSeconds": 60})).await.expect(200), pending);
    let shorter = harness.delete(&path, json!({"gracePeriodSeconds": 5})).await.expect(200);
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    assert!(
        shorter["metadata"]["deletionTimestamp"].as_str() < pending["metadata"]["deletionTimestamp"].as_str()
    );
    harness.delete(&path, json!({"gracePeriodSeconds": 0})).await.expect(200);
    assert_eq!(harness.get(&path).await.code, 404);
}

#[tokio::test]
async fn finished_pods_need_no_grace() {
    let harness = Harness::new().await;
    let path = bound_pod(&harness, "p").await;
    harness
        .patch(&format!("{path}/status"), "merge-patch", json!({"status": {"phase": "Succeeded"}}))
        .await
        .expect(200);
    harness.delete(&path, Value::Null).await.expect(200);
    assert_eq!(harness.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let harness = Harness::new().await;
    let path = bound_pod(&harness, "p").await;
    let bound = harness.get(&path).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let scheduled =
        bound["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "PodScheduled");
    assert_eq!(scheduled.unwrap()["status"], "True");
    let binding = json!({"target": {"name": "n2"}});
    let answer = harness.post(&format!("{path}/binding"), binding).await;
    let text =
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"";
    assert_eq!(answer.status(), (409, "Conflict", text));
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let harness = Harness::new().await;
    for name in ["a", "b", "c"] {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({"keep": (name == "c").to_string()});
        harness.post(CONFIG_MAPS, map).await.expect(201);
    }
    let deleted =
        harness.delete(&format!("{CONFIG_MAPS}?labelSelector=keep%3Dfalse"), Value::Null).await.expect(200);
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    let left = harness.get(CONFIG_MAPS).await.expect(200);
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_namespace_goes_when_it_is_finalized() {
    let harness = Harness::new().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
    let created = harness.post("/api/v1/namespaces", namespace).await.expect(201);
    assert_eq!(
        (&created["status"]["phase"], &created["spec"]["finalizers"]),
        (&json!("Active"), &json!(["kubernetes"]))
    );
    let path = "/api/v1/namespaces/x";
    let mut pending = harness.delete(path, Value::Null).await.expect(200);
    assert_eq!(pending["status"]["phase"], "Terminating");
    let answer = harness.post("/api/v1/namespaces/x/configmaps", config_map("a")).await;
    let text = "configmaps \"a\" is forbidden: unable to create new content in namespace x because it is being terminated";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    assert_eq!(answer.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    pending["spec"]["finalizers"] = json!([]);
    harness.put(&format!("{path}/finalize"), &pending).await.expect(200);
    assert_eq!(harness.get(path).await.code, 404);
    let forbidden = harness.delete("/api/v1/namespaces/default", Value::Null).await;
    assert_eq!(
        forbidden.status(),
        (403, "Forbidden", "namespaces \"default\" is forbidden: this namespace may not be deleted")
    );
}

#[tokio::test]
async fn evictions_delete() {
    let harness = Harness::new().await;
    let path = bound_pod(&harness, "p").await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}});
    harness.post(&format!("{path}/eviction"), eviction).await.expect(201);
    assert_eq!(harness.get(&path).await.code, 404);
}

#[tokio::test]
async fn events_go_after_an_hour() {
    let harness = Harness::new().await;
    let event = |name: &str, at: jiff::Timestamp| {
        json!({"metadata": {"name": name}, "involvedObject": {"namespace": "default"},
        "lastTimestamp": kelson_machinery::time::seconds(at)})
    };
    let now = kelson_process::now();
    let path = "/api/v1/namespaces/default/events";
    harness.post(path, event("new", now)).await.expect(201);
    let later = now + jiff::SignedDuration::from_mins(59);
    assert_eq!(crate::expiry::sweep(&harness.server.core, later).await.unwrap(), 0);
    let later = now + jiff::SignedDuration::from_mins(61);
    assert_eq!(crate::expiry::sweep(&harness.server.core, later).await.unwrap(), 1);
    assert_eq!(harness.get(&format!("{path}/new")).await.code, 404);
}
