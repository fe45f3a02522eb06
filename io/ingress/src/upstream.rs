//! One address requests are sent to: its spare connections, how many requests it has, and whether it was just unreachable.
//!
//! Shared by every table that names the address, so connections outlive changes of rules; when no table names it any more
//! and its requests are done, its spare connections close. Invariant: a connection has one request at a time, and goes
//! back to the spare ones only when the response's last byte has been read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::body::Upload;
use crate::config::Limits;

/// How long a connection whose response has been read may take until it is ready for the next request.
const SETTLE: Duration = Duration::from_secs(1);

/// What an endpoint that was just unreachable weighs, in requests.
const AVOIDED: usize = 1 << 20;

/// A connection, from the side that sends requests.
pub(crate) type Sender = http1::SendRequest<Upload>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connecting to {0}")]
    Refused(SocketAddr, #[source] std::io::Error),
    #[error("connecting to {0} took too long")]
    Timeout(SocketAddr),
    #[error("speaking HTTP to {0}")]
    Handshake(SocketAddr, #[source] hyper::Error),
}

struct Spare {
    sender: Sender,
    since: Instant,
}

/// One address.
pub(crate) struct Upstream {
    address: SocketAddr,
    limits: Arc<Limits>,
    requests: AtomicUsize,
    /// Oldest first.
    spare: Mutex<Vec<Spare>>,
    begun: Instant,
    /// Milliseconds from `begun` until when it is passed over.
    avoid_until_ms: AtomicU64,
}

impl Upstream {
    fn new(address: SocketAddr, limits: Arc<Limits>) -> Self {
        Self {
            address,
            limits,
            requests: AtomicUsize::new(0),
            spare: Mutex::default(),
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
        let is_avoided = self.now_ms() < self.avoid_until_ms.load(Ordering::Relaxed);
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

    /// The connection used last that is still good.
    pub(crate) fn spare(&self) -> Option<Sender> {
        let mut spare = self.spares();
        while let Some(Spare { sender, since }) = spare.pop() {
            if since.elapsed() < self.limits.spare_timeout && sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Sender, ConnectError> {
        let stream = timeout(self.limits.connect_timeout, TcpStream::connect(self.address)).await;
        let stream = stream.map_err(|_| ConnectError::Timeout(self.address))?;
        let stream = stream.map_err(|error| ConnectError::Refused(self.address, error))?;
        // Without it the last packet of a request may wait for an acknowledgement; worth no error.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::Builder::new()
            .max_headers(self.limits.headers_max)
            .max_header_size(self.limits.head_bytes_max)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Handshake(self.address, error))?;
        // Ends when the sender is dropped or the backend hangs up; what went wrong is told to the request.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(sender)
    }

    /// Keeps a connection whose response has been read, unless there are enough.
    fn keep(self: &Arc<Self>, mut sender: Sender) {
        if sender.is_ready() {
            return self.put(sender);
        }
        if !sender.is_closed() {
            let upstream = Arc::downgrade(self);
            tokio::spawn(async move {
                let is_ready = matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(())));
                if let Some(upstream) = upstream.upgrade().filter(|_| is_ready) {
                    upstream.put(sender);
                }
            });
        }
    }

    fn put(&self, sender: Sender) {
        let mut spare = self.spares();
        if spare.len() < self.limits.spare_connections_max {
            spare.push(Spare { sender, since: Instant::now() });
        }
    }

    /// Closes spare connections that nobody used for too long.
    pub(crate) fn sweep(&self) {
        self.spares()
            .retain(|spare| spare.since.elapsed() < self.limits.spare_timeout && !spare.sender.is_closed());
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way to an upstream.
pub(crate) struct InFlight(Arc<Upstream>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in use by one request.
pub(crate) struct Lease {
    sender: Sender,
    request: InFlight,
    place: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn new(sender: Sender, request: InFlight, place: OwnedSemaphorePermit) -> Self {
        Self { sender, request, place }
    }

    /// The response has been read to its end. A lease that is dropped instead closes its connection.
    pub(crate) fn finish(self) {
        self.request.0.keep(self.sender);
    }

    /// The connection is no longer HTTP; it counts as a request until what is returned is dropped.
    pub(crate) fn upgrade(self) -> (InFlight, OwnedSemaphorePermit) {
        (self.request, self.place)
    }
}

/// The upstreams that are in use, one an address.
pub(crate) struct Upstreams {
    limits: Arc<Limits>,
    known: Mutex<BTreeMap<SocketAddr, Weak<Upstream>>>,
}

impl Upstreams {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { limits, known: Mutex::default() }
    }

    /// The upstream for each address.
    pub(crate) fn of(&self, addresses: &[SocketAddr]) -> Vec<Arc<Upstream>> {
        let mut known = self.known();
        let upstream = |address: &SocketAddr| match known.get(address).and_then(Weak::upgrade) {
            Some(upstream) => upstream,
            None => {
                let upstream = Arc::new(Upstream::new(*address, self.limits.clone()));
                known.insert(*address, Arc::downgrade(&upstream));
                upstream
            }
        };
        addresses.iter().map(upstream).collect()
    }

    /// Forgets addresses nobody names any more, and closes what was spare for too long.
    pub(crate) fn sweep(&self) {
        let mut known = self.known();
        known.retain(|_, upstream| upstream.strong_count() > 0);
        let upstreams: Vec<_> = known.values().filter_map(Weak::upgrade).collect();
        drop(known);
        upstreams.iter().for_each(|upstream| upstream.sweep());
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Weak<Upstream>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
