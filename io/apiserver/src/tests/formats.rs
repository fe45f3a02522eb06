//! Shapes and media types: tables, metadata, YAML, and what is refused.

use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

async fn get(harness: &Harness, path: &str, accept: &str) -> Answer {
    harness.send(admin(), "GET", path, &[("accept", accept)], Body::empty()).await
}

#[tokio::test]
async fn tables_hold_what_kubectl_prints() {
    let harness = Harness::new().await;
    harness.post(SERVICES, service("s")).await.expect(201);
    let table = get(&harness, &format!("{SERVICES}?limit=500"), TABLE).await.expect(200);
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]);
    let row = &table["rows"][1];
    assert_eq!(row["cells"][0], "s");
    assert_eq!(
        (&row["object"]["kind"], &row["object"]["metadata"]["name"]),
        (&json!("PartialObjectMetadata"), &json!("s"))
    );
    assert!(table["metadata"]["resourceVersion"].is_string());
    let none = get(&harness, &format!("{SERVICES}?includeObject=None"), TABLE).await.expect(200);
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let whole = get(&harness, &format!("{SERVICES}/s?includeObject=Object"), TABLE).await.expect(200);
    assert_eq!(whole["rows"][0]["object"]["kind"], "Service");
    assert_eq!(get(&harness, &format!("{SERVICES}?includeObject=All"), TABLE).await.code, 400);
}

#[tokio::test]
async fn metadata_alone() {
    let harness = Harness::new().await;
    let list = get(&harness, SERVICES, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        .await
        .expect(200);
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(
        (&list["items"][0]["kind"], list["items"][0].get("spec")),
        (&json!("PartialObjectMetadata"), None)
    );
}

#[tokio::test]
async fn yaml_goes_in_and_out() {
    let harness = Harness::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata:\n  k: \"1\"\n";
    let headers = [("content-type", "application/yaml"), ("accept", "application/yaml")];
    let answer = harness.send(admin(), "POST", CONFIG_MAPS, &headers, yaml).await;
    assert_eq!((answer.code, &answer.headers["content-type"]), (201, &"application/yaml".parse().unwrap()));
    assert!(answer.body.as_str().unwrap().contains("data:\n  k: '1'\n"), "{answer:?}");
    let list = get(&harness, CONFIG_MAPS, "application/yaml").await.expect(200);
    assert!(list.as_str().unwrap().contains("kind: ConfigMapList"));
}

#[tokio::test]
async fn other_media_types_are_refused_in_upstreams_words() {
    let harness = Harness::new().await;
    let answer = get(&harness, PODS, "application/vnd.kubernetes.protobuf").await;
    let text = "only the following media types are accepted: application/json, application/yaml";
    assert_eq!(answer.status(), (406, "NotAcceptable", text));
    let headers = [("content-type", "text/plain")];
    let answer = harness.send(admin(), "POST", CONFIG_MAPS, &headers, "x").await;
    let text = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    assert_eq!(answer.status(), (415, "UnsupportedMediaType", text));
}

#[tokio::test]
async fn bodies_that_are_too_large_are_413() {
    let harness = Harness::new().await;
    let mut map = config_map("a");
    map["data"]["k"] = "x".repeat(3 * 1024 * 1024).into();
    let answer = harness.post(CONFIG_MAPS, map).await;
    assert_eq!(answer.status(), (413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"));
}

#[tokio::test]
async fn garbage_never_panics() {
    let harness = Harness::new().await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"null",
        b"[]",
        b"1",
        b"\"x\"",
        b"\xff\xfe",
        b"{\"metadata\":[]}",
        b"{\"metadata\":{\"name\":{},\"labels\":3}}",
    ];
    let paths = [
        CONFIG_MAPS,
        "/api/v1/namespaces/default/configmaps/%00",
        "/api/v1/namespaces/default/configmaps/a%2F..",
        "/api//v1///pods",
        PODS,
    ];
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            for body in bodies {
                for media in [
                    "application/json",
                    "application/yaml",
                    "application/merge-patch+json",
                    "application/json-patch+json",
                    "application/strategic-merge-patch+json",
                ] {
                    let answer =
                        harness.send(admin(), method, path, &[("content-type", media)], body.to_vec()).await;
                    assert!(answer.code != 500, "{method} {path} {media} {body:?}: {answer:?}");
                }
            }
        }
    }
}
