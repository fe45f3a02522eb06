//! A pod's sandbox: network namespace and address, shim, and the files all its containers share.
//!
//! Invariant: [`start`] leaves nothing behind when it fails, and [`stop`] succeeds whatever is left.

use crate::error::chain;
use crate::host::{Host, write_file};
use crate::labels;
use k8s_openapi::api::core::v1::Pod;
use kelson_network::netns;
use kelson_pods::{Reason, dns, hostname, hosts, resources};
use kelson_runtime::{Network, PodConfig, Resources};
use std::collections::BTreeMap;

/// A sandbox that stands.
pub struct Sandbox {
    pub pod: kelson_runtime::Pod,
    pub ips: Vec<String>,
}

/// Makes the sandbox. The error is the message of a FailedCreatePodSandBox event.
pub async fn start(host: &Host, pod: &Pod) -> Result<Sandbox, String> {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    match make(host, pod, &uid).await {
        Ok(sandbox) => Ok(sandbox),
        Err(why) => {
            release_network(host, &uid).await;
            Err(why)
        }
    }
}

async fn make(host: &Host, pod: &Pod, uid: &str) -> Result<Sandbox, String> {
    let name = hostname::of(pod, &host.config.cluster_domain)?;
    let mut config = pod_config(host, pod, uid, &name.kernel);
    if host_network(pod) {
        let shim = start_shim(host, &config).await?;
        return finish(host, pod, shim, host.node_ips(), &name);
    }
    let path = host.paths.netns(uid);
    let made = path.clone();
    tokio::task::spawn_blocking(move || netns::create(&made))
        .await
        .map_err(|error| chain(&error))?
        .map_err(|error| chain(&error))?;
    config.network = Network::Path(path.clone());
    let (address, shim) = tokio::join!(host.network.attach(uid, &path), start_shim(host, &config));
    match (address, shim) {
        (Ok(address), Ok(shim)) => finish(host, pod, shim, vec![address.address.to_string()], &name),
        (Err(error), Ok(shim)) => {
            let _ = shim.stop().await;
            Err(format!("failed to setup network for sandbox: {}", chain(&error)))
        }
        (_, Err(why)) => Err(why),
    }
}

/// Starts the shim; what is left of an earlier one of this pod goes first.
async fn start_shim(host: &Host, config: &PodConfig) -> Result<kelson_runtime::Pod, String> {
    host.runtime.start_pod(config).await.map_err(|error| chain(&error))
}

fn finish(
    host: &Host,
    pod: &Pod,
    shim: kelson_runtime::Pod,
    ips: Vec<String>,
    name: &hostname::Hostname,
) -> Result<Sandbox, String> {
    write_files(host, pod, &ips, name)?;
    Ok(Sandbox { pod: shim, ips })
}

/// The files that every container finds in /etc.
fn write_files(host: &Host, pod: &Pod, ips: &[String], name: &hostname::Hostname) -> Result<(), String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let aliases = pod.spec.as_ref().and_then(|it| it.host_aliases.as_deref()).unwrap_or_default();
    let hosts_text = match host_network(pod) {
        true => hosts::of_host(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), aliases),
        false => hosts::of_pod(ips, name, aliases),
    };
    let (resolv, reasons) = resolv(host, pod);
    for reason in reasons {
        host.recorder.record(pod, reason);
    }
    write_file(&host.paths.pod_file(uid, "hosts"), &hosts_text)?;
    write_file(&host.paths.pod_file(uid, "hostname"), &format!("{}\n", name.kernel))?;
    write_file(&host.paths.pod_file(uid, "resolv.conf"), &resolv)
}

fn resolv(host: &Host, pod: &Pod) -> (String, Vec<Reason>) {
    let (resolv, reasons) = dns::of_pod(pod, &host.node_resolv(), &host.cluster_dns());
    (dns::render(&resolv), reasons)
}

fn pod_config(host: &Host, pod: &Pod, uid: &str, hostname: &str) -> PodConfig {
    let spec = pod.spec.as_ref();
    let figures = resources::of_pod(pod, host.capacity.memory);
    let sysctls = spec.and_then(|it| it.security_context.as_ref()).and_then(|it| it.sysctls.as_ref());
    PodConfig {
        uid: uid.to_owned(),
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        hostname: hostname.to_owned(),
        cgroup_parent: host.cgroup.clone(),
        network: Network::Host,
        host_ipc: spec.and_then(|it| it.host_ipc).unwrap_or(false),
        host_pid: spec.and_then(|it| it.host_pid).unwrap_or(false),
        share_pid: spec.and_then(|it| it.share_process_namespace).unwrap_or(false),
        resources: Resources {
            cpu_shares: Some(figures.cpu_shares),
            cpu_quota_us: figures.cpu_quota_us,
            cpu_period_us: figures.cpu_quota_us.map(|_| resources::CPU_PERIOD_US),
            memory_limit_bytes: figures.memory_limit,
            ..Resources::default()
        },
        sysctls: sysctls.into_iter().flatten().map(|it| (it.name.clone(), it.value.clone())).collect(),
        labels: labels_of(pod),
        ..PodConfig::default()
    }
}

/// What a later kelson needs to end the pod if the API has forgotten it.
fn labels_of(pod: &Pod) -> BTreeMap<String, String> {
    let grace = pod.spec.as_ref().and_then(|it| it.termination_grace_period_seconds).unwrap_or(30);
    BTreeMap::from([(labels::GRACE.to_owned(), grace.to_string())])
}

pub fn host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|it| it.host_network).unwrap_or(false)
}

/// Ends the sandbox and gives back what it held.
pub async fn stop(host: &Host, uid: &str, pod: Option<kelson_runtime::Pod>, roots: Vec<String>) {
    if let Some(pod) = pod
        && let Err(error) = pod.stop().await
    {
        tracing::warn!(uid, error = chain(&error), "a pod's shim could not be ended cleanly");
    }
    for id in roots {
        release_root(host, &id).await;
    }
    release_network(host, uid).await;
}

/// Unmounts and deletes one run's root file system.
pub async fn release_root(host: &Host, id: &str) {
    let (images, root) = (host.images.clone(), host.paths.root(id));
    let released = tokio::task::spawn_blocking(move || images.release(root)).await;
    if let Ok(Err(error)) = released {
        tracing::warn!(id, error = chain(&error), "a root file system could not be removed");
    }
}

async fn release_network(host: &Host, uid: &str) {
    if let Err(error) = host.network.detach(uid).await {
        tracing::warn!(uid, error = chain(&error), "a pod's address could not be given back");
    }
    if let Err(error) = netns::remove(&host.paths.netns(uid)) {
        tracing::warn!(uid, error = chain(&error), "a pod's network namespace could not be removed");
    }
}
