//! The three kinds of patch, their media types, and the race they win.

use super::*;

#[tokio::test]
async fn strategic_merge_knows_lists_by_their_keys() {
    let harness = Harness::new().await;
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d");
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}, {"name": "e", "image": "x"}]}}}});
    let after = harness.patch(&path, "strategic-merge-patch", patch).await.expect(200);
    let containers = &after["spec"]["template"]["spec"]["containers"];
    let names: Vec<&str> =
        containers.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        (names.len(), &containers[names.iter().position(|n| *n == "c").unwrap()]["image"]),
        (2, &json!("nginx:2"))
    );
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"$patch": "delete", "name": "e"}]}}}});
    let after = harness.patch(&path, "strategic-merge-patch", patch).await.expect(200);
    assert_eq!(after["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn merge_and_json_patches() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let after = harness.patch(&path, "merge-patch", json!({"data": {"k": null, "l": "w"}})).await.expect(200);
    assert_eq!(after["data"], json!({"l": "w"}));
    let after = harness
        .patch(&path, "json-patch", json!([{"op": "add", "path": "/data/m", "value": "x"}]))
        .await
        .expect(200);
    assert_eq!(after["data"], json!({"l": "w", "m": "x"}));
    let unfit = harness.patch(&path, "json-patch", json!([{"op": "remove", "path": "/data/none"}])).await;
    assert_eq!(unfit.status().0, 422);
    let name = harness.patch(&path, "merge-patch", json!({"metadata": {"name": "b"}})).await;
    assert_eq!(name.status().0, 422, "{name:?}");
    assert_eq!(harness.patch(&format!("{CONFIG_MAPS}/none"), "merge-patch", json!({})).await.code, 404);
}

#[tokio::test]
async fn patches_of_other_types_are_415() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    for media in ["application/json", "application/yaml"] {
        let headers = [("content-type", media)];
        let answer = harness.send(admin(), "PATCH", &format!("{CONFIG_MAPS}/a"), &headers, "{}").await;
        let text = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
        assert_eq!(answer.status(), (415, "UnsupportedMediaType", text));
    }
    let headers = [("content-type", "application/merge-patch+json")];
    assert_eq!(harness.send(admin(), "PATCH", &format!("{CONFIG_MAPS}/a"), &headers, "{").await.code, 400);
}

#[tokio::test]
async fn patches_are_decoded_strictly_where_asked() {
    let harness = Harness::new().await;
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d?fieldValidation=Strict");
    let answer = harness.patch(&path, "merge-patch", json!({"spec": {"colour": 1}})).await;
    let text = " \"\" is invalid: patch: Invalid value: \"{\\\"spec\\\":{\\\"colour\\\":1}}\": strict decoding error: unknown field \"spec.colour\"";
    assert_eq!(answer.status(), (422, "Invalid", text));
    let answer =
        harness.patch(&format!("{DEPLOYMENTS}/d"), "merge-patch", json!({"spec": {"colour": 1}})).await;
    assert_eq!(answer.warnings(), ["299 - \"unknown field \\\"spec.colour\\\"\""]);
}

#[tokio::test]
async fn a_patch_may_insist_on_a_version() {
    let harness = Harness::new().await;
    let created = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let version = created["metadata"]["resourceVersion"].clone();
    let patch = json!({"metadata": {"resourceVersion": version}, "data": {"k": "w"}});
    harness.patch(&path, "merge-patch", patch.clone()).await.expect(200);
    assert_eq!(harness.patch(&path, "merge-patch", patch).await.status().1, "Conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_at_once_all_happen() {
    let harness = Arc::new(Harness::new().await);
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..8 {
        let harness = harness.clone();
        tasks.spawn(async move {
            let patch = json!({"data": {format!("k{i}"): "v"}});
            harness.patch(&format!("{CONFIG_MAPS}/a"), "merge-patch", patch).await.expect(200)
        });
    }
    tasks.join_all().await;
    let after = harness.get(&format!("{CONFIG_MAPS}/a")).await.expect(200);
    assert_eq!(after["data"].as_object().unwrap().len(), 9);
}

#[tokio::test]
async fn old_versions_are_patched_in_their_own_words() {
    let harness = Harness::new().await;
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let old = "/apis/extensions/v1beta1/namespaces/default/deployments/d";
    let after =
        harness.patch(old, "strategic-merge-patch", json!({"spec": {"replicas": 4}})).await.expect(200);
    assert_eq!((&after["apiVersion"], &after["spec"]["replicas"]), (&json!("extensions/v1beta1"), &json!(4)));
}

#[tokio::test]
async fn scale_is_read_and_written_apart() {
    let harness = Harness::new().await;
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d/scale");
    let mut scale = harness.get(&path).await.expect(200);
    assert_eq!(
        (&scale["apiVersion"], &scale["kind"], &scale["spec"]["replicas"]),
        (&json!("autoscaling/v1"), &json!("Scale"), &json!(2))
    );
    assert_eq!(scale["status"]["selector"], "app=d");
    let stale = scale.clone();
    scale["spec"]["replicas"] = 5.into();
    assert_eq!(harness.put(&path, &scale).await.expect(200)["spec"]["replicas"], 5);
    assert_eq!(harness.put(&path, &stale).await.status().1, "Conflict");
    let patched = harness.patch(&path, "merge-patch", json!({"spec": {"replicas": 1}})).await.expect(200);
    assert_eq!(patched["spec"]["replicas"], 1);
    let after = harness.get(&format!("{DEPLOYMENTS}/d")).await.expect(200);
    assert_eq!((&after["spec"]["replicas"], &after["metadata"]["generation"]), (&json!(1), &json!(3)));
    let negative = harness.patch(&path, "merge-patch", json!({"spec": {"replicas": -1}})).await;
    assert_eq!(negative.status().0, 422, "{negative:?}");
}
