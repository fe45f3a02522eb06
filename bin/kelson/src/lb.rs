//! `kelson lb`: balancer addresses alone, for any cluster's Services of type LoadBalancer, where it takes MetalLB's place.
//!
//! The story: flags, health, client, links, Services, then stand for election; who leads gives addresses and answers for
//! them by ARP, the others wait to take over. What arrives for an address is the node's Service proxy's to translate, be
//! it kube-proxy or `kelson proxy`. Writes addresses and finalizers into the Services' status, Events, and one Lease.

mod pages;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kelson_cluster::{ControllerConfig, Leader, Seat};
use kelson_lb::LoadBalancer;
use kelson_model::{Cidr, Snapshot};
use kelson_network::{Follower, NodeLinks};
use kelson_plans::load_balancer::Pool;
use kelson_process::Shutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alone;
use crate::exit::Usage;

/// Worker threads: the API's watches, and ARP beside them.
const THREADS: usize = 2;
/// How long the parts may take to end before they are left behind.
const GRACE: Duration = Duration::from_secs(5);
/// The Lease that the leader holds.
const LEASE: &str = "kelson-lb";

#[derive(clap::Args)]
pub struct Flags {
    /// Kubeconfig to connect with [default: the pod's service account]
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Range that Services of type LoadBalancer get addresses from; may be repeated
    #[arg(long, value_delimiter = ',', required = true)]
    load_balancer_cidr: Vec<String>,
    /// Link to answer and announce on; may be repeated [default: every Ethernet link]
    #[arg(long, value_delimiter = ',')]
    interface: Vec<String>,
    /// This node's name in the cluster, by which others know who leads [default: the host's name]
    #[arg(long)]
    node_name: Option<String>,
    /// Namespace of the Lease that the leader holds
    #[arg(long, default_value = "kube-system")]
    leader_elect_resource_namespace: String,
    /// Where /health (that it lives) and /ready (that it knows the cluster) are served
    #[arg(long, default_value = "0.0.0.0:7472")]
    health_bind_address: SocketAddr,
}

/// What `kelson lb` runs with.
#[derive(Clone, Debug)]
struct Config {
    pools: Vec<Pool>,
    arp: kelson_lb::Config,
    seat: Seat,
    health: SocketAddr,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let config = config(&flags, &host, kelson_process::random_u64())?;
    alone::run(THREADS, serve(config, flags.kubeconfig.as_deref()))
}

async fn serve(config: Config, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let health = TcpListener::bind(config.health).await;
    let health = health.with_context(|| format!("--health-bind-address: {}", config.health))?;
    let client = alone::client(kubeconfig).await?;
    // Whoever could not speak must not be elected.
    drop(LoadBalancer::open(config.arp.clone()).context("it needs CAP_NET_RAW")?);
    let (shutdown, mut tasks) = (Shutdown::new(), JoinSet::new());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (follower, links) = Follower::start().await.context("listing this node's links")?;
    let ending = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = ending.cancelled() => {}
            () = follower.run() => {}
        }
    });
    let services = kelson_cluster::service_snapshots(client.clone(), shutdown.clone());
    let (tell, leader) = watch::channel(Leader::default());
    tasks.spawn(kelson_cluster::stand(client.clone(), config.seat.clone(), tell, shutdown.clone()));
    println!("health on {}", health.local_addr()?);
    let pages = pages::pages(services.clone(), leader.clone());
    tasks.spawn(kelson_pages::serve(health, pages, shutdown.clone()));
    let work = Work { config, client, services, links };
    tasks.spawn(work.whenever_leading(leader.clone(), shutdown.clone()));
    tokio::select! {
        () = say_ready(work_is_known(leader)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    let _ = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn work_is_known(mut leader: watch::Receiver<Leader>) -> bool {
    leader.wait_for(|leader| *leader != Leader::Unknown).await.is_ok()
}

async fn say_ready(known: impl Future<Output = bool>) {
    // False means that standing ended; then there is nothing to say.
    if known.await {
        println!("ready");
    }
    std::future::pending().await
}

/// What a leader does.
struct Work {
    config: Config,
    client: kube::Client,
    services: watch::Receiver<Arc<Snapshot>>,
    links: watch::Receiver<Arc<NodeLinks>>,
}

impl Work {
    /// Works while this process leads, and at once no longer.
    async fn whenever_leading(self, mut leader: watch::Receiver<Leader>, shutdown: Shutdown) {
        while leader.wait_for(|leader| *leader == Leader::Own).await.is_ok() {
            let (term, mut tasks) = (shutdown.child_token(), JoinSet::new());
            match LoadBalancer::open(self.config.arp.clone()) {
                Ok(balancer) => {
                    tasks.spawn(balancer.run(self.services.clone(), self.links.clone(), term.clone()));
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "addresses are not answered for"
                    );
                }
            }
            let settings = ControllerConfig {
                load_balancer_pools: self.config.pools.clone(),
                ..ControllerConfig::default()
            };
            tasks.spawn(kelson_cluster::run_balancer(self.client.clone(), settings, term.clone()));
            let deposed = leader.wait_for(|leader| *leader != Leader::Own).await.map(drop);
            term.cancel();
            while tasks.join_next().await.is_some() {}
            if deposed.is_err() {
                return;
            }
        }
    }
}

/// What the flags mean.
fn config(flags: &Flags, host: &str, random: u64) -> Result<Config, Usage> {
    let node_name = flags.node_name.clone().unwrap_or_else(|| host.to_owned());
    for (flag, name) in [
        ("--node-name", &node_name),
        ("--leader-elect-resource-namespace", &flags.leader_elect_resource_namespace),
    ] {
        kelson_machinery::names::dns1123_subdomain(name)
            .map_err(|why| Usage(format!("{flag}: \"{name}\" is not a name: {}", why.join(", "))))?;
    }
    let mut ranges: Vec<(Cidr, Pool)> = Vec::new();
    for text in &flags.load_balancer_cidr {
        let (range, pool) = range(text)?;
        let overlaps = |other: &Cidr| other.contains(range.address) || range.contains(other.address);
        if let Some((other, _)) = ranges.iter().find(|(other, _)| overlaps(other)) {
            return Err(Usage(format!("--load-balancer-cidr: {range} overlaps another {other}")));
        }
        ranges.push((range, pool));
    }
    let (ranges, pools) = ranges.into_iter().unzip();
    Ok(Config {
        pools,
        arp: kelson_lb::Config { ranges, silent_links: Vec::new(), only_links: flags.interface.clone() },
        seat: Seat {
            namespace: flags.leader_elect_resource_namespace.clone(),
            name: LEASE.to_owned(),
            identity: format!("{node_name}_{random:016x}"),
        },
        health: flags.health_bind_address,
    })
}

/// A range of IPv4 addresses that clients could reach.
fn range(text: &str) -> Result<(Cidr, Pool), Usage> {
    let range = Cidr::parse(text.trim()).filter(|range| matches!(range.address, IpAddr::V4(_)));
    let range = range.ok_or_else(|| {
        Usage(format!("--load-balancer-cidr: \"{text}\" is not an IPv4 range; pass one like 10.10.0.0/26"))
    })?;
    let pool = range.to_string().parse::<Pool>();
    pool.map(|pool| (range, pool)).map_err(|why| Usage(format!("--load-balancer-cidr: {range} {why}")))
}

#[cfg(test)]
mod tests;
