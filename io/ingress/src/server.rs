//! Listeners and the threads behind them: connections are accepted within a bound, each by one worker that keeps it, and
//! drained at shutdown.
//!
//! The kernel spreads clients over the workers' listeners (SO_REUSEPORT).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kelson_process::Shutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::certificates;
use crate::config::Config;
use crate::connection::{Hosting, builder};
use crate::error::IngressError;
use crate::places::Places;
use crate::routing::{Publisher, Routing, Seen};
use crate::service::Proxy;
use crate::short::{Dates, Desks};
use crate::upstream::Upstreams;

/// How long to wait before accepting again after that failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often spare connections to backends are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// Most clients that the kernel keeps for one listener until they are accepted.
const BACKLOG: u32 = 1024;

/// The sockets clients connect to, one of each for each worker.
#[derive(Default)]
pub struct Listeners {
    http: Vec<std::net::TcpListener>,
    https: Vec<std::net::TcpListener>,
}

impl Listeners {
    /// Binds what `config` says. What cannot be bound comes back as errors, `http` or `https` first in each; the others
    /// still serve. To be called within a runtime.
    pub async fn bind(config: &Config) -> (Self, Vec<(&'static str, IngressError)>) {
        let mut errors = Vec::new();
        let mut listeners = Self::default();
        let wanted =
            [("http", config.http, &mut listeners.http), ("https", config.https, &mut listeners.https)];
        for (name, address, places) in wanted {
            let Some(address) = address else { continue };
            match bind_all(address, config.workers.max(1)) {
                Ok(bound) => *places = bound,
                Err(source) => errors.push((name, IngressError::Listen { address, source })),
            }
        }
        (listeners, errors)
    }

    /// Where plain HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.first().and_then(|listener| listener.local_addr().ok())
    }

    /// Where HTTPS is served.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https.first().and_then(|listener| listener.local_addr().ok())
    }
}

/// So many listeners of one address. The first is bound alone: bound to be shared, it would join whatever listens there
/// already, and each would get half of the clients.
fn bind_all(address: SocketAddr, count: usize) -> std::io::Result<Vec<std::net::TcpListener>> {
    let first = bind_one(address, false)?;
    let address = first.local_addr()?;
    let others = (1..count).map(|_| bind_one(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn bind_one(address: SocketAddr, is_shared: bool) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(is_shared)?;
    socket.bind(address)?;
    socket.set_reuseport(true)?;
    socket.listen(BACKLOG)?.into_std()
}

/// A running ingress. It ends when it is dropped, too.
pub struct Server {
    /// Closed when every worker has ended.
    working: mpsc::Receiver<()>,
    tasks: TaskTracker,
    shutdown: Shutdown,
    kill: Shutdown,
    drain_timeout: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.kill.cancel();
    }
}

/// What a worker needs.
struct Worker {
    hosting: Hosting,
    /// With how TLS is spoken there, if it is.
    listeners: Vec<(std::net::TcpListener, Option<TlsAcceptor>)>,
    places: Arc<Semaphore>,
    upstreams: Arc<Upstreams>,
    /// Dropped at its end.
    _working: mpsc::Sender<()>,
}

impl Server {
    /// Serves `routing` on these sockets until `shutdown`, with a thread for each worker.
    pub fn start(
        config: Config,
        listeners: Listeners,
        publisher: &Publisher,
        routing: watch::Receiver<Arc<Routing>>,
        shutdown: Shutdown,
    ) -> Result<Self, IngressError> {
        let (tasks, kill, shutdown) = (TaskTracker::new(), Shutdown::new(), shutdown.child_token());
        let (limits, config) = (config.limits.clone(), Arc::new(config));
        let acceptor = certificates::acceptor(routing.clone())?;
        let https_port = listeners.https().map(|address| address.port());
        let requests = Places::new(limits.requests_max);
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let (sender, working) = mpsc::channel(1);
        let (mut http, mut https) = (listeners.http.into_iter(), listeners.https.into_iter());
        for worker in 0..config.workers.max(1) {
            let proxy = Proxy {
                config: config.clone(),
                routing: Seen::new(routing.clone()),
                https_port,
                requests: requests.clone(),
                kill: kill.clone(),
                tasks: tasks.clone(),
                desks: Desks::default(),
                dates: Dates::default(),
                worker,
                shard: publisher.metrics().shard(worker),
            };
            let builder = Arc::new(builder(&limits));
            let hosting = Hosting { proxy: Arc::new(proxy), builder, shutdown: shutdown.clone() };
            let plain = http.next().map(|listener| (listener, None));
            let encrypted = https.next().map(|listener| (listener, Some(acceptor.clone())));
            let listeners = plain.into_iter().chain(encrypted).collect();
            let (places, upstreams) = (places.clone(), publisher.upstreams());
            Worker { hosting, listeners, places, upstreams, _working: sender.clone() }.start()?;
        }
        Ok(Self { working, tasks, shutdown, kill, drain_timeout: limits.drain_timeout })
    }

    /// Waits for shutdown, then for open requests within their bound; cuts what is left.
    pub async fn finished(mut self) {
        self.shutdown.cancelled().await;
        self.tasks.close();
        if timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "cutting connections that did not end in time");
        }
        self.kill.cancel();
        // Nothing is ever sent: this waits for the last worker's end.
        while self.working.recv().await.is_some() {}
    }
}

impl Worker {
    /// Starts the thread. An error here is the machine's: no thread, or no file for a runtime.
    fn start(self) -> Result<(), IngressError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(IngressError::Worker)?;
        let name = format!("ingress-{}", self.hosting.proxy.worker);
        let thread = std::thread::Builder::new().name(name);
        thread.spawn(move || runtime.block_on(self.run())).map(drop).map_err(IngressError::Worker)
    }

    async fn run(self) {
        let (kill, worker) = (self.hosting.proxy.kill.clone(), self.hosting.proxy.worker);
        let mut accepting = tokio::task::JoinSet::new();
        for (listener, tls) in self.listeners {
            let doors = Doors { hosting: self.hosting.clone(), places: self.places.clone() };
            accepting.spawn(doors.accept(listener, tls));
        }
        while timeout(SWEEP, self.hosting.shutdown.cancelled()).await.is_err() {
            // A worker without requests lets go of an old table too.
            self.hosting.proxy.routing.look(|_| ());
            self.upstreams.sweep(worker);
        }
        while accepting.join_next().await.is_some() {}
        // Connections are served until the drain is over.
        kill.cancelled().await;
        self.hosting.proxy.tasks.wait().await;
    }
}

/// What an accepting task has.
struct Doors {
    hosting: Hosting,
    places: Arc<Semaphore>,
}

impl Doors {
    async fn accept(self, listener: std::net::TcpListener, tls: Option<TlsAcceptor>) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "a worker cannot wait for clients"),
        };
        let port = listener.local_addr().map_or(0, |address| address.port());
        loop {
            let accepted = tokio::select! {
                () = self.hosting.shutdown.cancelled() => return,
                accepted = self.next(&listener) => accepted,
            };
            match accepted {
                Ok((stream, client, place)) => {
                    let serving = self.hosting.clone().serve(stream, client, port, tls.clone());
                    self.hosting.proxy.tasks.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, port, "cannot accept connections; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The next connection, once there is a place for it. Accepted first, so that a port nobody comes to takes no place.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let (stream, client) = listener.accept().await?;
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        // Without it the last packet of a response may wait for an acknowledgement; worth no error.
        let _ = stream.set_nodelay(true);
        Ok((stream, SocketAddr::new(client.ip().to_canonical(), client.port()), place))
    }
}
