//! Connections to a backend that speaks HTTP/2: each carries many requests at once, in a task of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use crate::body::Upload;
use crate::config::Limits;
use crate::link::Sent;
use crate::patience::Patience;

/// Most requests at once on one connection; the next get another. What backends commonly allow.
const STREAMS_MAX: usize = 100;

/// A connection.
struct Connection {
    sender: http2::SendRequest<Upload>,
    streams: AtomicUsize,
    /// When the last request on it ended.
    since: Mutex<Instant>,
}

impl Connection {
    fn since(&self) -> MutexGuard<'_, Instant> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream { connection: self.clone(), patience: None }
    }
}

/// A request's place on a connection.
pub(crate) struct Stream {
    connection: Arc<Connection>,
    /// For what is waited for by it.
    patience: Option<Patience>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.streams.fetch_sub(1, Ordering::Relaxed);
        *self.connection.since() = Instant::now();
    }
}

impl Stream {
    /// Sends a request, and waits for its response's head.
    pub(crate) fn send(&self, request: Request<Upload>) -> impl Future<Output = Sent> + use<> {
        self.connection.sender.clone().try_send_request(request)
    }

    /// Begins to wait.
    pub(crate) fn patience(&mut self, now: Instant, limit: Duration) -> &mut Patience {
        self.patience.get_or_insert_with(|| Patience::new(now, limit))
    }
}

/// The connections to one endpoint.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<Vec<Arc<Connection>>>,
    /// Held by whoever connects, so that one connects for all.
    connecting: tokio::sync::Mutex<()>,
}

impl Connections {
    /// A place on a connection there is.
    pub(crate) fn stream(&self) -> Option<Stream> {
        let mut open = self.open();
        open.retain(|connection| !connection.sender.is_closed());
        let mut open = open.iter();
        open.find(|connection| connection.streams.load(Ordering::Relaxed) < STREAMS_MAX)
            .map(Connection::stream)
    }

    /// A place on a connection there is, or on the one that `connect` makes; `late` when others who connect leave no turn
    /// within `limit`.
    pub(crate) async fn stream_or<E>(
        &self,
        connect: impl Future<Output = Result<http2::SendRequest<Upload>, E>>,
        (limit, late): (Duration, E),
    ) -> Result<Stream, E> {
        if let Some(stream) = self.stream() {
            return Ok(stream);
        }
        let Ok(_turn) = timeout(limit, self.connecting.lock()).await else { return Err(late) };
        if let Some(stream) = self.stream() {
            return Ok(stream);
        }
        let (streams, since) = (AtomicUsize::new(0), Mutex::new(Instant::now()));
        let connection = Arc::new(Connection { sender: connect.await?, streams, since });
        self.open().push(connection.clone());
        Ok(connection.stream())
    }

    /// Closes what nobody used for so long.
    pub(crate) fn sweep(&self, limit: Duration) {
        self.open().retain(|connection| {
            let is_used = connection.streams.load(Ordering::Relaxed) > 0;
            !connection.sender.is_closed() && (is_used || connection.since().elapsed() < limit)
        });
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Speaks HTTP/2 over a stream, in a task that ends when nobody has a sender and no request is under way.
pub(crate) async fn open<S>(stream: S, limits: &Limits) -> hyper::Result<http2::SendRequest<Upload>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, protocol) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(async move { drop(protocol.await) });
    Ok(sender)
}
