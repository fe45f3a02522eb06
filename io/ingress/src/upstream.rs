//! One address requests are sent to: its open connections, how many requests it has, and whether it was just unreachable.
//!
//! Shared by every table that names the address, so connections outlive changes of rules; when no table names it any more
//! and its requests are done, its spare connections close. Each worker has connections of its own, so none waits for
//! another's. Invariant: an HTTP/1.1 connection has one request at a time, and goes back to the spare ones only when the
//! response's last byte has been read.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::body::Upload;
use crate::config::Limits;
use crate::connect::{ConnectError, Version, tcp, tls};
use crate::link::Link;
use crate::shared::{self, Connections, Stream};

/// How long a connection whose response has been read may take until it is ready for the next request.
const SETTLE: Duration = Duration::from_secs(1);

/// What an endpoint that was just unreachable weighs, in requests.
const AVOIDED: usize = 1 << 20;

struct Spare {
    link: Box<Link>,
    since: Instant,
}

/// A connection that nobody but the short way speaks by.
struct SpareStream {
    stream: TcpStream,
    since: Instant,
}

impl SpareStream {
    /// Whether nothing came by it: neither its end, nor bytes that nobody asked for.
    fn is_quiet(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// One worker's connections to an address.
#[derive(Default)]
struct Pool {
    /// Oldest first.
    spare: Mutex<Vec<Spare>>,
    /// The same, of the short way.
    streams: Mutex<Vec<SpareStream>>,
    shared: Connections,
}

impl Pool {
    fn spare(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<SpareStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to, and whether by TLS.
pub(crate) type Address = (SocketAddr, bool);

/// One address.
pub(crate) struct Upstream {
    address: SocketAddr,
    is_tls: bool,
    limits: Arc<Limits>,
    requests: AtomicUsize,
    /// By worker.
    pools: Box<[Pool]>,
    begun: Instant,
    /// Milliseconds from `begun` until when it is passed over.
    avoid_until_ms: AtomicU64,
}

impl Upstream {
    fn new((address, is_tls): Address, limits: Arc<Limits>, workers: usize) -> Self {
        Self {
            address,
            is_tls,
            limits,
            requests: AtomicUsize::new(0),
            pools: (0..workers.max(1)).map(|_| Pool::default()).collect(),
            begun: Instant::now(),
            avoid_until_ms: AtomicU64::new(0),
        }
    }

    #[cfg(test)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How good a choice it is not: its requests, and much more when it was just unreachable.
    pub(crate) fn load(&self) -> usize {
        let until = self.avoid_until_ms.load(Ordering::Relaxed);
        let is_avoided = until > 0 && self.now_ms() < until;
        self.requests.load(Ordering::Relaxed) + if is_avoided { AVOIDED } else { 0 }
    }

    /// Passes it over for a while, as far as there are others.
    pub(crate) fn avoid(&self) {
        let span = u64::try_from(self.limits.avoid_timeout.as_millis()).unwrap_or(u64::MAX);
        self.avoid_until_ms.store(self.now_ms().saturating_add(span), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A request is on its way here until what is returned is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    fn pool(&self, worker: usize) -> &Pool {
        &self.pools[worker % self.pools.len()]
    }

    /// The connection that `worker` used last and that is still good at `now`.
    pub(crate) fn spare(&self, worker: usize, now: Instant) -> Option<Box<Link>> {
        let mut spare = self.pool(worker).spare();
        while let Some(Spare { link, since }) = spare.pop() {
            if now.saturating_duration_since(since) < self.limits.spare_timeout && link.is_ready() {
                return Some(link);
            }
        }
        None
    }

    /// The same, for the short way.
    pub(crate) fn spare_stream(&self, worker: usize, now: Instant) -> Option<TcpStream> {
        let mut streams = self.pool(worker).streams();
        while let Some(spare) = streams.pop() {
            let is_fresh = now.saturating_duration_since(spare.since) < self.limits.spare_timeout;
            if is_fresh && spare.is_quiet() {
                return Some(spare.stream);
            }
        }
        None
    }

    /// A new one for the short way, which speaks no TLS.
    pub(crate) async fn connect_stream(&self) -> Result<TcpStream, ConnectError> {
        tcp(self.address, &self.limits).await
    }

    /// A new connection for one request at a time.
    pub(crate) async fn connect(&self) -> Result<Box<Link>, ConnectError> {
        let limits = &self.limits;
        let opened = match self.is_tls {
            true => Link::open(tls(self.address, Version::Http1, limits).await?, limits).await,
            false => Link::open(tcp(self.address, limits).await?, limits).await,
        };
        opened.map(Box::new).map_err(|error| ConnectError::Handshake(self.address, error))
    }

    /// A place on one of `worker`'s connections for many requests, made with `connect` when there is none.
    pub(crate) async fn stream(
        &self,
        worker: usize,
        connected: impl FnOnce(&Result<http2::SendRequest<Upload>, ConnectError>),
    ) -> Result<Stream, ConnectError> {
        let connect = async {
            let outcome = self.connect_shared().await;
            connected(&outcome);
            outcome
        };
        let late = (self.limits.connect_timeout, ConnectError::Timeout(self.address));
        self.pool(worker).shared.stream_or(connect, late).await
    }

    async fn connect_shared(&self) -> Result<http2::SendRequest<Upload>, ConnectError> {
        let limits = &self.limits;
        let opened = match self.is_tls {
            true => shared::open(tls(self.address, Version::Http2, limits).await?, limits).await,
            false => shared::open(tcp(self.address, limits).await?, limits).await,
        };
        opened.map_err(|error| ConnectError::Handshake(self.address, error))
    }

    /// Keeps a connection whose response has been read, unless there are enough.
    fn keep(self: &Arc<Self>, mut link: Box<Link>, worker: usize, now: Instant) {
        if !link.is_ready() {
            link.settle();
        }
        if link.is_ready() {
            return self.put(link, worker, now);
        }
        if !link.is_closed() {
            let upstream = Arc::downgrade(self);
            tokio::spawn(async move {
                let is_ready = matches!(timeout(SETTLE, link.ready()).await, Ok(true));
                if let Some(upstream) = upstream.upgrade().filter(|_| is_ready) {
                    upstream.put(link, worker, Instant::now());
                }
            });
        }
    }

    fn put(&self, link: Box<Link>, worker: usize, since: Instant) {
        let mut spare = self.pool(worker).spare();
        if spare.len() < self.spare_max() {
            spare.push(Spare { link, since });
        }
    }

    fn put_stream(&self, stream: TcpStream, worker: usize, since: Instant) {
        let mut streams = self.pool(worker).streams();
        if streams.len() < self.spare_max() {
            streams.push(SpareStream { stream, since });
        }
    }

    /// Most spare connections of one worker, by either way.
    fn spare_max(&self) -> usize {
        self.limits.spare_connections_max.div_ceil(self.pools.len())
    }

    /// Closes `worker`'s connections that nobody used for too long, or that the other side closed.
    fn sweep(&self, worker: usize) {
        let (pool, limit) = (self.pool(worker), self.limits.spare_timeout);
        pool.spare().retain_mut(|spare| {
            spare.link.settle();
            spare.since.elapsed() < limit && !spare.link.is_closed()
        });
        pool.streams().retain(|spare| spare.since.elapsed() < limit && spare.is_quiet());
        pool.shared.sweep(limit);
    }
}

/// A request on its way to an upstream.
pub(crate) struct InFlight(Arc<Upstream>);

impl InFlight {
    /// Gives back a connection whose response has been read.
    pub(crate) fn keep(&self, link: Box<Link>, worker: usize, now: Instant) {
        self.0.keep(link, worker, now);
    }

    /// The same, from the short way.
    pub(crate) fn keep_stream(&self, stream: TcpStream, worker: usize, now: Instant) {
        self.0.put_stream(stream, worker, now);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The upstreams that are in use, one an address.
pub(crate) struct Upstreams {
    limits: Arc<Limits>,
    workers: usize,
    known: Mutex<BTreeMap<Address, Weak<Upstream>>>,
}

impl Upstreams {
    /// For so many workers.
    pub(crate) fn new(limits: Arc<Limits>, workers: usize) -> Self {
        Self { limits, workers, known: Mutex::default() }
    }

    /// The upstream for each address.
    pub(crate) fn of(&self, addresses: &[SocketAddr], is_tls: bool) -> Vec<Arc<Upstream>> {
        let mut known = self.known();
        let upstream = |address: &SocketAddr| {
            let address = (*address, is_tls);
            known.get(&address).and_then(Weak::upgrade).unwrap_or_else(|| {
                let upstream = Arc::new(Upstream::new(address, self.limits.clone(), self.workers));
                known.insert(address, Arc::downgrade(&upstream));
                upstream
            })
        };
        addresses.iter().map(upstream).collect()
    }

    /// Forgets addresses nobody names any more, and closes what was spare for too long at `worker`.
    pub(crate) fn sweep(&self, worker: usize) {
        let mut known = self.known();
        known.retain(|_, upstream| upstream.strong_count() > 0);
        let upstreams: Vec<_> = known.values().filter_map(Weak::upgrade).collect();
        drop(known);
        upstreams.iter().for_each(|upstream| upstream.sweep(worker));
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Address, Weak<Upstream>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
