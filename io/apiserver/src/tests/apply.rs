//! Server-side apply over HTTP: what it makes, keeps, takes and refuses, and the owners every other write leaves.

use super::*;

async fn apply(harness: &Harness, path: &str, query: &str, config: Value) -> Answer {
    let headers = [("content-type", "application/apply-patch+yaml")];
    harness.send(admin(), "PATCH", &format!("{path}?{query}"), &headers, config.to_string()).await
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}}, "spec": spec})
}

fn wanted(replicas: Option<i64>) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}}});
    if let Some(replicas) = replicas {
        spec["replicas"] = replicas.into();
    }
    config(spec)
}

fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|entry| {
            format!("{} {} {}", text(entry, "manager"), text(entry, "operation"), text(entry, "subresource"))
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn an_apply_creates_changes_and_takes_back() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    let made = apply(&harness, &path, "fieldManager=me", wanted(Some(3))).await.expect(201);
    assert_eq!((&made["spec"]["replicas"], owners(&made)), (&json!(3), vec!["me Apply".to_owned()]));
    assert_eq!(made["spec"]["strategy"]["type"], "RollingUpdate", "defaults are filled in, and nobody's");
    let fields = &made["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields["f:spec"]["f:strategy"], Value::Null);
    let port = "k:{\"containerPort\":80,\"protocol\":\"TCP\"}";
    let container = &fields["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"];
    assert_eq!(container["f:ports"][port], json!({".": {}, "f:containerPort": {}}));

    let same = apply(&harness, &path, "fieldManager=me", wanted(Some(3))).await.expect(200);
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let back = apply(&harness, &path, "fieldManager=me", wanted(None)).await.expect(200);
    assert_eq!(back["spec"]["replicas"], 1, "what is no longer applied falls back to its default");
}

#[tokio::test]
async fn conflicts_are_refused_or_forced() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    let query = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
    harness.post(&query, wanted(Some(1))).await.expect(201);
    let refused = apply(&harness, &path, "fieldManager=me", wanted(Some(2))).await;
    let text = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas";
    assert_eq!(refused.status(), (409, "Conflict", text));
    let cause = json!({"reason": "FieldManagerConflict", "field": ".spec.replicas",
        "message": "conflict with \"kubectl-client-side-apply\" using apps/v1"});
    assert_eq!(refused.expect(409)["details"]["causes"], json!([cause]));
    let forced = apply(&harness, &path, "fieldManager=me&force=true", wanted(Some(2))).await.expect(200);
    assert_eq!(forced["spec"]["replicas"], 2);
    let dry = apply(&harness, &path, "fieldManager=me&dryRun=All", wanted(Some(9))).await.expect(200);
    assert_eq!(dry["spec"]["replicas"], 9);
    assert_eq!(harness.get(&path).await.expect(200)["spec"]["replicas"], 2);
}

#[tokio::test]
async fn every_write_leaves_its_owner() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    harness.post(&format!("{DEPLOYMENTS}?fieldManager=kubectl-create"), wanted(Some(1))).await.expect(201);
    harness
        .patch(
            &format!("{path}?fieldManager=kubectl-edit"),
            "merge-patch",
            json!({"metadata": {"labels": {"x": "y"}}}),
        )
        .await
        .expect(200);
    harness
        .patch(&format!("{path}/scale?fieldManager=kubectl"), "merge-patch", json!({"spec": {"replicas": 4}}))
        .await
        .expect(200);
    let headers = [("content-type", "application/merge-patch+json"), ("user-agent", "agent/v1 (linux)")];
    let status = r#"{"status": {"observedGeneration": 1}}"#;
    let object =
        harness.send(admin(), "PATCH", &format!("{path}/status"), &headers, status).await.expect(200);
    let mut found = owners(&object);
    found.sort();
    assert_eq!(
        found,
        ["agent Update status", "kubectl Update scale", "kubectl-create Update", "kubectl-edit Update"]
    );
    let all = object["metadata"]["managedFields"].as_array().unwrap();
    let created = all.iter().find(|entry| entry["manager"] == "kubectl-create").unwrap();
    assert_eq!(created["fieldsV1"]["f:spec"]["f:replicas"], Value::Null, "the scale took the replicas");
    assert_eq!(created["fieldsV1"]["f:spec"]["f:strategy"]["f:rollingUpdate"][".."], Value::Null);
}

