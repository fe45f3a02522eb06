//! `kelson ingress`: the ingress alone, in front of any cluster's pods, where it takes the ingress controller's place.
//!
//! The story: flags, sockets, client, snapshots, serve, wait, drain. It must reach the pods' addresses, so it runs on a
//! node or in a pod. Writes nothing to the API but the addresses in the status of the Ingresses it serves, and those only
//! when it is told them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use kelson_ingress::{Config, Listeners, NameServers, Publisher, Server};
use kelson_machinery::names;
use kelson_model::Cidr;
use kelson_process::Shutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::alone;
use crate::exit::Usage;

pub mod pages;

#[derive(clap::Args)]
pub struct Flags {
    /// Kubeconfig to connect with [default: the pod's service account]
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    bind_address: IpAddr,
    /// Port of plain HTTP; 0 for none
    #[arg(long, default_value_t = 80)]
    http_port: u16,
    /// Port of HTTPS; 0 for none
    #[arg(long, default_value_t = 443)]
    https_port: u16,
    /// Class of the Ingresses to serve; those that name none are served unless a default class is somebody else's
    #[arg(long, default_value = "kelson")]
    ingress_class: String,
    /// Domain of cluster names
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// Address that the status of served Ingresses shows; may be repeated [default: statuses are left alone]
    #[arg(long)]
    publish_status_address: Vec<IpAddr>,
    /// Range of proxies whose X-Forwarded-* headers are believed; may be repeated
    #[arg(long)]
    trusted_proxy: Vec<String>,
    /// Port of /metrics, /healthz and /readyz; 0 for none
    #[arg(long, default_value_t = pages::PORT)]
    metrics_port: u16,
    /// resolv.conf naming the resolvers that outside names of ExternalName Services are asked of
    #[arg(long, default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let mut config = config(&flags)?;
    config.limits = config.limits.within_files(crate::files::raise_limit());
    let pages = (flags.metrics_port != 0).then(|| SocketAddr::new(flags.bind_address, flags.metrics_port));
    // One thread for the cluster and the pages; requests are served by threads of the ingress's own, one a core.
    alone::run(0, serve(config, pages, flags.kubeconfig.as_deref()))
}

async fn serve(config: Config, pages: Option<SocketAddr>, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let (listeners, errors) = Listeners::bind(&config).await;
    if let Some((name, error)) = errors.into_iter().next() {
        return Err(anyhow::Error::new(error).context(format!("--{name}-port: it cannot be listened on")));
    }
    let pages = match pages {
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.with_context(|| format!("--metrics-port: {address} cannot be listened on"))?)
        }
        None => None,
    };
    let client = alone::client(kubeconfig).await?;
    let shutdown = Shutdown::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let snapshots = kelson_cluster::snapshots(client.clone(), shutdown.clone());
    let (publisher, mut routing) = Publisher::new(&config);
    for (scheme, address) in [("http", listeners.http()), ("https", listeners.https())] {
        if let Some(address) = address {
            println!("listening on {scheme}://{address}");
        }
    }
    if let Some(listener) = pages {
        println!("metrics on http://{}", listener.local_addr()?);
        tokio::spawn(kelson_pages::serve(
            listener,
            pages::pages(publisher.metrics(), routing.clone()),
            shutdown.clone(),
        ));
    }
    let server = Server::start(config.clone(), listeners, &publisher, routing.clone(), shutdown.clone());
    let server = server.context("starting the ingress")?;
    let following = kelson_ingress::follow(client, snapshots, config, publisher, shutdown.clone());
    let following = tokio::spawn(following);
    let synced = async {
        // An error means that following ended; then there is nothing to say.
        if routing.wait_for(|routing| routing.generation() > 0).await.is_ok() {
            println!("ready");
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = synced => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    server.finished().await;
    following.await.context("following the cluster")
}

/// What the flags mean.
fn config(flags: &Flags) -> Result<Config, Usage> {
    let domain = flags.cluster_domain.trim_end_matches('.').to_ascii_lowercase();
    if let Err(why) = names::dns1123_subdomain(&domain) {
        let text = &flags.cluster_domain;
        return Err(Usage(format!("--cluster-domain: \"{text}\" is not a domain name: {}", why.join(", "))));
    }
    if let Err(why) = names::dns1123_subdomain(&flags.ingress_class) {
        let text = &flags.ingress_class;
        return Err(Usage(format!("--ingress-class: \"{text}\" cannot name a class: {}", why.join(", "))));
    }
    if flags.http_port == flags.https_port {
        let why = "they are the same; pass two ports, or 0 for one that is not wanted";
        return Err(Usage(format!("--http-port and --https-port: {why}")));
    }
    let on = |port: u16| (port != 0).then(|| SocketAddr::new(flags.bind_address, port));
    let mut config = Config {
        http: on(flags.http_port),
        https: on(flags.https_port),
        status_addresses: flags.publish_status_address.clone(),
        trusted_proxies: flags.trusted_proxy.iter().map(|text| range(text)).collect::<Result<_, _>>()?,
        name_servers: NameServers::ResolvConf(flags.resolv_conf.clone()),
        ..Config::new(domain)
    };
    config.routes.class.name.clone_from(&flags.ingress_class);
    Ok(config)
}

fn range(text: &str) -> Result<Cidr, Usage> {
    let single =
        || text.parse::<IpAddr>().ok().and_then(|ip| Cidr::new(ip, if ip.is_ipv4() { 32 } else { 128 }));
    Cidr::parse(text).or_else(single).ok_or_else(|| {
        Usage(format!("--trusted-proxy: \"{text}\" is no address range; pass one like 10.0.0.0/8"))
    })
}

#[cfg(test)]
mod tests;
