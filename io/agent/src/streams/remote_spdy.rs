//! exec and attach over SPDY, as kubectl before 1.31 and other clients still ask for it.
//!
//! Each of input, output, error output, sizes and the outcome is a stream of its own, named by its `streamtype`; the
//! client opens all it wants before anything flows. The rest is as over a WebSocket (`remote`).

use super::channels::{Outcome, STDOUT, size};
use super::remote::{Copier, LINGER, WAITING};
use super::spdy::{self, Stream, Writer};
use futures_util::future::BoxFuture;
use kelson_runtime::{FdStream, Session};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Version 4 sends a `Status`; before it, bare words of failures. Version 1 and 2 have no sizes.
pub const PROTOCOLS: [&str; 4] =
    ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
/// How long the client may take to open its streams, as upstream.
const OPEN_WAIT: Duration = Duration::from_secs(30);
/// A line of the resize stream.
const SIZE_MAX: usize = 1024;

/// What the client asked for, which says which streams to expect.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

/// Serves an upgraded connection. `why` words a session that could not be started.
pub async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: &'static str,
    wanted: Wanted,
    session: Result<Session, String>,
    command: Vec<String>,
) {
    let (opened, streams) = mpsc::channel(WAITING);
    // Boxed: the compiler cannot see through both futures at once that they may change threads.
    let mut connection: BoxFuture<'static, _> = Box::pin(spdy::serve(io, opened));
    let names = expected(protocol, wanted);
    let work: BoxFuture<'static, ()> = Box::pin(async move {
        match collect(streams, names).await {
            Some(streams) => run(streams, protocol, session, command).await,
            None => tracing::debug!("a client opened too few streams"),
        }
    });
    tokio::select! {
        // The client hangs up once it has read all ends.
        () = work => drop(timeout(LINGER, connection).await),
        _ = &mut connection => {}
    }
}

fn expected(protocol: &str, wanted: Wanted) -> Vec<String> {
    let sizes = wanted.tty && matches!(protocol, "v4.channel.k8s.io" | "v3.channel.k8s.io");
    let streams = [
        ("error", true),
        ("stdin", wanted.stdin),
        ("stdout", wanted.stdout),
        ("stderr", wanted.stderr),
        ("resize", sizes),
    ];
    streams.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name.to_owned()).collect()
}

/// Waits until every expected stream is there.
async fn collect(
    mut streams: mpsc::Receiver<Stream>,
    expected: Vec<String>,
) -> Option<HashMap<String, Stream>> {
    let gather = async move {
        let mut found = HashMap::new();
        while found.len() < expected.len() {
            let stream = streams.recv().await?;
            let name = stream.header("streamtype").to_owned();
            if expected.contains(&name) {
                found.insert(name, stream);
            }
        }
        Some(found)
    };
    timeout(OPEN_WAIT, gather).await.ok().flatten()
}

async fn run(
    mut streams: HashMap<String, Stream>,
    protocol: &'static str,
    session: Result<Session, String>,
    command: Vec<String>,
) {
    let outputs = [writer(&streams, "stdout"), writer(&streams, "stderr")];
    let error = writer(&streams, "error");
    let outcome = match session {
        Err(why) => Outcome::Failed(why),
        Ok(Session { stdin, stdout, stderr, control }) => {
            let (sizes, resizes) = mpsc::channel(WAITING);
            let (chunks, output) = mpsc::channel(WAITING);
            let copied = async {
                let copier = Copier::new(chunks, |channel, bytes: &[u8]| (channel, bytes.to_vec()));
                copier.run(control, resizes, stdout, stderr, command).await
            };
            let input = feed(streams.remove("stdin"), stdin, streams.remove("resize"), sizes);
            tokio::select! {
                (outcome, ()) = async { tokio::join!(copied, deliver(output, outputs.clone())) } => outcome,
                never = input => match never {},
            }
        }
    };
    conclude(error, outputs, words(protocol, &outcome)).await;
}

fn writer(streams: &HashMap<String, Stream>, name: &str) -> Option<Writer> {
    streams.get(name).map(|stream| stream.writer.clone())
}

/// Carries the client's input and sizes as long as it is polled.
async fn feed(
    input: Option<Stream>,
    stdin: Option<FdStream>,
    resize: Option<Stream>,
    sizes: mpsc::Sender<(u16, u16)>,
) -> Infallible {
    let typing = async {
        let (Some(mut input), Some(mut stdin)) = (input, stdin) else { return };
        while let Some(bytes) = input.reader.recv().await {
            if stdin.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let resizing = async {
        let Some(mut resize) = resize else { return };
        let mut line = Vec::new();
        while let Some(bytes) = resize.reader.recv().await {
            // One JSON object a line; the newline may come with the next.
            line.extend_from_slice(&bytes);
            if let Some(size) = line.split(|byte| *byte == b'\n').rev().find_map(size) {
                // A size that does not fit the queue is outdated by those that do.
                let _ = sizes.try_send(size);
                line.clear();
            }
            line.truncate(SIZE_MAX);
        }
    };
    tokio::join!(typing, resizing);
    std::future::pending().await
}

async fn deliver(mut output: mpsc::Receiver<(u8, Vec<u8>)>, [stdout, stderr]: [Option<Writer>; 2]) {
    while let Some((channel, bytes)) = output.recv().await {
        let writer = if channel == STDOUT { &stdout } else { &stderr };
        if let Some(writer) = writer {
            // The connection's end is noticed elsewhere.
            let _ = writer.write(bytes).await;
        }
    }
}

fn words(protocol: &str, outcome: &Outcome) -> String {
    let status = outcome.status();
    match protocol {
        "v4.channel.k8s.io" => status.to_string(),
        _ => status["message"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The outcome, and the end of every stream.
async fn conclude(error: Option<Writer>, [stdout, stderr]: [Option<Writer>; 2], words: String) {
    if let Some(error) = &error
        && !words.is_empty()
    {
        let _ = error.write(words.into_bytes()).await;
    }
    for writer in [stdout, stderr, error].into_iter().flatten() {
        let _ = writer.finish().await;
    }
}