#[tokio::test]
async fn what_is_no_apply_is_refused_in_upstreams_words() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    let check = async |query: &str, config: Value, code: u16, text: &str| {
        let answer = apply(&harness, &path, query, config).await;
        assert_eq!((answer.status().0, answer.status().2), (code, text));
    };
    check(
        "",
        wanted(None),
        422,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    )
    .await;
    let mut owned = wanted(None);
    owned["metadata"]["managedFields"] = json!([]);
    check("fieldManager=me", owned, 400, "metadata.managedFields must be nil").await;
    let mut other = wanted(None);
    other["apiVersion"] = json!("apps/v1beta1");
    check("fieldManager=me", other, 400, "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1").await;
    let mut unknown = wanted(None);
    unknown["spec"]["template"]["spec"]["containers"][0]["imag"] = json!("x");
    check("fieldManager=me", unknown, 500, "failed to create typed patch object (default/d; apps/v1, Kind=Deployment): .spec.template.spec.containers[name=\"c\"].imag: field not declared in schema").await;
    harness.post(DEPLOYMENTS, wanted(None)).await.expect(201);
    let forced = harness.patch(&format!("{path}?force=true"), "merge-patch", json!({})).await;
    assert_eq!(
        forced.status().2,
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
}

#[tokio::test]
async fn a_service_is_applied_and_keeps_its_address() {
    let harness = Harness::new().await;
    let path = "/api/v1/namespaces/default/services/s";
    let service = |port: u16| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": port}], "selector": {"a": "b"}}});
    let made = apply(&harness, path, "fieldManager=me", service(80)).await.expect(201);
    let address = made["spec"]["clusterIP"].clone();
    assert!(address.as_str().unwrap().starts_with("10."), "{made}");
    let changed = apply(&harness, path, "fieldManager=me", service(81)).await.expect(200);
    assert_eq!(
        (&changed["spec"]["clusterIP"], changed["spec"]["ports"].as_array().unwrap().len()),
        (&address, 1)
    );
    assert_eq!(changed["spec"]["ports"][0]["port"], 81);
}

#[tokio::test]
async fn a_scale_is_applied_and_owned_through_scale() {
    let harness = Harness::new().await;
    let path = format!("{DEPLOYMENTS}/d");
    apply(&harness, &path, "fieldManager=me", wanted(Some(3))).await.expect(201);
    let scale = |replicas: i64| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}});
    let below = format!("{path}/scale");
    let refused = apply(&harness, &below, "fieldManager=scaler", scale(5)).await;
    let text = "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas";
    assert_eq!(refused.status(), (409, "Conflict", text));
    let scaled = apply(&harness, &below, "fieldManager=scaler&force=true", scale(5)).await.expect(200);
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let object = harness.get(&path).await.expect(200);
    assert_eq!(object["spec"]["replicas"], 5);
    assert_eq!(owners(&object), ["me Apply", "scaler Apply scale"]);
    let other = json!({"apiVersion": "apps/v1", "kind": "Scale", "spec": {"replicas": 1}});
    let text = "Incorrect version specified in apply patch. Specified patch version: apps/v1, expected: autoscaling/v1";
    assert_eq!(apply(&harness, &below, "fieldManager=x", other).await.status(), (400, "BadRequest", text));
    assert_eq!(apply(&harness, &below, "force=true", scale(1)).await.code, 422);
    let negative = apply(&harness, &below, "fieldManager=scaler", scale(-1)).await;
    assert_eq!(negative.code, 422, "{negative:?}");
}
