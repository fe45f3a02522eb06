//! `kelson up`: a whole cluster on this machine. The story, top to bottom: flags, lock, listeners, store, API server,
//! controllers, node, Service proxy, DNS, then a report and a wait.
//!
//! Every part is the one that also runs alone; here each gets its `kube::Client` from the API server's own router, so
//! nothing between them crosses a socket. SIGINT and SIGTERM stop the parts and leave pods, tables and routes at work.

mod cluster_dns;
pub mod config;
mod figures;
mod host;
mod ingress;
mod listeners;
pub mod lock;
mod node;
mod outside;
mod proxy;
mod report;
mod role;
pub mod sockets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kelson_apiserver::{ApiServer, User};
use kelson_process::Shutdown;
use kelson_store::{Embedded, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use config::Config;
pub use config::Flags;
use listeners::Listeners;
use node::Node;
use report::Report;

/// How long the parts may take to end before they are left behind.
const GRACE: Duration = Duration::from_secs(8);

/// Worker threads: decisions are short and the kernel does the rest.
const THREADS: usize = 2;

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let begun = Instant::now();
    let config = config::parse(flags, &host::name(), host::routed_address())?;
    anyhow::ensure!(
        !config.agent || nix::unistd::geteuid().is_root(),
        "a node needs root; use sudo, or pass --disable-agent"
    );
    kelson_process::logging::start();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let outcome = runtime.block_on(up(config, Report::since(begun)));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn up(config: Config, mut report: Report) -> anyhow::Result<()> {
    let _lock = lock::take(&config.data_dir)?;
    let shutdown = Shutdown::new();
    let mut tasks = JoinSet::new();
    let mut listeners = Listeners::bind(&config.listen[..1])?;
    if config.agent {
        node::network(&config).await?;
    }
    // The node's address may be the pod bridge's, which is there only now.
    listeners.add(&config.listen[1..])?;

    let api = api_server(&config).await?;
    listeners.serve(&api, &shutdown, &mut tasks);
    report::write_kubeconfig(&config, &api)?;
    report.ready("API server", &format!("https://127.0.0.1:{}", config.listen[0].port()));

    let client = |name: &str| kube::Client::new(api.local(User::component(name)), "default");
    let controllers = kelson_cluster::ControllerConfig {
        root_ca: Some(api.pki().authority.certificate.clone()),
        load_balancer_pools: config.load_balancer_pools(),
        ..Default::default()
    };
    tasks.spawn(kelson_cluster::run_controllers(
        client("system:kube-controller-manager"),
        controllers,
        shutdown.clone(),
    ));
    report.ready("controllers", "workloads, scheduling, endpoints, volumes, addresses, garbage");

    if config.agent {
        let node = Node::start(&config, &api, &client, &shutdown, &mut tasks).await?;
        node.ready(&mut report).await?;
    }
    report.finish(&config);
    until_told_to_stop().await?;
    shutdown.cancel();
    let _ = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn api_server(config: &Config) -> anyhow::Result<Arc<ApiServer>> {
    let path = config.data_dir.join("state.redb");
    let store = Embedded::open(&path, kelson_store::Config::default())
        .with_context(|| format!("opening {}", path.display()))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let settings = kelson_apiserver::Config {
        node_name: config.node_name.clone(),
        service_cidr: config.service_cidr.to_string(),
        node_port_range: config.node_ports,
        cluster_domain: config.cluster_domain.clone(),
        token_auth_file: config.token_auth_file.clone(),
        ..kelson_apiserver::Config::new(&config.data_dir, config.listen[0], config.node_ip)
    };
    Ok(Arc::new(ApiServer::open(settings, store).await?))
}

async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("stopping; pods and their traffic go on (`kelson up` adopts them, `kelson down` removes them)");
    Ok(())
}
