//! A client's connection as long as its requests are of the common kind: heads, where each goes, and another endpoint when
//! the first fails before it matters.
//!
//! Sent again is what was never sent, and what may be sent twice (an idempotent method without a body) when no response
//! came, as in `forward`. Invariant: anything else reaches a backend at most once, and nothing is sent again after the
//! client has been told anything.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::balance::Balance;
use crate::connect::ConnectError;
use crate::forward::{ATTEMPTS_MAX, Failure};
use crate::places::Place;
use crate::service::{Connection, Page, Proxy};
use crate::short::buffer::{Buffer, Desk};
use crate::short::counted::Counted;
use crate::short::exchange::{Exchange, Outcome, Ran};
use crate::short::lanes::{Lane, Lanes};
use crate::short::upload::Coming;
use crate::upstream::{InFlight, Upstream};
use crate::wire::answer::{Malformed, Telling};
use crate::wire::ask::{self, Ask, Method, Verdict};
use crate::wire::has_empty_line;

/// Room for what a client sends, at first.
const ROOM: usize = 4 << 10;

/// Longest head that is common; hyper knows about longer ones.
const HEAD_MAX: usize = 16 << 10;

/// How long a client may take to see that its connection ends, while it still sends.
const CLOSING: Duration = Duration::from_secs(5);

/// A client's connection.
pub(crate) struct Short<'c, S> {
    stream: S,
    /// What it sent that was not used yet.
    asked: Buffer,
    proxy: &'c Proxy,
    from: &'c Connection,
    lanes: &'c Lanes,
    /// When the last request ended.
    since: Instant,
}

/// A connection for hyper to go on with.
pub(crate) struct Rest<S> {
    pub stream: S,
    /// What was read of it.
    pub read: Vec<u8>,
    /// Since when the head of its next request is awaited.
    pub since: Instant,
}

/// What a client sent.
enum Asked {
    /// A request of the common kind, and a desk with its head for the backend.
    Plain(Ask, Desk),
    /// Something else.
    Odd,
    /// Its end, or nothing for too long.
    Gone,
}

/// What becomes of the connection behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It waits for the next.
    Goes,
    /// It ends, and the client is let know.
    Ends,
    /// The same while the client is still sending the request.
    EndsEarly,
    /// It breaks off, so that nobody takes what was said for the whole.
    Breaks,
}

impl After {
    /// When the client has been told everything.
    fn of(is_asked: bool, closes: bool) -> Self {
        match (is_asked, closes) {
            (false, _) => Self::EndsEarly,
            (true, true) => Self::Ends,
            (true, false) => Self::Goes,
        }
    }
}

/// Where a request goes and its place among all, or what it gets instead.
type Way = Result<(Arc<Balance>, Place), Page>;

/// A connection that may carry another request, and the count it belongs to.
type Spare = Option<(InFlight, TcpStream)>;

impl<'c, S: AsyncRead + AsyncWrite + Unpin> Short<'c, S> {
    pub(crate) fn new(
        stream: S,
        proxy: &'c Proxy,
        from: &'c Connection,
        lanes: &'c Lanes,
        now: Instant,
    ) -> Self {
        Self { stream, asked: Buffer::new(ROOM), proxy, from, lanes, since: now }
    }

    /// Serves requests until the connection is over, or has one that is odd.
    pub(crate) async fn run(mut self) -> Option<Rest<S>> {
        loop {
            let asked = self.ask().await;
            let (ask, mut desk) = match asked {
                Asked::Plain(ask, desk) => (ask, desk),
                Asked::Odd => return Some(self.rest()),
                Asked::Gone => return None,
            };
            let Some(way) = self.way(&ask) else {
                self.proxy.desks.give_back(desk);
                return Some(self.rest());
            };
            let after = self.serve(&ask, &mut desk, way).await;
            self.proxy.desks.give_back(desk);
            match after {
                After::Goes => {}
                After::Ends | After::EndsEarly => {
                    self.close(after).await;
                    return None;
                }
                After::Breaks => return None,
            }
        }
    }

    fn rest(self) -> Rest<S> {
        Rest { read: self.asked.filled().to_vec(), stream: self.stream, since: self.since }
    }

    /// Waits for the next request's head.
    async fn ask(&mut self) -> Asked {
        if self.asked.is_empty() && self.asked.room() > HEAD_MAX {
            self.asked = Buffer::new(ROOM);
        }
        let mut looked = 0;
        let asked = poll_fn(|cx| self.poll_ask(cx, &mut looked)).await;
        self.lanes.clear();
        asked
    }

