//! Pods, from the request that creates them to the status that says they run.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// How long anything may take before the measurement is given up.
const PATIENCE_SECONDS: u32 = 120;

fn pod_spec() -> Value {
    json!({ "terminationGracePeriodSeconds": 0, "containers": [{
        "name": "echo", "image": "kelson.local/echo:latest", "imagePullPolicy": "Never", "args": ["--port", "8080"],
    }] })
}

/// Creates one pod; the time from the request to the event that says it runs.
pub async fn create_until_running(client: &Client, name: &str) -> anyhow::Result<Duration> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": pod_spec() }))?;
    let begin = Instant::now();
    let created = pods.create(&PostParams::default(), &pod).await?;
    let from = created.metadata.resource_version.unwrap_or_default();
    let only = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(PATIENCE_SECONDS);
    let mut events = pin!(pods.watch(&only, &from).await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(pod) = event
            && is_running(&pod)
        {
            return Ok(begin.elapsed());
        }
    }
    bail!("pod {name} does not run")
}

/// Creates a Deployment of `count` pods; the time until the last of them runs.
pub async fn deploy_until_running(client: &Client, count: usize) -> anyhow::Result<Duration> {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let labels = json!({ "app": "many" });
    let deployment = json!({ "metadata": { "name": "many" }, "spec": {
        "replicas": count, "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": pod_spec() },
    } });
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let from =
        pods.list(&ListParams::default().limit(1)).await?.metadata.resource_version.unwrap_or_default();
    let many = WatchParams::default().labels("app=many").timeout(PATIENCE_SECONDS);
    let begin = Instant::now();
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
    let mut events = pods.watch(&many, &from).await?.boxed();
    let mut running = std::collections::BTreeSet::new();
    while let Some(event) = events.try_next().await? {
        let WatchEvent::Modified(pod) = event else { continue };
        if is_running(&pod) {
            running.insert(pod.metadata.name.unwrap_or_default());
        }
        if running.len() == count {
            return Ok(begin.elapsed());
        }
    }
    bail!("only {} of {count} pods run", running.len())
}

/// Deletes every pod and waits until none is left: a node takes only so many.
pub async fn delete_all(client: &Client) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    until_gone(&pods).await
}

/// Deletes the Deployment of `deploy_until_running` and waits until its pods are gone.
pub async fn delete_deployment(client: &Client) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.delete("many", &DeleteParams::background()).await?;
    until_gone(&Api::default_namespaced(client.clone())).await
}

async fn until_gone(pods: &Api<Pod>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !pods.list(&ListParams::default()).await?.items.is_empty() {
        if begin.elapsed().as_secs() > PATIENCE_SECONDS.into() {
            bail!("the pods are not gone");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}
