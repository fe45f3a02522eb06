//! Listeners and the life of a client's connection: accepted within a bound, TLS where it is spoken, HTTP/1.1 or HTTP/2,
//! closed when idle, cut when it stalls, drained at shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kelson_process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::activity::{Activity, Watched};
use crate::certificates;
use crate::config::{Config, Limits};
use crate::error::IngressError;
use crate::routing::{Publisher, Routing};
use crate::service::{Connection, Proxy};

/// How long to wait before accepting again after that failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often spare connections to backends are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// How long a connection told to close may take before it is cut.
const CLOSING: Duration = Duration::from_secs(5);

/// The sockets clients connect to.
#[derive(Default)]
pub struct Listeners {
    http: Option<TcpListener>,
    https: Option<TcpListener>,
}

impl Listeners {
    /// Binds what `config` says. What cannot be bound comes back as errors, `http` or `https` first in each; the others
    /// still serve.
    pub async fn bind(config: &Config) -> (Self, Vec<(&'static str, IngressError)>) {
        let mut errors = Vec::new();
        let mut listeners = Self::default();
        let wanted =
            [("http", config.http, &mut listeners.http), ("https", config.https, &mut listeners.https)];
        for (name, address, place) in wanted {
            let Some(address) = address else { continue };
            match TcpListener::bind(address).await {
                Ok(listener) => *place = Some(listener),
                Err(source) => errors.push((name, IngressError::Listen { address, source })),
            }
        }
        (listeners, errors)
    }

    /// Where plain HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where HTTPS is served.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https.as_ref().and_then(|listener| listener.local_addr().ok())
    }
}

/// A running ingress.
pub struct Server {
    accepting: tokio::task::JoinSet<()>,
    tasks: TaskTracker,
    shutdown: Shutdown,
    kill: Shutdown,
    drain_timeout: Duration,
}

/// What accepting tasks share.
#[derive(Clone)]
struct Doors {
    proxy: Arc<Proxy>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: Shutdown,
    kill: Shutdown,
}

impl Server {
    /// Serves `routing` on these sockets until `shutdown`.
    pub fn start(
        config: Config,
        listeners: Listeners,
        publisher: &Publisher,
        routing: watch::Receiver<Arc<Routing>>,
        shutdown: Shutdown,
    ) -> Result<Self, IngressError> {
        let (tasks, kill) = (TaskTracker::new(), Shutdown::new());
        let limits = config.limits.clone();
        let acceptor = certificates::acceptor(routing.clone())?;
        let https_port = listeners.https().map(|address| address.port());
        let requests = Arc::new(Semaphore::new(limits.requests_max));
        let proxy = Proxy { config, routing, https_port, requests, kill: kill.clone(), tasks: tasks.clone() };
        let doors = Doors {
            proxy: Arc::new(proxy),
            builder: Arc::new(builder(&limits)),
            places: Arc::new(Semaphore::new(limits.connections_max)),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            kill: kill.clone(),
        };
        let mut accepting = tokio::task::JoinSet::new();
        for (listener, tls) in [(listeners.http, None), (listeners.https, Some(acceptor))] {
            if let Some(listener) = listener {
                accepting.spawn(doors.clone().accept(listener, tls));
            }
        }
        let (upstreams, until) = (publisher.upstreams(), shutdown.clone());
        accepting.spawn(async move {
            while timeout(SWEEP, until.cancelled()).await.is_err() {
                upstreams.sweep();
            }
        });
        Ok(Self { accepting, tasks, shutdown, kill, drain_timeout: limits.drain_timeout })
    }

    /// Waits for shutdown, then for open requests within their bound; cuts what is left.
    pub async fn finished(mut self) {
        self.shutdown.cancelled().await;
        while self.accepting.join_next().await.is_some() {}
        self.tasks.close();
        if timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "cutting connections that did not end in time");
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    builder
}

impl Doors {
    async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let port = listener.local_addr().map_or(0, |address| address.port());
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = self.next(&listener) => accepted,
            };
            match accepted {
                Ok((stream, client, place)) => {
                    let connection = self.clone().serve(stream, client, port, tls.clone(), place);
                    self.tasks.spawn(connection);
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

    async fn serve(
        self,
        stream: TcpStream,
        client: SocketAddr,
        port: u16,
        tls: Option<TlsAcceptor>,
        _place: OwnedSemaphorePermit,
    ) {
        let activity = Activity::begin();
        let connection = Arc::new(Connection { client, port, is_tls: tls.is_some(), activity });
        let Some(acceptor) = tls else { return Box::pin(self.drive(stream, connection)).await };
        let patience = self.proxy.config.limits.handshake_timeout;
        let handshake = tokio::select! {
            handshake = timeout(patience, acceptor.accept(stream)) => handshake,
            () = self.shutdown.cancelled() => return,
        };
        // A failed handshake is the client's affair, and strangers make many.
        if let Ok(Ok(stream)) = handshake {
            Box::pin(self.drive(stream, connection)).await;
        }
    }

    /// Serves the requests of a connection until its end.
    async fn drive<S>(self, stream: S, connection: Arc<Connection>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.proxy.config.limits;
        let (proxy, from) = (self.proxy.clone(), connection.clone());
        let service = service_fn(move |request| {
            let response = proxy.clone().respond(request, from.clone());
            async move { Ok::<_, Infallible>(response.await) }
        });
        let stream = TokioIo::new(Watched::new(stream, connection.activity.clone()));
        let mut serving = pin!(self.builder.serve_connection_with_upgrades(stream, service));
        let mut look = Instant::now() + limits.idle_timeout;
        let (mut is_closing, mut is_draining) = (false, false);
        loop {
            tokio::select! {
                // An error here is the client's: malformed, gone, or too slow. It has been told what it can be told.
                _ = serving.as_mut() => return,
                () = self.kill.cancelled() => return,
                () = self.shutdown.cancelled(), if !is_draining => {
                    is_draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                () = sleep_until(look) => match judge(&connection.activity, limits) {
                    Verdict::Fine(left) => look = Instant::now() + left,
                    Verdict::Idle if !is_closing => {
                        is_closing = true;
                        serving.as_mut().graceful_shutdown();
                        look = Instant::now() + CLOSING;
                    }
                    Verdict::Idle | Verdict::Stalled => return,
                },
            }
        }
    }
}

/// What is to become of a connection.
enum Verdict {
    /// Look again after this long.
    Fine(Duration),
    /// No request, and silent for too long.
    Idle,
    /// A request, and nothing moves: the client does not take what it is sent, or not all of it.
    Stalled,
}

fn judge(activity: &Activity, limits: &Limits) -> Verdict {
    let (is_busy, silence) = (activity.is_busy(), activity.silence());
    let limit = if is_busy { limits.stall_timeout } else { limits.idle_timeout };
    if activity.stillness() >= limits.stream_timeout {
        return Verdict::Stalled;
    }
    match limit.checked_sub(silence).filter(|left| !left.is_zero()) {
        // A request may end meanwhile, and then the shorter bound counts.
        Some(left) => Verdict::Fine(left.min(limits.idle_timeout)),
        None if is_busy => Verdict::Stalled,
        None => Verdict::Idle,
    }
}
