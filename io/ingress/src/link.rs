//! A connection to a backend that speaks HTTP/1.1, driven by whoever has a request on it.
//!
//! Its protocol runs in the task of the client whose request it carries, not in one of its own: a response is read, and
//! handed on, without a switch of tasks. What the protocol tells itself through wakers (a request was handed over, a body
//! was taken) wakes nobody, because it is looked at again before the task sleeps; what comes from the socket, a timer or
//! the client wakes the task.
//!
//! Invariant: while a request is under way its task has polled the protocol after everything it handed to it. A request
//! whose response begins before its own body has ended gets a task for the protocol after all: then either direction must
//! go on while the other stands still.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::body::Upload;
use crate::config::Limits;
use crate::patience::Patience;

/// What a backend said to a request, or the request when it was never sent.
pub(crate) type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

type Protocol = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection.
pub(crate) struct Link {
    sender: http1::SendRequest<Upload>,
    drive: Drive,
    /// For what is waited for on it.
    pub(crate) patience: Patience,
}

/// What reads and writes.
struct Drive {
    protocol: Running,
    bell: Arc<Bell>,
    waker: Waker,
}

enum Running {
    /// Here, whenever somebody asks.
    Here(Protocol),
    /// In a task of its own.
    Elsewhere,
    /// Nowhere: the connection is closed.
    Over,
}

/// Passes wakes on to the task that has the connection, unless that is what rings.
struct Bell {
    is_inside: AtomicBool,
    was_rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer_to(&self, waker: &Waker) {
        self.task().clone_from(waker);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.is_inside.load(Ordering::Acquire) {
            true => self.was_rung.store(true, Ordering::Release),
            false => self.task().wake_by_ref(),
        }
    }
}

impl Drive {
    fn new(protocol: Protocol) -> Self {
        let bell = Arc::new(Bell {
            is_inside: AtomicBool::new(false),
            was_rung: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
        });
        Self { protocol: Running::Here(protocol), waker: bell.clone().into(), bell }
    }

    /// Does something that may ring, for a task that is about to look anyway.
    fn inside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bell.is_inside.store(true, Ordering::Release);
        let outcome = act();
        self.bell.is_inside.store(false, Ordering::Release);
        outcome
    }

    /// Polls `step`, which waits for something from the protocol, as often as the protocol gets anywhere.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Running::Here(protocol) = &mut self.protocol else { return step(cx) };
        self.bell.answer_to(cx.waker());
        self.bell.is_inside.store(true, Ordering::Release);
        let mut own = Context::from_waker(&self.waker);
        let mut outcome = step(&mut own);
        let (mut is_over, mut is_unfinished) = (false, false);
        if outcome.is_pending() {
            self.bell.was_rung.store(false, Ordering::Release);
            is_over = protocol.as_mut().poll(&mut own).is_ready();
            is_unfinished = self.bell.was_rung.load(Ordering::Acquire);
            outcome = step(&mut own);
        }
        self.bell.is_inside.store(false, Ordering::Release);
        if is_over {
            // Dropped now, so that what waits for it learns what became of it.
            self.protocol = Running::Over;
            return if outcome.is_pending() { step(cx) } else { outcome };
        }
        if is_unfinished && outcome.is_pending() {
            cx.waker().wake_by_ref();
        }
        outcome
    }

    fn leave(&mut self) {
        match std::mem::replace(&mut self.protocol, Running::Elsewhere) {
            // What goes wrong is told to the request.
            Running::Here(protocol) => drop(tokio::spawn(async move { drop(protocol.await) })),
            Running::Elsewhere => {}
            Running::Over => self.protocol = Running::Over,
        }
    }
}

impl Link {
    /// Speaks HTTP/1.1 over a stream.
    pub(crate) async fn open<S>(stream: S, limits: &Limits) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_header_size(limits.head_bytes_max);
        if let Some(max) = limits.headers_told() {
            builder.max_headers(max);
        }
        let (sender, protocol) = builder.handshake(TokioIo::new(stream)).await?;
        let drive = Drive::new(Box::pin(protocol.with_upgrades()));
        Ok(Self { sender, drive, patience: Patience::new(Instant::now(), limits.response_timeout) })
    }

    /// Whether it takes a request.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready() && !matches!(self.drive.protocol, Running::Over)
    }

    /// Whether it never will again.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed() || matches!(self.drive.protocol, Running::Over)
    }

    /// Sends a request, and waits for its response's head. `look` is asked, whenever nothing came, whether to give up.
    pub(crate) async fn send<G>(
        &mut self,
        request: Request<Upload>,
        mut look: impl FnMut(&mut Patience, &mut Context<'_>) -> Poll<G>,
    ) -> Result<Sent, G> {
        let Self { sender, drive, patience } = self;
        let mut sent = std::pin::pin!(drive.inside(|| sender.try_send_request(request)));
        std::future::poll_fn(|cx| match drive.poll(cx, |cx| sent.as_mut().poll(cx)) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => look(patience, cx).map(Err),
        })
        .await
    }

    /// The next piece of a response's body.
    pub(crate) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<bytes::Bytes>>>> {
        self.drive.poll(cx, |cx| Pin::new(&mut *body).poll_frame(cx))
    }

    /// Gives the protocol a task of its own.
    pub(crate) fn leave(&mut self) {
        self.drive.leave();
    }

    /// Reads and writes what can be without waiting, for nobody: a connection that was closed shows it afterwards.
    pub(crate) fn settle(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        let _ = self.drive.poll(&mut nobody, |_| Poll::<()>::Pending);
    }

    /// Waits until it takes a request; whether it does.
    pub(crate) async fn ready(&mut self) -> bool {
        self.leave();
        self.sender.ready().await.is_ok()
    }
}
