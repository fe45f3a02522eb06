//! A pod's host ports: what of its node's ports leads to it while it runs there.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use kelson_model::{HostPort, PodRef, Protocol};

/// The host ports of `pod`, in the order it lists them, once for each of its addresses. None before it has an address,
/// after it has ended or from when it is told to; none of a pod in the node's own network, whose ports are the node's.
/// What cannot be read is left out: the API takes no such pod.
pub fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = pod.spec.as_ref().filter(|spec| spec.host_network != Some(true)) else {
        return Vec::new();
    };
    if !runs(pod) {
        return Vec::new();
    }
    let addresses = addresses(pod);
    let sidecars = spec.init_containers.iter().flatten().filter(|it| is_sidecar(it));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|it| it.ports.iter().flatten());
    let pod = PodRef {
        namespace: pod.metadata.namespace.as_deref().unwrap_or_default().into(),
        name: pod.metadata.name.as_deref().unwrap_or_default().into(),
    };
    ports.flat_map(|port| addresses.iter().filter_map(|at| host_port(&pod, port, *at))).collect()
}

fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all: Vec<IpAddr> = status.pod_ips.iter().flatten().filter_map(|one| one.ip.parse().ok()).collect();
    if all.is_empty() { status.pod_ip.iter().filter_map(|one| one.parse().ok()).collect() } else { all }
}

fn host_port(pod: &PodRef, port: &ContainerPort, at: IpAddr) -> Option<HostPort> {
    let number = |number: i32| u16::try_from(number).ok().filter(|number| *number != 0);
    let address: Option<IpAddr> = match port.host_ip.as_deref().unwrap_or_default() {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    if address.is_some_and(|address| address.is_ipv4() != at.is_ipv4()) {
        return None;
    }
    Some(HostPort {
        pod: pod.clone(),
        address: address.filter(|address| !address.is_unspecified()),
        protocol: Protocol::parse(port.protocol.as_deref().unwrap_or("TCP"))?,
        port: number(port.host_port?)?,
        backend: (at, number(port.container_port)?).into(),
    })
}

#[cfg(test)]
mod tests;
