//! Create and update: what the server sets, refuses and says.

use super::*;

#[tokio::test]
async fn a_created_object_has_what_the_server_sets() {
    let harness = Harness::new().await;
    let mut sent = deployment("d");
    sent["metadata"]["uid"] = "mine".into();
    sent["metadata"]["selfLink"] = "/x".into();
    sent["status"] = json!({"replicas": 9});
    let created = harness.post(DEPLOYMENTS, sent).await.expect(201);
    let metadata = &created["metadata"];
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], "default");
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert!(metadata.get("selfLink").is_none() && created["status"].get("replicas").is_none());
    assert_eq!(harness.get(&format!("{DEPLOYMENTS}/d")).await.expect(200), created);
}

#[tokio::test]
async fn names_are_taken_once_and_generated() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let again = harness.post(CONFIG_MAPS, config_map("a")).await;
    assert_eq!(again.status(), (409, "AlreadyExists", "configmaps \"a\" already exists"));
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}});
    let one = harness.post(CONFIG_MAPS, generated.clone()).await.expect(201);
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    let none = harness.post(CONFIG_MAPS, json!({"apiVersion": "v1", "kind": "ConfigMap"})).await;
    let text = "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required";
    assert_eq!(none.status(), (422, "Invalid", text));
}

#[tokio::test]
async fn the_namespace_must_be_there_and_stay() {
    let harness = Harness::new().await;
    let answer = harness.post("/api/v1/namespaces/none/configmaps", config_map("a")).await;
    assert_eq!(answer.status(), (404, "NotFound", "namespaces \"none\" not found"));
    let mut elsewhere = config_map("a");
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    let answer = harness.post(CONFIG_MAPS, elsewhere).await;
    let text = "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(answer.status(), (400, "BadRequest", text));
}

