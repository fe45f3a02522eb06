//! exec and attach over a WebSocket: bytes both ways between a client and a [`Session`].
//!
//! The client's messages become input and window sizes, the process's output becomes messages, and the last message is
//! the outcome, sent only after all output. Nothing is buffered without bound: a slow side makes the other wait. A
//! client that goes away lets go of the process's streams; the process itself is left alone, as upstream does.

use super::channels::{Incoming, Outcome, Protocol, STDERR, STDOUT};
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use kelson_runtime::{Control, FdStream, Session};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep, timeout};

/// The longest message of a client; kubectl sends 32 KiB.
pub const MESSAGE_MAX: usize = 1 << 20;
/// Bytes of output in one message.
const CHUNK: usize = 32 << 10;
/// Messages that may wait for the client, sizes for the terminal.
pub const WAITING: usize = 8;
/// Keeps connections alive through middle boxes that forget the silent.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long silent output pipes are waited for once the process has ended: only processes it left behind hold them.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);
/// How long the client may take to hang up after the outcome. Closing while its bytes are on the way would reset the
/// connection, and the outcome might be lost with it.
pub const LINGER: Duration = Duration::from_secs(5);

/// Serves a session to its end. `command` is only for the outcome's words.
pub async fn serve(socket: WebSocket, protocol: Protocol, session: Session, command: Vec<String>) {
    let (sink, stream) = socket.split();
    let (messages, outgoing) = mpsc::channel(WAITING);
    let (sizes, resizes) = mpsc::channel(WAITING);
    let Session { stdin, stdout, stderr, control } = session;
    let work = async {
        let frame = move |channel: u8, bytes: &[u8]| message(protocol, protocol.write(channel, bytes));
        let copier = Copier::new(messages.clone(), frame);
        // As upstream: an empty message tells the client that the connection stands.
        copier.send(if stdout.is_some() { STDOUT } else { STDERR }, &[]).await;
        let outcome = copier.run(control, resizes, stdout, stderr, command).await;
        tell(&messages, protocol, &outcome).await;
        drop((copier, messages));
    };
    let mut client = pin!(listen(stream, protocol, stdin, sizes));
    tokio::select! {
        _ = async { tokio::join!(work, write(sink, outgoing)) } => drop(timeout(LINGER, client).await),
        () = &mut client => {}
    }
}

/// Tells a client that upgraded why nothing could be started.
pub async fn refuse(socket: WebSocket, protocol: Protocol, why: String) {
    let (sink, stream) = socket.split();
    let (messages, outgoing) = mpsc::channel(WAITING);
    tell(&messages, protocol, &Outcome::Failed(why)).await;
    drop(messages);
    write(sink, outgoing).await;
    let (sizes, _) = mpsc::channel(1);
    let _ = timeout(LINGER, listen(stream, protocol, None, sizes)).await;
}

fn message(protocol: Protocol, bytes: Vec<u8>) -> Message {
    match protocol.base64 {
        true => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
        false => Message::binary(bytes),
    }
}

/// A client that is gone is noticed elsewhere.
async fn tell(messages: &mpsc::Sender<Message>, protocol: Protocol, outcome: &Outcome) {
    if let Some(bytes) = protocol.outcome(outcome) {
        let _ = messages.send(message(protocol, bytes)).await;
    }
}

/// Output on its way to the client, in frames of whatever protocol the client speaks.
pub struct Copier<T, F> {
    frames: mpsc::Sender<T>,
    frame: F,
    /// Something was read since this was last looked at.
    moved: AtomicBool,
}

impl<T, F: Fn(u8, &[u8]) -> T> Copier<T, F> {
    pub fn new(frames: mpsc::Sender<T>, frame: F) -> Self {
        Self { frames, frame, moved: AtomicBool::new(false) }
    }

    /// Copies until the process has ended and its output too; says how.
    pub async fn run(
        &self,
        control: Control,
        resizes: mpsc::Receiver<(u16, u16)>,
        stdout: Option<FdStream>,
        stderr: Option<FdStream>,
        command: Vec<String>,
    ) -> Outcome {
        let copy = async { tokio::join!(self.copy(stdout, STDOUT), self.copy(stderr, STDERR)) };
        match finish(control, resizes, copy, &self.moved).await {
            Ok(code) => Outcome::Exited { code, command },
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// Copies one output to its end.
    async fn copy(&self, output: Option<FdStream>, channel: u8) {
        let Some(mut output) = output else { return };
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = output.read(&mut chunk).await {
            self.moved.store(true, Ordering::Relaxed);
            self.send(channel, &chunk[..count]).await;
        }
    }

    async fn send(&self, channel: u8, bytes: &[u8]) {
        let _ = self.frames.send((self.frame)(channel, bytes)).await;
    }
}

/// The process's exit code, once it ended and its output was copied.
async fn finish<T>(
    mut control: Control,
    mut resizes: mpsc::Receiver<(u16, u16)>,
    copy: impl Future<Output = T>,
    moved: &AtomicBool,
) -> Result<i32, kelson_runtime::Error> {
    let mut copy = pin!(copy);
    let (mut copied, mut exit) = (false, None);
    while !copied || exit.is_none() {
        tokio::select! {
            code = control.wait(), if exit.is_none() => exit = Some(code?),
            _ = &mut copy, if !copied => copied = true,
            Some((columns, rows)) = resizes.recv() => {
                if let Err(error) = control.resize(columns, rows) {
                    tracing::debug!(%error, "a terminal's size could not be set");
                }
            }
            () = sleep(OUTPUT_GRACE), if exit.is_some() => copied |= !moved.swap(false, Ordering::Relaxed),
        }
    }
    Ok(exit.unwrap_or_default())
}

/// Sends what comes, and a close when no more will.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<Message>) {
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            _ = pings.tick() => Some(Message::Ping(Default::default())),
        };
        let Some(message) = message else { break };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let close = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    let _ = sink.send(Message::Close(Some(close))).await;
}

/// Acts on the client's messages until it goes away.
async fn listen(
    mut stream: SplitStream<WebSocket>,
    protocol: Protocol,
    mut stdin: Option<FdStream>,
    sizes: mpsc::Sender<(u16, u16)>,
) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match &message {
            Message::Binary(bytes) => &bytes[..],
            Message::Text(text) => text.as_bytes(),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        match protocol.read(bytes) {
            Incoming::Stdin(bytes) => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    // The process reads no more; what the client still sends goes nowhere.
                    stdin = None;
                }
            }
            Incoming::StdinEnd => stdin = None,
            // A size that does not fit the queue is outdated by those that do.
            Incoming::Resize { columns, rows } => drop(sizes.try_send((columns, rows))),
            Incoming::Nothing => {}
        }
    }
}
