//! Discovery as clients read it.

use super::*;
use http_body_util::BodyExt;

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

async fn get(path: &str, accept: Option<&str>) -> (StatusCode, Value) {
    let discovery = Discovery::new(kelson_registry::kinds(), "127.0.0.1:6443");
    let answer = discovery.answer(path, accept, None).unwrap().unwrap();
    let code = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn versions_are_ranked_as_upstream_ranks_them() {
    let mut versions = ["v1beta1", "v2", "v1", "v1alpha1", "v1beta2", "v10"];
    versions.sort_by_key(|version| version_rank(version));
    assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1"]);
}

#[tokio::test]
async fn old_groups_come_last_so_that_a_bare_name_means_todays() {
    let (_, list) = get("/apis", None).await;
    let names: Vec<&str> =
        list["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    let at = |name| names.iter().position(|known| *known == name).unwrap();
    assert!(at("apps") < at("extensions"), "{names:?}");
    let apps = &list["groups"][at("apps")];
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
}

#[tokio::test]
async fn plain_resource_lists_name_what_kubectl_needs() {
    let (_, list) = get("/api/v1", None).await;
    let services = list["resources"].as_array().unwrap().iter().find(|r| r["name"] == "services").unwrap();
    assert_eq!(services["shortNames"], json!(["svc"]));
    assert_eq!(services["categories"], json!(["all"]));
    assert_eq!(services["singularName"], "service");
    assert_eq!(services["namespaced"], true);
    assert!(list["resources"].as_array().unwrap().iter().any(|r| r["name"] == "services/status"));
}

#[tokio::test]
async fn aggregated_discovery_holds_everything_in_one_answer() {
    let (_, core) = get("/api", Some(AGGREGATED)).await;
    assert_eq!(core["kind"], "APIGroupDiscoveryList");
    assert_eq!(core["apiVersion"], "apidiscovery.k8s.io/v2");
    let pods = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
    let pods = pods.iter().find(|r| r["resource"] == "pods").unwrap();
    assert_eq!(pods["responseKind"], json!({"group": "", "version": "v1", "kind": "Pod"}));
    assert_eq!(pods["scope"], "Namespaced");
    assert!(pods["subresources"].as_array().unwrap().iter().any(|s| s["subresource"] == "log"));
    let (_, groups) = get("/apis", Some(AGGREGATED)).await;
    assert!(groups["items"].as_array().unwrap().iter().any(|g| g["metadata"]["name"] == "apps"));
    let (_, plain) = get("/apis", Some("application/json")).await;
    assert_eq!(plain["kind"], "APIGroupList");
}

#[test]
fn a_known_tag_is_304() {
    let discovery = Discovery::new(kelson_registry::kinds(), "");
    let first = discovery.answer("/apis", Some(AGGREGATED), None).unwrap().unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = discovery.answer("/apis", Some(AGGREGATED), Some(&tag)).unwrap().unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(discovery.answer("/apis/no.such.group", None, None).is_none());
}

#[tokio::test]
async fn nicknames_belong_to_a_kinds_own_group() {
    let (_, own) = get("/apis/apps/v1", None).await;
    let (_, old) = get("/apis/extensions/v1beta1", None).await;
    let deployments = |list: &Value| {
        let found =
            list["resources"].as_array().unwrap().iter().find(|r| r["name"] == "deployments").unwrap();
        (found.get("shortNames").is_some(), found.get("categories").is_some())
    };
    assert_eq!((deployments(&own), deployments(&old)), ((true, true), (false, false)));
}
