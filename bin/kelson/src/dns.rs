//! `kelson dns`: cluster DNS alone, in front of any cluster's API, where it takes CoreDNS' place.
//!
//! The story: flags, client, snapshots, sockets, wait. It listens before it knows the cluster and answers cluster names
//! with SERVFAIL until then; `/ready` says when that is over. Never writes to the API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use kelson_dns::{Config, Upstream};
use kelson_machinery::names;
use kelson_process::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

use crate::alone;
use crate::exit::Usage;

/// How long open requests may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Worker threads for what waits: the API's watches, forwarding, TCP. Cluster names over UDP have threads of their own.
const THREADS: usize = 2;

/// The port of name servers.
const DNS_PORT: u16 = 53;

#[derive(clap::Args)]
pub struct Flags {
    /// Kubeconfig to connect with [default: the pod's service account]
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Address to listen on; may be repeated
    #[arg(long, default_values = ["0.0.0.0"])]
    bind_address: Vec<IpAddr>,
    /// Port to listen on, by UDP and TCP
    #[arg(long, default_value_t = DNS_PORT)]
    port: u16,
    /// Domain of cluster names
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// Name server (ADDRESS or ADDRESS:PORT) that outside names are forwarded to; may be repeated
    #[arg(long, conflicts_with = "resolv_conf")]
    upstream: Vec<String>,
    /// resolv.conf naming the resolvers that outside names are forwarded to
    #[arg(long, default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// Port of /metrics; 0 for none
    #[arg(long, default_value_t = 9153)]
    metrics_port: u16,
    /// Port of /health: that it lives; 0 for none
    #[arg(long, default_value_t = 8080)]
    health_port: u16,
    /// Port of /ready: that it knows the cluster; 0 for none
    #[arg(long, default_value_t = 8181)]
    ready_port: u16,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let config = config(&flags)?;
    alone::run(THREADS, serve(config, flags.kubeconfig.as_deref()))
}

async fn serve(config: Config, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let client = alone::client(kubeconfig).await?;
    let shutdown = Shutdown::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let domain = config.domain.clone();
    let snapshots = kelson_cluster::snapshots(client, shutdown.clone());
    let server = kelson_dns::run(snapshots, config, shutdown.clone()).await.context("starting DNS")?;
    for address in server.addresses() {
        println!("listening on {address} for {domain}");
    }
    tokio::select! {
        () = server.synced() => println!("ready"),
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    let _ = tokio::time::timeout(GRACE, server.finished()).await;
    Ok(())
}

/// What the flags mean.
fn config(flags: &Flags) -> Result<Config, Usage> {
    let domain = flags.cluster_domain.trim_end_matches('.').to_ascii_lowercase();
    if let Err(why) = names::dns1123_subdomain(&domain) {
        let text = &flags.cluster_domain;
        return Err(Usage(format!("--cluster-domain: \"{text}\" is not a domain name: {}", why.join(", "))));
    }
    let upstream = match flags.upstream.as_slice() {
        [] => Upstream::ResolvConf(flags.resolv_conf.clone()),
        servers => Upstream::Servers(servers.iter().map(|text| server(text)).collect::<Result<_, _>>()?),
    };
    let on = |port: u16| -> Vec<SocketAddr> {
        let addresses = flags.bind_address.iter().filter(|_| port != 0);
        addresses.map(|address| (*address, port).into()).collect()
    };
    let listen: Vec<SocketAddr> = flags.bind_address.iter().map(|ip| (*ip, flags.port).into()).collect();
    Ok(Config {
        upstream,
        metrics: on(flags.metrics_port),
        health: on(flags.health_port),
        ready: on(flags.ready_port),
        ..Config::new(domain, listen)
    })
}

fn server(text: &str) -> Result<SocketAddr, Usage> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    let address = address.or_else(|_| text.parse::<SocketAddr>());
    let is_somebody = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
    address.ok().filter(is_somebody).ok_or_else(|| {
        let example = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), DNS_PORT));
        Usage(format!("--upstream: \"{text}\" is no name server; pass an address like {example}"))
    })
}

#[cfg(test)]
mod tests;
