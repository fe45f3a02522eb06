//! The kube client over the router, in process: what all components of one kelson use.

use super::*;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};

fn client(harness: &Harness) -> kube::Client {
    kube::Client::new(harness.server.local(admin()), "default")
}

#[tokio::test]
async fn objects_are_written_read_and_deleted() {
    let harness = Harness::new().await;
    let api: Api<Deployment> = Api::default_namespaced(client(&harness));
    let object: Deployment = serde_json::from_value(deployment("d")).unwrap();
    let mut created = api.create(&PostParams::default(), &object).await.unwrap();
    created.spec.replicas = Some(4);
    let replaced = api.replace("d", &PostParams::default(), &created).await.unwrap();
    assert_eq!(replaced.metadata.generation, Some(2));
    let stale = api.replace("d", &PostParams::default(), &created).await.unwrap_err();
    assert!(
        matches!(&stale, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"),
        "{stale:?}"
    );
    let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
    api.patch("d", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(api.get_scale("d").await.unwrap().spec.unwrap().replicas, Some(1));
    assert!(api.get_opt("none").await.unwrap().is_none());
    assert!(api.delete("d", &DeleteParams::default()).await.unwrap().is_right());
}

#[tokio::test]
async fn lists_and_watches() {
    let harness = Harness::new().await;
    let api: Api<Pod> = Api::all(client(&harness));
    let list = api.list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let watch = api.watch(&WatchParams::default().labels("app=p"), &version).await.unwrap();
    let mut watch = watch.boxed();
    harness.post(PODS, pod("other")).await.expect(201);
    harness.post(PODS, pod("p")).await.expect(201);
    let event = watch.try_next().await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Added(pod) if pod.metadata.name.as_deref() == Some("p")),
        "{event:?}"
    );
    let pods: Api<Pod> = Api::default_namespaced(client(&harness));
    assert_eq!(pods.list_metadata(&ListParams::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn pages_are_followed() {
    let harness = Harness::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client(&harness));
    for i in 0..5 {
        harness.post(CONFIG_MAPS, config_map(&format!("m{i}"))).await.expect(201);
    }
    let (mut token, mut seen) = (None, 0);
    loop {
        let mut options = ListParams::default().limit(2);
        options.continue_token = token;
        let page = api.list(&options).await.unwrap();
        seen += page.items.len();
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, 5);
}
