//! The Node object: registered at the start, its status kept true, its lease renewed.
//!
//! Invariant: labels, annotations and spec that others set on the Node are kept. A refusal or an API that is away is
//! tried again for ever and stops nothing else.

use crate::capacity::Capacity;
use crate::config::AgentConfig;
use crate::error::chain;
use crate::events::Recorder;
use crate::host::Host;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use kelson_pods::pressure::Condition;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// What the node calls itself; the part before `+` is the Kubernetes it behaves as.
pub const VERSION: &str = "v1.37.0+kelson";
/// Tells the cluster where this node keeps the volumes that are made for claims.
const LOCAL_VOLUMES: &str = "kelson.dev/local-volumes";
const LEASES: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
/// How often the status is written although nothing changed.
const REPORT: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_millis(500);
/// Images listed in the status, as many as upstream lists.
const IMAGES_MAX: usize = 50;

/// Keeps the Node and its lease for ever; `registered` becomes true once the API has both.
pub async fn run(host: &Host, registered: watch::Sender<bool>) {
    let mut pressure = host.pressure.subscribe();
    let mut node = loop {
        match register(host).await {
            Ok(node) => break node,
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot register the node; trying again");
                sleep(RETRY).await;
            }
        }
    };
    tell_start(&host.recorder, &node);
    let mut renew = interval(RENEW);
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = Instant::now();
    loop {
        let changed = tokio::select! {
            _ = renew.tick() => false,
            changed = pressure.changed() => changed.is_ok(),
        };
        let (stands, now) = look(host).await;
        node = now.unwrap_or(node);
        match lease(&host.client, &host.config.node_name, &node).await {
            Ok(()) => drop(registered.send_replace(true)),
            Err(error) => tracing::warn!(error = chain(&error), "cannot renew the node's lease"),
        }
        if reported.elapsed() >= REPORT || !stands || changed {
            reported = Instant::now();
            if let Err(error) = write_status(host).await {
                tracing::warn!(error = chain(&error), "cannot write the node's status");
            }
        }
    }
}

fn tell_start(recorder: &Recorder, node: &Node) {
    let name = node.metadata.name.clone().unwrap_or_default();
    recorder.record_node(node, "Starting", "Starting kubelet.".to_owned());
    recorder.record_node(node, "NodeReady", format!("Node {name} status is now: NodeReady"));
}

/// Makes the Node or brings its labels up to date, then writes its status.
async fn register(host: &Host) -> Result<Node, kube::Error> {
    let api: Api<Node> = Api::all(host.client.clone());
    let node = object(host, kelson_process::now());
    match api.create(&PostParams::default(), &node).await {
        Ok(_) => tracing::info!(node = host.config.node_name, "registered the node"),
        Err(kube::Error::Api(refusal)) if refusal.code == 409 => {
            let meta = json!({"labels": node.metadata.labels, "annotations": node.metadata.annotations});
            let patch = json!({"metadata": meta, "spec": node.spec});
            api.patch(&host.config.node_name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        }
        Err(error) => return Err(error),
    }
    write_status(host).await
}

/// The Node as the API has it, and whether it still says that the node is ready. A deleted one is made anew.
async fn look(host: &Host) -> (bool, Option<Node>) {
    let api: Api<Node> = Api::all(host.client.clone());
    match api.get_opt(&host.config.node_name).await {
        Ok(Some(node)) => (is_ready(&node), Some(node)),
        Ok(None) => {
            let made = register(host).await;
            if let Err(error) = &made {
                tracing::warn!(error = chain(error), "cannot register the node anew");
            }
            (true, made.ok())
        }
        Err(_) => (true, None),
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|it| it.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

async fn write_status(host: &Host) -> Result<Node, kube::Error> {
    let api: Api<Node> = Api::all(host.client.clone());
    let before = api.get(&host.config.node_name).await?;
    let mut status = status(host, kelson_process::now());
    keep_transitions(&mut status, &before);
    let patch = json!({"status": status});
    api.patch_status(&host.config.node_name, &PatchParams::default(), &Patch::Strategic(&patch)).await
}

/// A condition that has not flipped keeps its time.
fn keep_transitions(status: &mut NodeStatus, before: &Node) {
    let old = before.status.iter().flat_map(|it| it.conditions.iter().flatten());
    let old: BTreeMap<&str, &NodeCondition> = old.map(|it| (it.type_.as_str(), it)).collect();
    for condition in status.conditions.iter_mut().flatten() {
        if let Some(same) = old.get(condition.type_.as_str()).filter(|it| it.status == condition.status) {
            condition.last_transition_time.clone_from(&same.last_transition_time);
        }
    }
}

fn object(host: &Host, now: Timestamp) -> Node {
    let config = &host.config;
    Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config)),
            annotations: Some(BTreeMap::from([(
                LOCAL_VOLUMES.to_owned(),
                host.paths.local_volumes().display().to_string(),
            )])),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(config.pod_cidr.clone()),
            pod_cidrs: Some(vec![config.pod_cidr.clone()]),
            ..NodeSpec::default()
        }),
        status: Some(status(host, now)),
    }
}

