//! The controllers against the real API server, in process: no socket, the same requests and bytes.
//!
//! A node is played by a task that makes bound pods ready and lets deleted ones go.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Node, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kelson_apiserver::{ApiServer, Config, User};
use kelson_cluster::{Change, ControllerConfig, Selection, reflect, run_controllers};
use kelson_process::Shutdown;
use kelson_store::Embedded;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster of one played node; ends with the value.
struct Cluster {
    client: Client,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
    _api: ApiServer,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Cluster {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path().join("store"), kelson_store::Config::default()).unwrap();
        let config =
            Config::new(directory.path(), "127.0.0.1:6443".parse().unwrap(), "127.0.0.1".parse().unwrap());
        let api = ApiServer::open(config, Arc::new(store)).await.unwrap();
        let client = Client::new(api.local(User::new("admin", &["system:masters"])), "default");
        let manager = Client::new(api.local(User::component("system:kube-controller-manager")), "default");
        let shutdown = Shutdown::new();
        let settings = ControllerConfig { root_ca: Some("the CA".to_owned()), ..ControllerConfig::default() };
        drop(tokio::spawn(run_controllers(manager, settings, shutdown.clone())));
        let cluster = Self { client, shutdown, _directory: directory, _api: api };
        cluster.add_node().await;
        drop(tokio::spawn(play_node(cluster.client.clone())));
        cluster
    }

    async fn add_node(&self) {
        let node = json!({
            "metadata": {"name": "n"},
            "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        let api = Api::<Node>::all(self.client.clone());
        api.create(&PostParams::default(), &typed(node.clone())).await.unwrap();
        api.patch_status("n", &PatchParams::default(), &Patch::Merge(&node)).await.unwrap();
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create<K>(&self, object: Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        self.api::<K>().create(&PostParams::default(), &typed(object)).await.unwrap()
    }

    /// Waits until the objects of a kind are as told; panics with what they are if that never comes.
    async fn until<K>(&self, what: &str, holds: impl Fn(&[K]) -> bool)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let started = tokio::time::Instant::now();
        loop {
            let objects = self.api::<K>().list(&ListParams::default()).await.unwrap().items;
            if holds(&objects) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: {objects:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn typed<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

/// Makes bound pods ready, each with an address of its own, and lets deleted ones go at once.
async fn play_node(client: Client) {
    let mut changes = std::pin::pin!(reflect(Api::<Pod>::all(client.clone()), Selection::default()));
    let mut number = 0;
    while let Some(change) = changes.next().await {
        let Change::Applied(pod) = change else { continue };
        let (name, namespace) = (pod.metadata.name.clone().unwrap(), pod.metadata.namespace.clone().unwrap());
        let api = Api::<Pod>::namespaced(client.clone(), &namespace);
        let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if pod.metadata.deletion_timestamp.is_some() {
            drop(api.delete(&name, &DeleteParams::default().grace_period(0)).await);
        } else if bound && pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none()) {
            number += 1;
            let ip = format!("10.244.0.{number}");
            let status = json!({"status": {
                "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }});
            drop(api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await);
        }
    }
}

fn deployment(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    })
}

fn service() -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    })
}

fn ready(slices: &[EndpointSlice], service: &str) -> usize {
    let of_service = slices.iter().filter(|slice| {
        slice
            .metadata
            .labels
            .as_ref()
            .unwrap()
            .get("kubernetes.io/service-name")
            .is_some_and(|name| name == service)
    });
    let endpoints = of_service.flat_map(|slice| slice.endpoints.iter().flatten());
    endpoints.filter(|endpoint| endpoint.conditions.as_ref().unwrap().ready == Some(true)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_becomes_ready_endpoints_and_everything_goes_with_it() {
    let cluster = Cluster::start().await;
    cluster.create::<Service>(service()).await;
    cluster.create::<Deployment>(deployment(3)).await;

    cluster.until::<EndpointSlice>("three ready endpoints", |slices| ready(slices, "web") == 3).await;
    cluster
        .until::<Endpoints>("three addresses in Endpoints", |all| {
            let web = all.iter().find(|one| one.metadata.name.as_deref() == Some("web"));
            let subsets = web.and_then(|web| web.subsets.clone()).unwrap_or_default();
            subsets.len() == 1
                && subsets[0].addresses.as_ref().is_some_and(|all| all.len() == 3)
                && subsets[0].ports.as_ref().is_some_and(|ports| ports[0].port == 8080)
        })
        .await;
    cluster
        .until::<Deployment>("a complete rollout", |all| {
            let status = all[0].status.clone().unwrap_or_default();
            let progressing = status
                .conditions
                .unwrap_or_default()
                .into_iter()
                .find(|one| one.type_.as_deref() == Some("Progressing"));
            status.available_replicas == Some(3)
                && progressing.is_some_and(|one| one.reason.as_deref() == Some("NewReplicaSetAvailable"))
        })
        .await;
    assert_eq!(
        cluster.api::<Pod>().list(&ListParams::default()).await.unwrap().items.len(),
        3,
        "no pod too many"
    );
    cluster
        .until::<Event>("the events of a rollout", |events| {
            let said = |component: &str, reason: &str, start: &str| {
                events.iter().any(|event| {
                    event.source.as_ref().unwrap().component.as_deref() == Some(component)
                        && event.reason.as_deref() == Some(reason)
                        && event.message.as_ref().unwrap().starts_with(start)
                })
            };
            said("deployment-controller", "ScalingReplicaSet", "Scaled up replica set web-")
                && said("replicaset-controller", "SuccessfulCreate", "Created pod: web-")
                && said("default-scheduler", "Scheduled", "Successfully assigned default/web-")
        })
        .await;

    let patch = json!({"spec": {"replicas": 1}});
    cluster.api::<Deployment>().patch("web", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    cluster.until::<EndpointSlice>("one ready endpoint", |slices| ready(slices, "web") == 1).await;

    cluster.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    cluster.api::<Deployment>().delete("web", &DeleteParams::background()).await.unwrap();
    cluster.until::<ReplicaSet>("no set left", |sets| sets.is_empty()).await;
    cluster.until::<Pod>("no pod left", |pods| pods.is_empty()).await;
    let of_web = |slice: &EndpointSlice| slice.metadata.name.as_ref().unwrap().starts_with("web");
    cluster.until::<EndpointSlice>("no slice left", |slices| !slices.iter().any(of_web)).await;
    cluster
        .until::<Endpoints>("no Endpoints left", |all| {
            !all.iter().any(|one| one.metadata.name.as_deref() == Some("web"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_pods_are_made_once_each_however_far_the_watch_lags() {
    let cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment(50)).await;
    cluster
        .until::<Deployment>("fifty available", |all| {
            all[0].status.as_ref().is_some_and(|status| status.available_replicas == Some(50))
        })
        .await;
    let events = cluster.api::<Event>().list(&ListParams::default()).await.unwrap();
    let deleted =
        events.items.iter().filter(|event| event.reason.as_deref() == Some("SuccessfulDelete")).count();
    assert_eq!(deleted, 0, "a pod too many was made and deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_waits_for_its_dependents() {
    let cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment(2)).await;
    cluster.until::<Pod>("two pods", |pods| pods.len() == 2).await;
    cluster.api::<Deployment>().delete("web", &DeleteParams::foreground()).await.unwrap();
    cluster.until::<Deployment>("no Deployment left", |all| all.is_empty()).await;
    let pods = cluster.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    assert!(pods.is_empty(), "the owner went before its dependents: {pods:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_let_go_and_stay() {
    let cluster = Cluster::start().await;
    cluster.create::<Deployment>(deployment(2)).await;
    cluster.until::<Pod>("two pods", |pods| pods.len() == 2).await;
    cluster.api::<Deployment>().delete("web", &DeleteParams::orphan()).await.unwrap();
    cluster.until::<Deployment>("no Deployment left", |all| all.is_empty()).await;
    cluster
        .until::<ReplicaSet>("an orphaned set", |sets| {
            sets.len() == 1 && sets[0].metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
        })
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(cluster.api::<Pod>().list(&ListParams::default()).await.unwrap().items.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_gets_what_its_pods_need_and_is_emptied_when_it_goes() {
    let cluster = Cluster::start().await;
    let namespaces = Api::<Namespace>::all(cluster.client.clone());
    namespaces.create(&PostParams::default(), &typed(json!({"metadata": {"name": "team"}}))).await.unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client.clone(), "team");
    let maps = Api::<ConfigMap>::namespaced(cluster.client.clone(), "team");
    tokio::time::timeout(PATIENCE, kelson_cluster::wait_until(accounts, "default", |_| true))
        .await
        .unwrap_or_else(|_| panic!("no account in the namespace"));
    let has_ca = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["ca.crt"] == "the CA");
    tokio::time::timeout(PATIENCE, kelson_cluster::wait_until(maps, "kube-root-ca.crt", has_ca))
        .await
        .unwrap_or_else(|_| panic!("no CA in the namespace"));

    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), "team");
    deployments.create(&PostParams::default(), &typed(deployment(2))).await.unwrap();
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    let started = tokio::time::Instant::now();
    while let Some(left) = namespaces.get_opt("team").await.unwrap() {
        assert!(started.elapsed() < PATIENCE, "{left:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pods =
        Api::<Pod>::namespaced(cluster.client.clone(), "team").list(&ListParams::default()).await.unwrap();
    assert!(pods.items.is_empty(), "{pods:?}");
}
