//! connect() in a pod, where a Service's address is translated before a packet exists: direct and through the ClusterIP.
//!
//! Client and server are pods of this very program, which has both sides in [`connect`]; what the client pod finds it
//! writes to its log. They get no environment of Services: that of 30,000 is more than the kernel lets a program have.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::connect::{self, PORT};
use crate::node::{self, Node};
use crate::services;

/// The image made of this program.
const IMAGE: &str = "kelson.local/bench:latest";
/// What this program is asked to do in the pods.
pub const CLIENT: &str = "pod-client";
pub const SERVER: &str = "pod-server";
/// Numbers of Services that connect() is measured at.
const SIZES: [u32; 2] = [10, 30_000];
/// How long a pod may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything of this part, on one cluster that grows.
pub async fn measure(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    node::import(kelson, data_dir, &std::env::current_exe()?, IMAGE, &[])?;
    let (node, _) = Node::start(kelson, data_dir)?;
    let client = node.client().await?;
    let mut published = 0;
    for size in SIZES {
        services::timed_publish(&client, published..size).await?;
        published = size;
        tokio::time::sleep(crate::SETTLE).await;
        compare(&client, size).await?;
    }
    node.remove()
}

/// What the client pod does: both ways in turn, the result in one line.
pub fn client(direct: &str, service: &str) -> anyhow::Result<()> {
    let service: SocketAddrV4 = service.parse()?;
    // Until it is programmed, an attempt may be refused.
    let begin = Instant::now();
    while connect::once(service).is_err() {
        ensure!(begin.elapsed() < PATIENCE, "{service} is not answered");
    }
    let [straight, through] = connect::compare(direct.parse()?, service)?;
    println!("{}", json!([straight.0, straight.1, through.0, through.1].map(|it| it.as_nanos() as u64)));
    Ok(())
}

/// What the server pod does.
pub fn server() -> anyhow::Result<()> {
    connect::serve(Ipv4Addr::UNSPECIFIED)?;
    loop {
        std::thread::park();
    }
}

async fn compare(client: &Client, size: u32) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    make(&pods, "server", &[SERVER, "-", "-"]).await?;
    let service = json!({
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": PORT}]},
    });
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service gets an address")?;
    let server = until(&pods, "server", |pod| pod_ip(pod).filter(|_| phase(pod) == "Running")).await?;
    make(&pods, "client", &[CLIENT, &format!("{server}:{PORT}"), &format!("{address}:80")]).await?;
    let end = until(&pods, "client", |pod| {
        Some(phase(pod).to_owned()).filter(|phase| phase == "Succeeded" || phase == "Failed")
    });
    let (end, log) = (end.await?, pods.logs("client", &LogParams::default()).await?);
    ensure!(end == "Succeeded", "the client pod failed: {log}");
    tell(size, &log)?;
    for name in ["client", "server"] {
        pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    }
    services.delete("server", &DeleteParams::default()).await?;
    while !pods.list(&Default::default()).await?.items.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn tell(size: u32, log: &str) -> anyhow::Result<()> {
    let nanos: [u64; 4] = serde_json::from_str(log.trim()).context("the client pod writes four numbers")?;
    let [straight, straight_99, through, through_99] = nanos.map(Duration::from_nanos);
    services::micros(&format!("connect() in a pod, direct, at {size} Services"), (straight, straight_99));
    services::micros(
        &format!("connect() in a pod, through a ClusterIP, at {size} Services"),
        (through, through_99),
    );
    let ratio = through.as_secs_f64() / straight.as_secs_f64();
    println!("connect() in a pod through a ClusterIP ÷ direct, at {size} Services, p50\t{ratio:.2}");
    Ok(())
}

async fn make(pods: &Api<Pod>, name: &str, args: &[&str]) -> anyhow::Result<()> {
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": false, "containers": [{
            "name": name, "image": IMAGE, "imagePullPolicy": "Never", "args": args,
        }]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value::<Pod>(pod)?).await?;
    Ok(())
}

/// Looks at a pod until it has what is asked of it.
async fn until<T>(pods: &Api<Pod>, name: &str, found: impl Fn(&Pod) -> Option<T>) -> anyhow::Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(found) = found(&pods.get(name).await?) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("pod {name} takes too long: {:?}", pods.get(name).await?.status)
}

fn pod_ip(pod: &Pod) -> Option<String> {
    pod.status.as_ref().and_then(|status| status.pod_ip.clone())
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}
