//! One request to one backend and its response back, both directions at once: neither waits for the other, and each stands
//! still when its own receiver does.
//!
//! Content of a length goes from the buffer it was read into to the other side as it is; content in chunks, or until the
//! connection's end, gets frames of our own. Invariant: a connection is given back only when both messages ended where
//! their framing says and nothing came behind; and as long as nothing was told the client, it is said which of the
//! possible ends it was, for the request may be sent again after some.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::config::Limits;
use crate::short::buffer::{Buffer, Desk};
use crate::short::counted::Counted;
use crate::short::dates::Dates;
use crate::short::lanes::{Lane, Lanes};
use crate::short::upload::Coming;
use crate::wire::answer::{self, Answer, Framing, Heard, Malformed, Telling};
use crate::wire::chunks::{self, Chunks};
use crate::wire::has_empty_line;

/// Room for a request's body that comes fast.
const UPLOAD_ROOM: usize = 64 << 10;

/// Room for a response's, while it is on its way: the more at once, the fewer calls to the kernel.
const DOWNLOAD_ROOM: usize = 256 << 10;

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The client has been told all of it.
    Whole,
    /// The backend hung up before it was sent a byte.
    Unsent,
    /// It hung up later, before its response.
    Lost(io::Error),
    /// What it said is no response.
    Malformed(Malformed),
    /// It said nothing for too long.
    Late,
    /// The client did not send its whole request, or what is none.
    ClientLate,
    /// The client hung up.
    ClientGone,
    /// The client has been told a part, and there is no more.
    Cut,
}

/// How far the request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Going,
    Done,
    /// The backend takes no more.
    Stopped,
}

/// How far the response is.
enum Phase {
    Awaited,
    /// So much of its content is to come.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    /// All of it has come.
    Heard,
    /// No more of it comes that could be understood.
    Broken,
}

/// What an exchange goes between.
pub(crate) struct Exchange<'e, S> {
    pub client: &'e mut S,
    /// What the client sent behind the request's head.
    pub asked: &'e mut Buffer,
    /// With the request's head in it.
    pub desk: &'e mut Desk,
    pub backend: TcpStream,
    pub lanes: &'e Lanes,
    pub limits: &'e Limits,
    pub dates: &'e Dates,
    pub counted: &'e Counted<'e>,
    pub telling: Telling,
    /// What of the request's body is still to come by `asked`.
    pub coming: Coming,
}

/// What is left of an exchange.
pub(crate) struct Ran {
    pub outcome: Outcome,
    /// Whether the client has sent the whole of its request.
    pub is_asked: bool,
    /// The connection, if another request may go by it.
    pub spare: Option<TcpStream>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    /// Goes on until it ends, one way or another.
    pub(crate) async fn run(self) -> Ran {
        let is_brief = self.coming.is_over();
        let mut running = Running {
            it: self,
            sent: 0,
            has_sent: false,
            is_brief,
            upload: Upload::Going,
            phase: Phase::Awaited,
            looked: 0,
            told: 0,
            is_flushed: true,
            keeps: false,
        };
        let outcome = poll_fn(|cx| running.poll(cx)).await;
        running.it.lanes.clear();
        let is_whole = matches!(outcome, Outcome::Whole);
        let is_done = running.upload == Upload::Done;
        let may_stay = is_whole && is_done && running.keeps && running.it.desk.from_backend.is_empty();
        let Exchange { backend, coming, .. } = running.it;
        Ran { outcome, is_asked: coming.is_over(), spare: may_stay.then_some(backend) }
    }
}

