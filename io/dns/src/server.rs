//! The server as a whole: bind everything or nothing, then serve, follow snapshots, and end together.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use kelson_model::Snapshot;
use kelson_process::{Shutdown, ShutdownOnDrop};
use kelson_zones::{Compiler, Zone};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::forward::Forwarder;
use crate::metrics::Metrics;
use crate::pages::{self, Port, Shown};
use crate::tcp::{CLIENTS_MAX, Shared};
use crate::udp::{PENDING_MAX, Worker};
use crate::{Config, DnsError, tcp, udp};

/// Ports drawn until one is free for TCP and UDP.
const DRAWS_MAX: usize = 16;

/// A server that listens. To be kept: dropped, it ends as at its shutdown.
#[derive(Debug)]
#[must_use]
pub struct Server {
    addresses: Vec<SocketAddr>,
    zone: watch::Receiver<Arc<Zone>>,
    metrics: Arc<Metrics>,
    pages: Vec<SocketAddr>,
    tasks: JoinSet<()>,
    threads: Vec<std::thread::JoinHandle<()>>,
    _ends_when_dropped: ShutdownOnDrop,
}

/// Sockets of one address.
struct Bound {
    address: SocketAddr,
    tcp: TcpListener,
    udp: Vec<UdpSocket>,
}

/// Starts a server that answers from `snapshots` until `shutdown`. It listens when this returns; cluster names are
/// answered with SERVFAIL until a snapshot is synced (spec D2.8), see [`Server::synced`].
pub async fn run(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    config: Config,
    shutdown: Shutdown,
) -> Result<Server, DnsError> {
    if config.listen.is_empty() {
        return Err(DnsError::NoAddress);
    }
    let shutdown = shutdown.child_token();
    let mut compiler = Compiler::new(config.zone(kelson_process::random_u64())).map_err(DnsError::Domain)?;
    let mut bound = Vec::new();
    for address in &config.listen {
        bound.push(bind(*address, config.threads()).await?);
    }
    let pages = bind_pages(&config).await?;
    let (sender, zone) = watch::channel(compiler.compile(&Snapshot::default()));
    let mut server = start(bound, &config, zone, &shutdown);
    server.serve_pages(pages, &shutdown);
    server.tasks.spawn(follow(snapshots, compiler, sender, shutdown));
    tracing::info!(addresses = ?server.addresses, domain = config.domain, "DNS listens");
    Ok(server)
}

impl Server {
    /// Where it listens; the port the system chose when it was asked for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where its pages are: of metrics, health and readiness, in the order they were given.
    pub fn pages(&self) -> &[SocketAddr] {
        &self.pages
    }

    fn serve_pages(&mut self, ports: Vec<(Port, TcpListener)>, shutdown: &Shutdown) {
        for (port, listener) in ports {
            self.pages.extend(listener.local_addr());
            let shown = Shown { metrics: self.metrics.clone(), zone: self.zone.clone() };
            let pages = pages::pages(port, shown);
            self.tasks.spawn(kelson_pages::serve(listener, pages, shutdown.clone()));
        }
    }

    /// Its counters, as served on `:9153/metrics`.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Waits until cluster names are answered from a synced snapshot.
    pub async fn synced(&self) {
        let mut zone = self.zone.clone();
        let _ = zone.wait_for(|zone| zone.synced).await;
    }

    /// Waits until everything ended, which takes `shutdown`.
    pub async fn finished(mut self) {
        while self.tasks.join_next().await.is_some() {}
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(|| threads.into_iter().for_each(|t| drop(t.join())));
        let _ = joined.await;
    }
}

/// Binds both protocols to one port; where the system is to choose it, to one that is free for both.
async fn bind(address: SocketAddr, threads: usize) -> Result<Bound, DnsError> {
    let failed = |protocol| move |source| DnsError::Listen { protocol, address, source };
    let mut draws = if address.port() == 0 { DRAWS_MAX } else { 1 };
    loop {
        draws -= 1;
        let tcp = TcpListener::bind(address).await.map_err(failed("tcp"))?;
        let drawn = tcp.local_addr().map_err(failed("tcp"))?;
        match udp::bind(drawn, threads) {
            Ok(udp) => return Ok(Bound { address: drawn, tcp, udp }),
            Err(error) if draws > 0 => tracing::debug!(%drawn, %error, "drawing another port"),
            Err(error) => return Err(failed("udp")(error)),
        }
    }
}

async fn bind_pages(config: &Config) -> Result<Vec<(Port, TcpListener)>, DnsError> {
    let mut bound = Vec::new();
    for (port, addresses) in
        [(Port::Metrics, &config.metrics), (Port::Health, &config.health), (Port::Ready, &config.ready)]
    {
        for address in addresses {
            bound.push((port, pages::bind(*address).await?));
        }
    }
    Ok(bound)
}

fn start(
    bound: Vec<Bound>,
    config: &Config,
    zone: watch::Receiver<Arc<Zone>>,
    shutdown: &Shutdown,
) -> Server {
    let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();
    let sockets: usize = bound.iter().map(|bound| bound.udp.len()).sum();
    let metrics = Metrics::new(&config.domain, sockets + 1);
    let forwarder = Forwarder::new(config.upstream.clone(), addresses.clone(), metrics.clone());
    let pending = Arc::new(Semaphore::new(PENDING_MAX));
    let shared = Shared {
        zone: zone.clone(),
        forwarder: forwarder.clone(),
        shard: metrics.shard(sockets),
        clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
        shutdown: shutdown.clone(),
    };
    let (mut tasks, mut threads) = (JoinSet::new(), Vec::new());
    for bound in bound {
        tasks.spawn(tcp::accept(bound.tcp, shared.clone()));
        for socket in bound.udp {
            let socket = Arc::new(socket);
            tasks.spawn(wake_at_shutdown(socket.clone(), shutdown.clone()));
            let worker = Worker {
                socket,
                zone: zone.clone(),
                forwarder: forwarder.clone(),
                pending: pending.clone(),
                shard: metrics.shard(threads.len()),
                runtime: tokio::runtime::Handle::current(),
                shutdown: shutdown.clone(),
            };
            let named = std::thread::Builder::new().name("dns".to_owned());
            threads
                .push(named.spawn(|| worker.run()).expect("a thread can be started when the server starts"));
        }
    }
    let _ends_when_dropped = shutdown.clone().drop_guard();
    Server { addresses, zone, metrics, pages: Vec::new(), tasks, threads, _ends_when_dropped }
}

async fn wake_at_shutdown(socket: Arc<UdpSocket>, shutdown: Shutdown) {
    shutdown.cancelled().await;
    udp::wake(&socket);
}

/// Compiles every snapshot into the next zone, away from the tasks that answer.
async fn follow(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    mut compiler: Compiler,
    sender: watch::Sender<Arc<Zone>>,
    shutdown: Shutdown,
) {
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let zone = compiler.compile(&snapshot);
            (compiler, zone)
        });
        let Ok((back, zone)) = compiled.await else { return };
        compiler = back;
        sender.send_replace(zone);
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return shutdown.cancelled().await;
                }
            }
        }
    }
}
