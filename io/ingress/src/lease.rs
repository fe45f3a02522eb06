//! A connection in use by one request, whatever it speaks: waited on for the response's head and body, and given back when
//! the last byte has been read.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::Instant;

use crate::body::Upload;
use crate::link::{Link, Sent};
use crate::patience::Patience;
use crate::places::Place;
use crate::shared::Stream;
use crate::upstream::InFlight;

/// A way to a backend.
pub(crate) enum Line {
    /// A connection of the request's own.
    Own(Box<Link>),
    /// A place on one for many.
    Shared(Stream),
}

impl Line {
    /// Sends a request and waits for the response's head, at most for `limit` from `now` on; then `moved` says whether to
    /// wait as long again. `None` when nothing came.
    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
        (now, limit): (Instant, Duration),
        mut moved: impl FnMut() -> bool,
    ) -> Option<Sent> {
        let mut look = move |patience: &mut Patience, cx: &mut Context<'_>| {
            while patience.poll(cx).is_ready() {
                if !moved() {
                    return Poll::Ready(());
                }
                patience.restart(Instant::now(), limit);
            }
            Poll::Pending
        };
        match self {
            Self::Own(link) => {
                link.patience.restart(now, limit);
                link.send(request, look).await.ok()
            }
            Self::Shared(stream) => {
                let mut sent = std::pin::pin!(stream.send(request));
                let patience = stream.patience(now, limit);
                std::future::poll_fn(|cx| match sent.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => look(patience, cx).map(|()| None),
                })
                .await
            }
        }
    }

    /// Lets a request's body go on while the response is read.
    pub(crate) fn leave(&mut self) {
        match self {
            Self::Own(link) => link.leave(),
            // It has a task already.
            Self::Shared(_) => {}
        }
    }
}

/// A connection in use by one request.
pub(crate) struct Lease {
    line: Line,
    worker: usize,
    request: InFlight,
    place: Place,
}

impl Lease {
    /// `request` and `place` count until the response has been read.
    pub(crate) fn new(line: Line, worker: usize, request: InFlight, place: Place) -> Self {
        Self { line, worker, request, place }
    }

    /// The next piece of the response's body.
    pub(crate) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.line {
            Line::Own(link) => link.poll_body(body, cx),
            Line::Shared(_) => std::pin::Pin::new(body).poll_frame(cx),
        }
    }

    /// What bounds the wait for that piece.
    pub(crate) fn patience(&mut self, now: Instant, limit: Duration) -> &mut Patience {
        match &mut self.line {
            Line::Own(link) => &mut link.patience,
            Line::Shared(stream) => stream.patience(now, limit),
        }
    }

    /// The response has been read to its end. A lease that is dropped instead closes its connection, or ends its part of it.
    pub(crate) fn finish(self) {
        match self.line {
            Line::Own(link) => self.request.keep(link, self.worker, Instant::now()),
            Line::Shared(stream) => drop(stream),
        }
    }

    /// The connection is no longer HTTP; it counts as a request until what is returned is dropped.
    pub(crate) fn upgrade(mut self) -> (InFlight, Place) {
        self.line.leave();
        (self.request, self.place)
    }
}