struct Running<'e, S> {
    it: Exchange<'e, S>,
    /// Of what is on the desk for the backend: the request's head, and what of its body came with it; then, pieces of that.
    sent: usize,
    has_sent: bool,
    /// Whether all of the request is on the desk.
    is_brief: bool,
    upload: Upload,
    phase: Phase,
    /// How much of the response's head was looked through in vain.
    looked: usize,
    /// Of what is on the desk for the client.
    told: usize,
    is_flushed: bool,
    /// Whether the backend's connection may carry another request.
    keeps: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Running<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(Err(outcome)) = self.poll_upload(cx) {
            return Poll::Ready(outcome);
        }
        if self.upload != Upload::Going && self.poll_hangup(cx).is_ready() {
            return Poll::Ready(Outcome::ClientGone);
        }
        match self.poll_download(cx) {
            // The rest of the request may still be wanted.
            Poll::Ready(Outcome::Whole) if self.upload == Upload::Going && self.keeps => self.poll_late(),
            Poll::Pending => self.poll_late(),
            ready => ready,
        }
    }

    /// Sends the backend what there is of the request.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        while self.upload == Upload::Going {
            let it = &mut self.it;
            let framed = &it.desk.to_backend[self.sent..];
            let is_framed = !framed.is_empty();
            let piece = if is_framed { framed } else { it.coming.plain(it.asked) };
            if piece.is_empty() {
                if it.coming.is_over() {
                    self.upload = Upload::Done;
                } else if it.asked.is_empty() {
                    ready!(self.poll_client(cx))?;
                } else {
                    it.desk.to_backend.clear();
                    self.sent = 0;
                    if it.coming.take_in(it.asked, &mut it.desk.to_backend).is_err() {
                        return Poll::Ready(Err(self.unasked()));
                    }
                }
                continue;
            }
            match Pin::new(&mut it.backend).poll_write(cx, piece) {
                Poll::Ready(Ok(count @ 1..)) => {
                    it.lanes.moved(if matches!(self.phase, Phase::Heard) {
                        Lane::Body
                    } else {
                        Lane::Answer
                    });
                    self.has_sent = true;
                    match is_framed {
                        true => self.sent += count,
                        false => it.coming.sent(it.asked, count),
                    }
                }
                Poll::Ready(_) => self.upload = Upload::Stopped,
                Poll::Pending => {
                    if matches!(self.phase, Phase::Heard) {
                        it.lanes.wait_now(Lane::Body);
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the next piece of the request's body.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        let it = &mut self.it;
        match it.asked.poll_fill(it.client, cx) {
            Poll::Ready(Ok(count @ 1..)) => {
                it.lanes.moved(Lane::Upload);
                if count == it.asked.room() {
                    it.asked.grow(UPLOAD_ROOM);
                }
                Poll::Ready(Ok(()))
            }
            // It may still listen.
            Poll::Ready(Ok(0)) if matches!(self.phase, Phase::Awaited) => {
                Poll::Ready(Err(Outcome::ClientLate))
            }
            Poll::Ready(_) => Poll::Ready(Err(Outcome::ClientGone)),
            Poll::Pending => {
                it.lanes.wait_now(Lane::Upload);
                Poll::Pending
            }
        }
    }

    /// The client's request ends before its end, or is none: how it ends. It may still listen.
    fn unasked(&self) -> Outcome {
        match self.phase {
            Phase::Awaited => Outcome::ClientLate,
            _ => Outcome::Cut,
        }
    }

    /// Ready when the client hangs up. What it sends instead, the next request perhaps, is kept as far as there is room.
    fn poll_hangup(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let it = &mut self.it;
        while !it.asked.is_full() {
            match ready!(it.asked.poll_fill(it.client, cx)) {
                Ok(1..) => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Hands on what the backend says.
    fn poll_download(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            if let Err(outcome) = ready!(self.poll_tell(cx)) {
                return Poll::Ready(outcome);
            }
            match self.digest() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(malformed) => return Poll::Ready(Outcome::Malformed(malformed)),
            }
            if let Err(outcome) = ready!(self.poll_flush(cx)) {
                return Poll::Ready(outcome);
            }
            match self.phase {
                Phase::Heard => return Poll::Ready(Outcome::Whole),
                Phase::Broken => return Poll::Ready(Outcome::Cut),
                _ => {}
            }
            if let Some(outcome) = ready!(self.poll_backend(cx)) {
                return Poll::Ready(outcome);
            }
        }
    }

    /// Writes to the client what is there for it.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        loop {
            let it = &mut self.it;
            let framed = &it.desk.to_client[self.told..];
            let is_framed = !framed.is_empty();
            let piece = match &self.phase {
                _ if is_framed => framed,
                Phase::Length(left) => {
                    let content = it.desk.from_backend.filled();
                    &content[..content.len().min(usize::try_from(*left).unwrap_or(usize::MAX))]
                }
                _ => &[],
            };
            if piece.is_empty() {
                it.desk.to_client.clear();
                self.told = 0;
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut *it.client).poll_write(cx, piece) {
                Poll::Ready(Ok(count @ 1..)) => {
                    it.lanes.moved(Lane::Client);
                    self.is_flushed = false;
                    match &mut self.phase {
                        _ if is_framed => self.told += count,
                        Phase::Length(left) => {
                            it.desk.from_backend.consume(count);
                            *left -= count as u64;
                        }
                        _ => {}
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Outcome::ClientGone)),
                Poll::Pending => {
                    it.lanes.wait_now(Lane::Client);
                    return Poll::Pending;
                }
            }
        }
    }

    /// A stream may hold bytes back until it is told that there are no more.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        if self.is_flushed {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut *self.it.client).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.it.lanes.moved(Lane::Client);
                self.is_flushed = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Outcome::ClientGone)),
            Poll::Pending => {
                self.it.lanes.wait_now(Lane::Client);
                Poll::Pending
            }
        }
    }

    /// Makes of what the backend said what the client is told; whether there was anything to make.
    fn digest(&mut self) -> Result<bool, Malformed> {
        let desk = &mut *self.it.desk;
        match &mut self.phase {
            Phase::Awaited => return self.listen(),
            Phase::Length(0) => self.phase = Phase::Heard,
            Phase::Length(_) | Phase::Heard | Phase::Broken => return Ok(false),
            Phase::UntilClose if desk.from_backend.is_empty() => return Ok(false),
            Phase::UntilClose => {
                chunks::write(desk.from_backend.filled(), &mut desk.to_client);
                let count = desk.from_backend.filled().len();
                desk.from_backend.consume(count);
            }
            Phase::Chunked(_) if desk.from_backend.is_empty() => return Ok(false),
            Phase::Chunked(body) => {
                let mut is_good = true;
                while is_good && !desk.from_backend.is_empty() && !body.is_done() {
                    match body.next(desk.from_backend.filled()) {
                        Ok((count, content)) => {
                            chunks::write(content, &mut desk.to_client);
                            desk.from_backend.consume(count);
                        }
                        // What was understood is told first.
                        Err(_) => is_good = false,
                    }
                }
                if body.is_done() {
                    desk.to_client.extend_from_slice(chunks::LAST);
                    self.phase = Phase::Heard;
                } else if !is_good {
                    self.phase = Phase::Broken;
                }
            }
        }
        Ok(true)
    }

    /// Reads the response's head, if all of it is there.
    fn listen(&mut self) -> Result<bool, Malformed> {
        let desk = &mut *self.it.desk;
        let bytes = desk.from_backend.filled();
        // Mostly all of it comes at once; only what did not is looked through before it is read again.
        if bytes.len() > self.looked && (self.looked == 0 || has_empty_line(bytes, self.looked)) {
            match answer::read(bytes, self.it.telling, &mut desk.to_client, || self.it.dates.now())? {
                Heard::Interim(end) => {
                    desk.from_backend.consume(end);
                    self.looked = 0;
                    return Ok(true);
                }
                Heard::Final(answer) => {
                    self.begin(&answer);
                    return Ok(true);
                }
                Heard::Partial => {}
            }
        }
        self.looked = bytes.len();
        let max = self.it.limits.head_bytes_max;
        let is_too_long = bytes.len() >= max || (desk.from_backend.is_full() && !desk.from_backend.grow(max));
        if is_too_long { Err(Malformed::TooLong) } else { Ok(false) }
    }

    /// The response begins; what of its content came with the head goes on with it.
    fn begin(&mut self, answer: &Answer) {
        let desk = &mut *self.it.desk;
        self.it.counted.answered(answer.status);
        self.it.lanes.moved(Lane::Answer);
        self.keeps = answer.keeps && answer.framing != Framing::UntilClose;
        desk.from_backend.consume(answer.end);
        self.phase = match answer.framing {
            Framing::Nothing => Phase::Heard,
            Framing::Chunked => Phase::Chunked(Chunks::default()),
            Framing::UntilClose => Phase::UntilClose,
            Framing::Length(length) => {
                let content = desk.from_backend.filled();
                let here = content.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                desk.to_client.extend_from_slice(&content[..here]);
                desk.from_backend.consume(here);
                Phase::Length(length - here as u64)
            }
        };
    }

    /// Waits for more from the backend; how it ends, if it does.
    fn poll_backend(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let it = &mut self.it;
        let lane = if matches!(self.phase, Phase::Awaited) { Lane::Answer } else { Lane::Body };
        match it.desk.from_backend.poll_fill(&mut it.backend, cx) {
            Poll::Ready(Ok(count @ 1..)) => {
                // A head has its time as a whole.
                if lane == Lane::Body {
                    it.lanes.moved(lane);
                    if count == it.desk.from_backend.room() {
                        it.desk.from_backend.grow(DOWNLOAD_ROOM);
                    }
                }
                Poll::Ready(None)
            }
            Poll::Ready(outcome) => Poll::Ready(self.hung_up(outcome.err())),
            Poll::Pending => {
                match lane {
                    // Common, and then no clock need be read.
                    Lane::Answer if self.is_brief => it.lanes.wait(lane, it.counted.begun()),
                    lane => it.lanes.wait_now(lane),
                }
                Poll::Pending
            }
        }
    }

    /// The backend has hung up: how it ends; `None` when that is how its response ends.
    fn hung_up(&mut self, error: Option<io::Error>) -> Option<Outcome> {
        match (&self.phase, error) {
            (Phase::Awaited, _) if !self.has_sent => Some(Outcome::Unsent),
            (Phase::Awaited, error) => {
                Some(Outcome::Lost(error.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())))
            }
            (Phase::UntilClose, None) => {
                self.it.desk.to_client.extend_from_slice(chunks::LAST);
                self.phase = Phase::Heard;
                None
            }
            _ => Some(Outcome::Cut),
        }
    }

    /// Nothing can be done: whether one of the two has taken too long.
    fn poll_late(&mut self) -> Poll<Outcome> {
        let is_late = |lane: Lane| self.it.lanes.is_expired(lane);
        let rest = match self.phase {
            Phase::Heard => Outcome::Whole,
            _ => Outcome::Cut,
        };
        match self.phase {
            Phase::Awaited if is_late(Lane::Upload) => Poll::Ready(Outcome::ClientLate),
            Phase::Awaited if is_late(Lane::Answer) => Poll::Ready(Outcome::Late),
            _ if is_late(Lane::Client) => Poll::Ready(Outcome::Cut),
            _ if is_late(Lane::Upload) || is_late(Lane::Body) => Poll::Ready(rest),
            _ => Poll::Pending,
        }
    }
}