fn labels(config: &AgentConfig) -> BTreeMap<String, String> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    BTreeMap::from([
        pair("beta.kubernetes.io/arch", arch()),
        pair("beta.kubernetes.io/os", "linux"),
        pair("kubernetes.io/arch", arch()),
        pair("kubernetes.io/os", "linux"),
        pair("kubernetes.io/hostname", &config.node_name),
    ])
}

/// The architecture as Go names it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(host: &Host, now: Timestamp) -> NodeStatus {
    let config = &host.config;
    let resources = resources(&host.capacity, config.max_pods);
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        capacity: Some(resources.clone()),
        allocatable: Some(resources),
        conditions: Some(conditions(&host.pressure.borrow(), now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: 10250 }),
        }),
        images: Some(images(host)),
        node_info: Some(system()),
        ..NodeStatus::default()
    }
}

fn resources(capacity: &Capacity, max_pods: u32) -> BTreeMap<String, Quantity> {
    BTreeMap::from([
        ("cpu".to_owned(), Quantity((capacity.cpu_milli / 1000).to_string())),
        ("ephemeral-storage".to_owned(), Quantity(format!("{}Ki", capacity.disk / 1024))),
        ("memory".to_owned(), Quantity(format!("{}Ki", capacity.memory / 1024))),
        ("pods".to_owned(), Quantity(max_pods.to_string())),
    ])
}

fn conditions(short: &BTreeSet<Condition>, now: Timestamp) -> Vec<NodeCondition> {
    let of_pressure = Condition::ALL.into_iter().map(|condition| {
        let holds = short.contains(&condition);
        let (reason, message) = condition.words(holds);
        (condition.name(), if holds { "True" } else { "False" }, reason, message)
    });
    let all = of_pressure.chain([("Ready", "True", "KubeletReady", "kubelet is posting ready status")]);
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let condition = |(kind, status, reason, message): (&str, &str, &str, &str)| NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    all.map(condition).collect()
}

fn images(host: &Host) -> Vec<ContainerImage> {
    let mut all = host.images.list().unwrap_or_default();
    all.sort_by_key(|image| std::cmp::Reverse(image.size));
    let listed = |image: kelson_images::Image| ContainerImage {
        names: Some(image.digests.into_iter().chain(image.names).collect()),
        size_bytes: Some(i64::try_from(image.size).unwrap_or(i64::MAX)),
    };
    all.into_iter().take(IMAGES_MAX).map(listed).collect()
}

fn system() -> NodeSystemInfo {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    NodeSystemInfo {
        architecture: arch().to_owned(),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        container_runtime_version: format!("kelson://{}", env!("CARGO_PKG_VERSION")),
        kernel_version: read("/proc/sys/kernel/osrelease"),
        kubelet_version: VERSION.to_owned(),
        machine_id: read("/etc/machine-id"),
        operating_system: "linux".to_owned(),
        os_image: os_image(&read("/etc/os-release")),
        system_uuid: read("/sys/class/dmi/id/product_uuid"),
        ..NodeSystemInfo::default()
    }
}

/// `PRETTY_NAME` of os-release.
fn os_image(os_release: &str) -> String {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("Linux", |name| name.trim_matches('"')).to_owned()
}

/// Renews the node's lease, making it first if there is none. It belongs to the Node and goes with it.
async fn lease(client: &Client, name: &str, node: &Node) -> Result<(), kube::Error> {
    let api: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(kelson_process::now())),
        ..LeaseSpec::default()
    };
    let renewed = json!({"metadata": {"ownerReferences": [owner]}, "spec": spec});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(&renewed)).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => {
            let metadata = ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(LEASES.to_owned()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            };
            let made = Lease { metadata, spec: Some(spec) };
            api.create(&PostParams::default(), &made).await.map(drop)
        }
        answer => answer.map(drop),
    }
}
