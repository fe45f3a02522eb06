//! What kubectl's verifier of `fieldValidation` looks for.

use super::*;

#[test]
fn every_kind_says_that_it_takes_field_validation() {
    for kind in kelson_registry::kinds() {
        let root =
            if kind.group.is_empty() { "api/v1".to_owned() } else { format!("apis/{}", kind.api_version()) };
        let document = &documents()[&format!("/openapi/v3/{root}")];
        let value = document.value();
        let found = value["paths"].as_object().unwrap().values().any(|path| {
            let patch = &path["patch"];
            patch["x-kubernetes-group-version-kind"]["kind"] == kind.kind
                && patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation")
        });
        assert!(found, "{kind:?}");
    }
}

#[test]
fn the_index_names_documents_that_exist() {
    let index = index();
    for (root, entry) in index["paths"].as_object().unwrap() {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        assert!(url.starts_with(&format!("/openapi/v3/{root}?hash=")));
        assert!(documents().contains_key(&format!("/openapi/v3/{root}")));
    }
}

#[test]
fn version_2_is_there_in_both_encodings() {
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    assert_eq!(answer("/openapi/v2", Some(accept), None).unwrap().unwrap().status(), 200);
    assert!(answer("/openapi/v2", None, None).unwrap().is_ok());
    assert_eq!(answer("/openapi/v2", Some("text/plain"), None).unwrap().unwrap_err().code, 406);
    let document = version_2_protobuf();
    assert!(document.starts_with(b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.37.0\x42"));
    let holds = |text: &str| document.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("/apis/apps/v1/namespaces/{namespace}/deployments/{name}") && holds("dryRun"));
    assert!(holds("#/definitions/io.k8s.api.core.v1.Container") && holds("x-kubernetes-patch-merge-key"));
    assert!(!holds("io.k8s.api.extensions.v1beta1.Deployment"), "its fields are not today's");
    assert!(holds("/apis/extensions/v1beta1/namespaces/{namespace}/deployments/{name}"));
}

#[test]
fn every_reference_leads_to_a_described_type() {
    for (path, document) in documents() {
        let value = document.value();
        let schemas = value["components"]["schemas"].as_object().unwrap();
        let text = value.to_string();
        for reference in
            text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap())
        {
            assert!(schemas.contains_key(reference), "{path}: {reference}");
        }
    }
}

#[test]
fn a_pods_containers_are_explained() {
    let value = documents()["/openapi/v3/api/v1"].value();
    let schemas = &value["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["type"], "array");
    assert!(
        containers["description"].as_str().unwrap().starts_with("List of containers belonging to the pod.")
    );
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    let item = &containers["items"]["allOf"][0]["$ref"];
    assert_eq!(item, "#/components/schemas/io.k8s.api.core.v1.Container");
    assert_eq!(schemas["io.k8s.api.core.v1.PodSpec"]["required"], json!(["containers"]));
}