#[tokio::test]
async fn bodies_of_the_wrong_type_are_400() {
    let harness = Harness::new().await;
    let message = |answer: &Answer| {
        assert_eq!((answer.code, answer.body["reason"].as_str()), (400, Some("BadRequest")), "{answer:?}");
        answer.body["message"].as_str().unwrap().to_owned()
    };
    let answer = harness.post(SERVICES, pod("p")).await;
    let text = "Pod in version \"v1\" cannot be handled as a Service: converting (v1.Pod) to (core.Service): unknown conversion";
    assert_eq!(message(&answer), text);
    let answer = harness.post(DEPLOYMENTS, json!({"apiVersion": "apps/v2", "kind": "Deployment"})).await;
    assert!(message(&answer).starts_with(
        "Deployment in version \"v2\" cannot be handled as a Deployment: no kind \"Deployment\" is registered"
    ));
    let mut old = deployment("d");
    old["apiVersion"] = "extensions/v1beta1".into();
    let text =
        "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)";
    assert_eq!(message(&harness.post(DEPLOYMENTS, old).await), text);
    let answer = harness.send(admin(), "POST", CONFIG_MAPS, &[], "{\"kind\":").await;
    let text = message(&answer);
    assert!(text.starts_with("the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error:"), "{text}");
    let mut wrong = deployment("d");
    wrong["spec"]["replicas"] = "two".into();
    let text = message(&harness.post(DEPLOYMENTS, wrong).await);
    assert!(
        text.starts_with(
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn unknown_and_repeated_fields_are_refused_warned_of_or_ignored() {
    let harness = Harness::new().await;
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"},"dada":{}}"#;
    let post = |query: &'static str| {
        let path = format!("{CONFIG_MAPS}?dryRun=All{query}");
        let harness = &harness;
        async move { harness.send(admin(), "POST", &path, &[], body).await }
    };
    let strict = post("&fieldValidation=Strict").await;
    let text = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\", unknown field \"dada\"";
    assert_eq!(strict.status(), (400, "BadRequest", text));
    let warned = ["299 - \"duplicate field \\\"data.k\\\"\"", "299 - \"unknown field \\\"dada\\\"\""];
    assert_eq!(post("").await.warnings(), warned);
    let ignored = post("&fieldValidation=Ignore").await;
    assert_eq!((ignored.code, ignored.warnings().len()), (201, 0));
    let wrong = post("&fieldValidation=Loose").await;
    let text = "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loose\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
    assert_eq!(wrong.status(), (422, "Invalid", text));
}

#[tokio::test]
async fn dry_runs_store_nothing() {
    let harness = Harness::new().await;
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    harness.post(&path, config_map("a")).await.expect(201);
    assert_eq!(harness.get(&format!("{CONFIG_MAPS}/a")).await.code, 404);
    let created = harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    assert_eq!(harness.post(&path, config_map("a")).await.code, 409);
    let mut changed = created.clone();
    changed["data"]["k"] = "w".into();
    let seen = harness.put(&format!("{CONFIG_MAPS}/a?dryRun=All"), &changed).await.expect(200);
    assert_eq!(seen["data"]["k"], "w");
    harness.delete(&format!("{CONFIG_MAPS}/a?dryRun=All"), Value::Null).await.expect(200);
    assert_eq!(harness.get(&format!("{CONFIG_MAPS}/a")).await.expect(200), created);
    let wrong = harness.post(&format!("{CONFIG_MAPS}?dryRun=Some"), config_map("b")).await;
    assert_eq!(
        wrong.status().2,
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"Some\": supported values: \"All\""
    );
}

#[tokio::test]
async fn updates_need_the_newest_version_or_none() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    let first = harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let mut second = first.clone();
    second["spec"]["replicas"] = 5.into();
    let second = harness.put(&path, &second).await.expect(200);
    assert_eq!(second["metadata"]["generation"], 2);
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    let stale = harness.put(&path, &first).await;
    let text = "Operation cannot be fulfilled on deployments.apps \"d\": the object has been modified; please apply your changes to the latest version and try again";
    assert_eq!(stale.status(), (409, "Conflict", text));
    let mut unconditional = deployment("d");
    unconditional["metadata"]["labels"]["x"] = "y".into();
    let third = harness.put(&path, &unconditional).await.expect(200);
    assert_eq!((&third["spec"]["replicas"], &third["metadata"]["generation"]), (&json!(2), &json!(3)));
    assert_eq!(third["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);
    let mut other_uid = third.clone();
    other_uid["metadata"]["uid"] = "0".into();
    let answer = harness.put(&path, &other_uid).await;
    assert!(
        answer.status().2.contains("Precondition failed: UID in precondition: 0, UID in object meta: "),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let harness = Harness::new().await;
    let created = harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let path = format!("{DEPLOYMENTS}/d");
    assert_eq!(harness.put(&path, &created).await.expect(200), created);
    assert_eq!(harness.put(&path, &deployment("d")).await.expect(200), created);
    assert_eq!(harness.patch(&path, "merge-patch", json!({})).await.expect(200), created);
}

#[tokio::test]
async fn updates_must_name_what_the_path_names() {
    let harness = Harness::new().await;
    harness.post(CONFIG_MAPS, config_map("a")).await.expect(201);
    let answer = harness.put(&format!("{CONFIG_MAPS}/a"), &config_map("b")).await;
    assert_eq!(answer.status().2, "the name of the object (b) does not match the name on the URL (a)");
    let missing = harness.put(&format!("{DEPLOYMENTS}/b"), &deployment("b")).await;
    assert_eq!(missing.status(), (404, "NotFound", "deployments.apps \"b\" not found"));
    let created = harness.put(&format!("{SERVICES}/s"), &service("s")).await;
    assert_eq!(created.code, 201, "A1.6: {created:?}");
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let harness = Harness::new().await;
    let mut deployment = harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    deployment["status"] = json!({"replicas": 2, "observedGeneration": 1});
    deployment["spec"]["replicas"] = 7.into();
    let path = format!("{DEPLOYMENTS}/d");
    let after = harness.put(&format!("{path}/status"), &deployment).await.expect(200);
    assert_eq!((&after["status"]["replicas"], &after["spec"]["replicas"]), (&json!(2), &json!(2)));
    assert_eq!(after["metadata"]["generation"], 1);
    let mut main = after.clone();
    main["status"] = json!({});
    main["spec"]["replicas"] = 7.into();
    let after = harness.put(&path, &main).await.expect(200);
    assert_eq!((&after["status"]["replicas"], &after["spec"]["replicas"]), (&json!(2), &json!(7)));
    assert_eq!(harness.get(&format!("{path}/status")).await.expect(200), after);
}

#[tokio::test]
async fn old_versions_go_in_and_come_out() {
    let harness = Harness::new().await;
    let old = "/apis/extensions/v1beta1/namespaces/default/deployments";
    let mut manifest = deployment("d");
    manifest["apiVersion"] = "extensions/v1beta1".into();
    manifest["spec"].as_object_mut().unwrap().remove("selector");
    let answer = harness.post(old, manifest).await;
    assert!(
        answer.warnings()[0].starts_with("299 - \"extensions/v1beta1 Deployment is deprecated in v1.8+"),
        "{:?}",
        answer.warnings()
    );
    let created = answer.expect(201);
    assert_eq!(created["apiVersion"], "extensions/v1beta1");
    assert_eq!(created["spec"]["selector"]["matchLabels"], json!({"app": "d"}));
    let today = harness.get(&format!("{DEPLOYMENTS}/d")).await;
    assert_eq!(today.warnings().len(), 0);
    assert_eq!(today.expect(200)["apiVersion"], "apps/v1");
    let list = harness.get(old).await.expect(200);
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"]),
        (&json!("extensions/v1beta1"), &json!("extensions/v1beta1"))
    );
}
