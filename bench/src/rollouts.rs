//! Rollouts under a steady load of new connections: servers that die at SIGTERM, no preStop, every loss counted.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

const NAME: &str = "rolled";
/// New connections a second.
const RATE: u32 = 400;
/// How long one rollout may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a rollout is looked after.
const LOOK: Duration = Duration::from_millis(50);

/// What the load counted.
pub struct Load {
    pub requests: u64,
    pub lost: u64,
    pub p99_ms: f64,
}

/// Publishes four servers and rolls them `count` times, with the load all the while.
pub async fn under_load(client: &Client, kelson: &Path, count: usize) -> anyhow::Result<Load> {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let address = publish(client, &deployments).await?;
    settled(&deployments).await?;
    let load = start(kelson, &address)?;
    for round in 0..count {
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": { "round": round.to_string() } } } } });
        deployments.patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        settled(&deployments).await?;
    }
    finish(load)
}

async fn publish(client: &Client, deployments: &Api<Deployment>) -> anyhow::Result<String> {
    let labels = json!({ "app": NAME });
    let container = json!({
        "name": "echo", "image": "kelson.local/echo:latest", "imagePullPolicy": "Never",
        "args": ["--port", "8080", "--on-sigterm", "exit"],
        "readinessProbe": { "tcpSocket": { "port": 8080 }, "periodSeconds": 1 },
    });
    let deployment = json!({ "metadata": { "name": NAME }, "spec": {
        "replicas": 4, "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
    } });
    let service = json!({ "metadata": { "name": NAME }, "spec": {
        "selector": labels, "ports": [{ "port": 80, "targetPort": 8080 }],
    } });
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
    service.spec.and_then(|spec| spec.cluster_ip).context("the Service has an address")
}

/// Waits until the last change is rolled out.
async fn settled(deployments: &Api<Deployment>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !is_settled(&deployments.get(NAME).await?) {
        ensure!(begin.elapsed() < PATIENCE, "a rollout does not end");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn is_settled(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let all = Some(4);
    status.observed_generation == deployment.metadata.generation
        && status.updated_replicas == all
        && status.available_replicas == all
        && status.replicas == all
}

fn start(kelson: &Path, address: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(kelson);
    command.args(["load", &format!("{address}:80"), "--seconds", "0", "--rate", &RATE.to_string()]);
    command.stdout(Stdio::piped()).spawn().context("starting the load")
}

fn finish(mut load: Child) -> anyhow::Result<Load> {
    Command::new("kill").args(["-TERM", &load.id().to_string()]).status()?;
    let mut report = String::new();
    load.stdout.take().context("stdout is piped")?.read_to_string(&mut report)?;
    load.wait()?;
    let words: Vec<&str> = report.split_whitespace().collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<f64>().ok()
    };
    let figure = |name: &str| value(name).with_context(|| format!("the load reports {name}: {report}"));
    Ok(Load { requests: figure("requests")? as u64, lost: figure("lost")? as u64, p99_ms: figure("p99_ms")? })
}
