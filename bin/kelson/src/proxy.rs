//! `kelson proxy`: the Service proxy alone, on a node of any cluster, where it takes kube-proxy's place.
//!
//! The story: flags, sockets, client, snapshots, the node, the proxy, what it has programmed told to the API, wait. The
//! tables stay in the kernel when it ends, so that an update of kelson interrupts nothing. Writes nothing to the API but
//! one Lease, in which it says which revision is programmed.

mod node;
pub mod pages;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kelson_cluster::events::Recorder;
use kelson_machinery::names;
use kelson_model::{Acknowledged, Cidr};
use kelson_process::Shutdown;
use kelson_proxy::{Health, Metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit::Usage;
use crate::{alone, checks};

/// Where kube-proxy serves its figures, and so do we.
pub const METRICS_PORT: u16 = 10249;

/// Worker threads: the API's watches, and the kernel's work beside them.
const THREADS: usize = 2;
/// How long the parts may take to end before they are left behind.
const GRACE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Flags {
    /// Kubeconfig to connect with [default: the pod's service account]
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// This node's name in the cluster [default: the host's name]
    #[arg(long, visible_alias = "hostname-override")]
    node_name: Option<String>,
    /// Range pods get their addresses from; what comes from elsewhere is masqueraded. May be repeated
    #[arg(long, value_delimiter = ',')]
    cluster_cidr: Vec<String>,
    /// Range ClusterIPs come from: addresses in it that no Service has are refused. May be repeated
    #[arg(long, value_delimiter = ',')]
    service_cidr: Vec<String>,
    /// Masquerade every connection to a ClusterIP
    #[arg(long)]
    masquerade_all: bool,
    /// Where /healthz and /livez are served
    #[arg(long, default_value = "0.0.0.0:10256")]
    healthz_bind_address: SocketAddr,
    /// Where /metrics and /proxyMode are served
    #[arg(long, default_value = "127.0.0.1:10249")]
    metrics_bind_address: SocketAddr,
    /// Remove the tables and end
    #[arg(long)]
    cleanup: bool,
}

/// What `kelson proxy` runs with.
#[derive(Debug)]
struct Config {
    node_name: String,
    pod_cidrs: Vec<Cidr>,
    service_cidrs: Vec<Cidr>,
    proxy: kelson_proxy::Config,
    health: SocketAddr,
    metrics: SocketAddr,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let config = config(&flags, &host)?;
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "programming the packet filter needs root; use sudo");
    if flags.cleanup {
        return kelson_proxy::destroy().context("removing the tables");
    }
    alone::run(THREADS, serve(config, flags.kubeconfig.as_deref()))
}

async fn serve(config: Config, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let healthz = bind("--healthz-bind-address", config.health).await?;
    let metricz = bind("--metrics-bind-address", config.metrics).await?;
    let client = alone::client(kubeconfig).await?;
    let (shutdown, mut tasks) = (Shutdown::new(), JoinSet::new());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let snapshots = kelson_cluster::snapshots(client.clone(), shutdown.clone());
    let node = node::follow(&config, client.clone(), &shutdown, &mut tasks).await?;
    let (tell, mut acknowledged) = watch::channel(Acknowledged::default());
    let metrics = Arc::new(Metrics::default());
    let health = Health::follow(snapshots.clone(), acknowledged.clone(), node.eligible, &mut tasks);
    let told = Recorder::start(client.clone(), checks::source(&config.node_name), shutdown.clone());
    tasks.spawn(checks::serve(snapshots.clone(), node.view.clone(), health.clone(), told, shutdown.clone()));
    tasks.spawn(kelson_proxy::run(
        config.proxy,
        snapshots,
        node.view,
        tell,
        metrics.clone(),
        shutdown.clone(),
    ));
    let publisher =
        kelson_cluster::publish_programmed(client, config.node_name, acknowledged.clone(), shutdown.clone());
    tasks.spawn(publisher);
    println!("healthz on {}", healthz.local_addr()?);
    tasks.spawn(kelson_pages::serve(healthz, pages::health(health.clone()), shutdown.clone()));
    tasks.spawn(kelson_pages::serve(metricz, pages::metrics(metrics, health), shutdown.clone()));

    let programmed = async {
        // An error means that the proxy ended; then there is nothing to say.
        if acknowledged.wait_for(|done| done.generation > 0).await.is_ok() {
            println!("ready");
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = programmed => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    let _ = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{flag}: {address} cannot be listened on"))
}

/// What the flags mean.
fn config(flags: &Flags, host: &str) -> Result<Config, Usage> {
    let node_name = flags.node_name.clone().unwrap_or_else(|| host.to_owned());
    if let Err(why) = names::dns1123_subdomain(&node_name) {
        return Err(Usage(format!("--node-name: \"{node_name}\" is not a name: {}", why.join(", "))));
    }
    Ok(Config {
        node_name,
        pod_cidrs: ranges("--cluster-cidr", &flags.cluster_cidr)?,
        service_cidrs: ranges("--service-cidr", &flags.service_cidr)?,
        // The pod network is another's: it masquerades what leaves the cluster, and its links are not ours to name.
        proxy: kelson_proxy::Config {
            masquerade_all: flags.masquerade_all,
            masquerade_pods: false,
            pod_interfaces: Vec::new(),
            at_connect: None,
        },
        health: flags.healthz_bind_address,
        metrics: flags.metrics_bind_address,
    })
}

fn ranges(flag: &str, texts: &[String]) -> Result<Vec<Cidr>, Usage> {
    let range = |text: &String| {
        let usage = || Usage(format!("{flag}: \"{text}\" is no address range; pass one like 10.244.0.0/16"));
        Cidr::parse(text).ok_or_else(usage)
    };
    texts.iter().map(range).collect()
}

#[cfg(test)]
mod tests;
