//! The node as others reach it: NodePorts on every address it has, balancer addresses answered for on its links.
//!
//! The kernel is asked once and followed from then on, so an address that comes later is served, and a link too.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use kelson_lb::LoadBalancer;
use kelson_model::{HostPort, NodeView, Snapshot};
use kelson_network::{Follower, NetworkConfig, NodeLinks};
use kelson_process::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::Config;

/// Follows the node's links and addresses.
pub async fn follow(
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<watch::Receiver<Arc<NodeLinks>>> {
    let (follower, links) = Follower::start().await.context("listing this node's links")?;
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follower.run() => {}
        }
    });
    Ok(links)
}

/// What the data plane is told of the node, now and whenever its addresses or its pods' host ports change.
pub fn node_views(
    config: &Config,
    mut links: watch::Receiver<Arc<NodeLinks>>,
    mut host_ports: watch::Receiver<Arc<[HostPort]>>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<NodeView> {
    let mut view = node_view(config);
    let node_ip = config.node_ip;
    view.addresses = addresses(node_ip, &links.borrow_and_update());
    view.host_ports = host_ports.borrow_and_update().clone();
    let (views, receiver) = watch::channel(view);
    tasks.spawn(async move {
        loop {
            let changed = tokio::select! {
                changed = links.changed() => changed,
                changed = host_ports.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let mut now = views.borrow().clone();
            now.addresses = addresses(node_ip, &links.borrow_and_update());
            now.host_ports = host_ports.borrow_and_update().clone();
            views.send_if_modified(|view| std::mem::replace(view, now.clone()) != now);
        }
    });
    receiver
}

/// Answers for balancer addresses, if there is a range of them; a line that says which.
pub fn start_balancer(
    config: &Config,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    links: watch::Receiver<Arc<NodeLinks>>,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Option<String>> {
    if config.load_balancer_ranges.is_empty() {
        return Ok(None);
    }
    let bridge = NetworkConfig::new(&config.data_dir, config.pod_cidr, config.service_cidr).bridge;
    let ranges = config.load_balancer_ranges.clone();
    let settings = kelson_lb::Config { ranges, silent_links: vec![bridge], only_links: Vec::new() };
    let balancer = LoadBalancer::open(settings).context("starting the load balancer")?;
    tasks.spawn(balancer.run(snapshots, links, shutdown.clone()));
    let ranges: Vec<String> = config.load_balancer_ranges.iter().map(ToString::to_string).collect();
    Ok(Some(format!("{} by ARP", ranges.join(", "))))
}

/// Addresses of balancers are guarded like ClusterIPs: what no Service claims in their ranges is refused.
fn node_view(config: &Config) -> NodeView {
    let guarded = std::iter::once(config.service_cidr).chain(config.load_balancer_ranges.iter().copied());
    NodeView {
        name: config.node_name.as_str().into(),
        addresses: Vec::new(),
        zone: None,
        service_cidrs: guarded.collect(),
        pod_cidrs: vec![config.pod_cidr],
        host_ports: Arc::default(),
    }
}

fn addresses(node_ip: IpAddr, links: &NodeLinks) -> Vec<IpAddr> {
    let all: BTreeSet<IpAddr> = links.addresses.iter().copied().chain([node_ip]).collect();
    all.into_iter().collect()
}