    fn poll_ask(&mut self, cx: &mut Context<'_>, looked: &mut usize) -> Poll<Asked> {
        loop {
            let length = self.asked.filled().len();
            if length > *looked && (*looked == 0 || has_empty_line(self.asked.filled(), *looked)) {
                match self.read_head() {
                    Some(asked) => return Poll::Ready(asked),
                    None => *looked = length,
                }
            }
            *looked = length;
            let max = HEAD_MAX.min(self.proxy.config.limits.head_bytes_max);
            if self.asked.is_full() && !self.asked.grow(max) {
                return Poll::Ready(Asked::Odd);
            }
            match self.asked.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(1..)) => self.lanes.moved(Lane::Silence),
                Poll::Ready(_) => return Poll::Ready(Asked::Gone),
                Poll::Pending => return self.poll_patience(),
            }
        }
    }

    /// Nothing came: whether it is not waited for any longer.
    fn poll_patience(&self) -> Poll<Asked> {
        let lanes = self.lanes;
        let is_ending = lanes.is_draining() && self.asked.is_empty();
        if is_ending || lanes.is_expired(Lane::Head) || lanes.is_expired(Lane::Silence) {
            return Poll::Ready(Asked::Gone);
        }
        lanes.wait(Lane::Head, self.since);
        match self.asked.is_empty() {
            true => lanes.wait(Lane::Silence, self.since),
            false => lanes.wait_now(Lane::Silence),
        }
        Poll::Pending
    }

    /// Reads a head, if it is whole or clearly odd.
    fn read_head(&self) -> Option<Asked> {
        let (proxy, limits) = (self.proxy, &self.proxy.config.limits);
        let mut desk = proxy.desks.take();
        let verdict =
            ask::read(self.asked.filled(), &self.from.origin, limits.headers_max, &mut desk.to_backend);
        match verdict {
            Verdict::Plain(ask) if ask.end <= limits.head_bytes_max => return Some(Asked::Plain(ask, desk)),
            _ => proxy.desks.give_back(desk),
        }
        (verdict != Verdict::Partial).then_some(Asked::Odd)
    }

    /// Where a request goes, if by the short way.
    fn way(&self, ask: &Ask) -> Option<Way> {
        let bytes = self.asked.filled();
        let host = std::str::from_utf8(&bytes[ask.host.clone()]).ok()?;
        let path = std::str::from_utf8(ask.path(bytes)).ok()?;
        self.proxy.short_way(host, path, self.from, ask.came_by_tls)
    }

    /// Serves a request; from here on it is ours.
    async fn serve(&mut self, ask: &Ask, desk: &mut Desk, way: Way) -> After {
        let counted = Counted::new(&self.proxy.shard, Instant::now());
        self.asked.consume(ask.end);
        let telling = Telling {
            is_head: ask.method == Method::Head,
            closes: ask.closes || self.lanes.is_draining(),
            fields_max: self.proxy.config.limits.headers_max,
        };
        let mut coming = Coming::new(ask.content);
        let taken = coming.take_in(&mut self.asked, &mut desk.to_backend);
        let way = if taken.is_err() { Err(Page::from(&Failure::Client)) } else { way };
        let (after, spare) = match way {
            Err(page) => (self.show(&page, coming.is_over(), telling, desk, &counted).await, None),
            Ok((balance, _place)) => {
                match self.attempts(ask, desk, &balance, (telling, coming, &counted)).await {
                    Ok(done) => done,
                    Err((failure, is_asked)) => {
                        tracing::debug!(error = &failure as &dyn std::error::Error, "a request failed");
                        self.proxy.shard.failed(&failure);
                        let page = Page::from(&failure);
                        (self.show(&page, is_asked, telling, desk, &counted).await, None)
                    }
                }
            }
        };
        self.since = counted.over();
        if let Some((request, stream)) = spare {
            request.keep_stream(stream, self.proxy.worker, self.since);
        }
        after
    }

    /// Tries one endpoint after another. When none responds it is said why, and whether the client's whole request was read.
    async fn attempts(
        &mut self,
        ask: &Ask,
        desk: &mut Desk,
        balance: &Balance,
        (telling, coming, counted): (Telling, Coming, &Counted<'_>),
    ) -> Result<(After, Spare), (Failure, bool)> {
        let mut tried: Vec<Arc<Upstream>> = Vec::new();
        let mut failure = Failure::Closed;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                self.proxy.shard.retried();
            }
            let upstream = balance.choose(&tried);
            let request = upstream.request();
            let backend = match self.backend(upstream, attempt == 0, counted.begun()).await {
                Ok(backend) => backend,
                Err(error) => {
                    upstream.avoid();
                    tried.push(upstream.clone());
                    failure = Failure::Unreachable(error);
                    continue;
                }
            };
            let exchange = Exchange {
                client: &mut self.stream,
                asked: &mut self.asked,
                desk,
                backend,
                lanes: self.lanes,
                limits: &self.proxy.config.limits,
                dates: &self.proxy.dates,
                counted,
                telling,
                coming: coming.clone(),
            };
            let Ran { outcome, is_asked, spare } = exchange.run().await;
            failure = match outcome {
                Outcome::Whole => {
                    let spare = spare.map(|stream| (request, stream));
                    return Ok((After::of(is_asked, telling.closes), spare));
                }
                Outcome::ClientGone | Outcome::Cut => return Ok((After::Breaks, None)),
                Outcome::Unsent => Failure::Closed,
                Outcome::Lost(error) if ask.may_repeat() => {
                    tried.push(upstream.clone());
                    Failure::Broken(error.into())
                }
                Outcome::Lost(error) => return Err((Failure::Broken(error.into()), is_asked)),
                Outcome::Malformed(Malformed::Switched) => return Err((Failure::Switched, is_asked)),
                Outcome::Malformed(error) => return Err((Failure::Broken(error.into()), is_asked)),
                Outcome::Late => return Err((Failure::Timeout, is_asked)),
                Outcome::ClientLate => return Err((Failure::Client, false)),
            };
            desk.begin_again();
        }
        Err((failure, coming.is_over()))
    }

    /// A connection there is, or a new one: a new one also after a connection failed, for others kept as long may be as
    /// dead.
    async fn backend(
        &self,
        upstream: &Arc<Upstream>,
        is_first: bool,
        now: Instant,
    ) -> Result<TcpStream, ConnectError> {
        if let Some(stream) = upstream.spare_stream(self.proxy.worker, now).filter(|_| is_first) {
            return Ok(stream);
        }
        // On the heap: it is seldom, and large.
        let outcome = Box::pin(upstream.connect_stream()).await;
        self.proxy.shard.connected(outcome.is_ok());
        outcome
    }

    /// Says why there is no response from a backend.
    async fn show(
        &mut self,
        page: &Page,
        is_asked: bool,
        telling: Telling,
        desk: &mut Desk,
        counted: &Counted<'_>,
    ) -> After {
        let closes = telling.closes || !is_asked;
        counted.answered(page.status());
        desk.begin_again();
        page.write(telling.is_head, closes, self.proxy.dates.now(), &mut desk.to_client);
        let mut told = 0;
        let is_told = poll_fn(|cx| self.poll_tell(cx, &desk.to_client, &mut told)).await;
        self.lanes.clear();
        if is_told { After::of(is_asked, closes) } else { After::Breaks }
    }

    /// Writes all of `bytes`; whether the client took them.
    fn poll_tell(&mut self, cx: &mut Context<'_>, bytes: &[u8], told: &mut usize) -> Poll<bool> {
        while *told < bytes.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &bytes[*told..]) {
                Poll::Ready(Ok(count @ 1..)) => *told += count,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending if self.lanes.is_expired(Lane::Client) => return Poll::Ready(false),
                Poll::Pending => {
                    self.lanes.wait_now(Lane::Client);
                    return Poll::Pending;
                }
            }
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.is_ok())
    }

    /// Ends the connection. What the client still sends is read for a while and thrown away, for bytes that nobody reads
    /// would make the kernel take back the response (RFC 9112 §9.6).
    async fn close(mut self, after: After) {
        let is_sending = after == After::EndsEarly || !self.asked.is_empty();
        let closing = async {
            let mut is_there = self.stream.shutdown().await.is_ok() && is_sending;
            while is_there {
                let count = self.asked.filled().len();
                self.asked.consume(count);
                let Self { asked, stream, .. } = &mut self;
                is_there = matches!(poll_fn(|cx| asked.poll_fill(stream, cx)).await, Ok(1..));
            }
        };
        // Either way the connection is dropped.
        let _ = timeout(CLOSING, closing).await;
    }
}
