//! The life of a client's connection: TLS where it is spoken, HTTP/1.1 or HTTP/2, closed when idle, cut when it stalls or
//! takes too long for a head, drained at shutdown.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kelson_process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Watched};
use crate::config::Limits;
use crate::seldom::Seldom;
use crate::service::{Connection, Proxy};
use crate::short::{Lanes, Rest, Rewound, Short};

/// How long a connection told to close may take before it is cut.
const CLOSING: Duration = Duration::from_secs(5);

/// What the connections of one worker share.
#[derive(Clone)]
pub(crate) struct Hosting {
    pub proxy: Arc<Proxy>,
    pub builder: Arc<auto::Builder<TokioExecutor>>,
    pub shutdown: Shutdown,
}

/// How HTTP is spoken with clients. The time for a head is not the protocol's business, which would set a timer for each:
/// it is looked at with the rest of a connection's clocks.
pub(crate) fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(limits.head_bytes_max);
    if let Some(max) = limits.headers_told() {
        builder.http1().max_headers(max);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    builder
}

impl Hosting {
    /// Serves a client that came to `port`, until its end.
    pub(crate) async fn serve(
        self,
        stream: TcpStream,
        client: SocketAddr,
        port: u16,
        tls: Option<TlsAcceptor>,
    ) {
        let _counted = self.proxy.shard.client(tls.is_some());
        let connection = Arc::new(Connection::new(client, port, tls.is_some(), &self.proxy.config));
        let Some(acceptor) = tls else { return Box::pin(self.drive(stream, connection)).await };
        let patience = self.proxy.config.limits.handshake_timeout;
        let handshake = tokio::select! {
            handshake = timeout(patience, acceptor.accept(stream)) => handshake,
            () = self.shutdown.cancelled() => return,
        };
        match handshake {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Box::pin(self.drive_general(stream, connection)).await;
            }
            Ok(Ok(stream)) => Box::pin(self.drive(stream, connection)).await,
            // It is the client's affair, and strangers make many.
            Ok(Err(_)) | Err(_) => self.proxy.shard.handshake_failed(),
        }
    }

    /// Serves the requests of a connection until its end: by the short way as long as they are common, then by hyper.
    async fn drive<S>(self, stream: S, connection: Arc<Connection>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(Rest { stream, read, since }) = self.drive_short(stream, &connection).await else { return };
        connection.activity.expecting(since);
        // On the heap: it is seldom, and large.
        Box::pin(self.drive_general(Rewound::new(stream, read), connection)).await;
    }

    /// What is left to hyper of a connection whose requests are common at first; `None` when it is over.
    async fn drive_short<S>(&self, stream: S, connection: &Connection) -> Option<Rest<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (limits, now) = (&self.proxy.config.limits, Instant::now());
        let lanes = Lanes::new(now);
        let mut serving = pin!(Short::new(stream, &self.proxy, connection, &lanes, now).run());
        let mut look = now + lanes.look(now, limits);
        loop {
            let event = Seldom::new(self.event(look, lanes.is_draining()));
            match select(serving.as_mut(), event).await {
                Either::Left((rest, _)) => return rest,
                Either::Right((Event::Kill, _)) => return None,
                Either::Right((Event::Drain, _)) => lanes.drain(),
                Either::Right((Event::Look, _)) => {
                    let now = Instant::now();
                    look = now + lanes.look(now, limits);
                }
            }
        }
    }

    /// Serves the requests of a connection until its end, of every kind.
    async fn drive_general<S>(self, stream: S, connection: Arc<Connection>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.proxy.shard.handed_over();
        let limits = &self.proxy.config.limits;
        let (proxy, from) = (self.proxy.clone(), connection.clone());
        let service = service_fn(move |request| proxy.clone().respond(request, from.clone()));
        let stream = TokioIo::new(Watched::new(stream, connection.activity.clone()));
        let mut serving = pin!(self.builder.serve_connection_with_upgrades(stream, service));
        let mut look = Instant::now() + first_look(limits);
        let (mut is_closing, mut is_draining) = (false, false);
        loop {
            let event = Seldom::new(self.event(look, is_draining));
            let event = match select(serving.as_mut(), event).await {
                // An error here is the client's: malformed, gone, or too slow. It has been told what it can be told.
                Either::Left(_) => return,
                Either::Right((event, _)) => event,
            };
            match event {
                Event::Kill => return,
                Event::Drain => {
                    is_draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                Event::Look => match judge(&connection.activity, limits) {
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

    /// What happens to a connection next, beside its requests.
    async fn event(&self, look: Instant, is_draining: bool) -> Event {
        tokio::select! {
            () = self.proxy.kill.cancelled() => Event::Kill,
            () = self.shutdown.cancelled(), if !is_draining => Event::Drain,
            () = sleep_until(look) => Event::Look,
        }
    }
}

enum Event {
    /// The drain is over.
    Kill,
    /// No more requests are to be taken.
    Drain,
    /// It is time to see how it goes.
    Look,
}

/// What is to become of a connection.
enum Verdict {
    /// Look again after this long.
    Fine(Duration),
    /// No request, and silent for too long.
    Idle,
    /// A head that does not come, or a request and nothing moves: the client does not take what it is sent, or not all.
    Stalled,
}

/// When to look for the first time: no bound that a new connection can reach is shorter.
fn first_look(limits: &Limits) -> Duration {
    limits.idle_timeout.min(limits.head_timeout)
}

fn judge(activity: &Activity, limits: &Limits) -> Verdict {
    let (is_busy, silence) = (activity.is_busy(), activity.silence());
    let limit = if is_busy { limits.stall_timeout } else { limits.idle_timeout };
    let awaited = activity.expectation();
    if activity.stillness() >= limits.stream_timeout || awaited.is_some_and(|it| it >= limits.head_timeout) {
        return Verdict::Stalled;
    }
    let head_left =
        awaited.map_or(limits.head_timeout, |awaited| limits.head_timeout.saturating_sub(awaited));
    match limit.checked_sub(silence).filter(|left| !left.is_zero()) {
        // A request may end meanwhile, and then the shorter bounds count.
        Some(left) => Verdict::Fine(left.min(first_look(limits)).min(head_left)),
        None if is_busy => Verdict::Stalled,
        None => Verdict::Idle,
    }
}
