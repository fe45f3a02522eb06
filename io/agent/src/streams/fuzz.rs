//! Entries for fuzzing what clients of the kubelet API and containers write: any bytes in, no panic, no hang.

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::channels::{self, PROTOCOLS};
use super::cri_log::Renderer;
use super::spdy::Stream;
use super::spdy::frames::{Encoder, Frame};
use super::{log_options, routes, spdy};

/// Bytes on their way to the server at a time.
const PIPE: usize = 64 << 10;

/// A client's half of a SPDY connection. Every stream it opens is read, and answered with what came.
pub async fn spdy(bytes: &[u8]) {
    let (client, server) = tokio::io::duplex(PIPE);
    let (mut from_server, mut to_server) = tokio::io::split(client);
    let (opened, mut streams) = mpsc::channel::<Stream>(8);
    let talking = async {
        // The server hangs up on what is malformed.
        let _ = to_server.write_all(bytes).await;
        let _ = to_server.shutdown().await;
    };
    let listening = async {
        let _ = tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await;
    };
    let mut echoes = JoinSet::new();
    let answering = async {
        while let Some(mut stream) = streams.recv().await {
            echoes.spawn(async move {
                while let Some(bytes) = stream.reader.recv().await {
                    let _ = stream.writer.write(bytes).await;
                }
            });
        }
    };
    let serving = async {
        let _ = spdy::serve(server, opened).await;
    };
    tokio::join!(talking, listening, answering, serving);
}

/// A client's WebSocket message, in each protocol.
pub fn message(bytes: &[u8]) {
    for protocol in PROTOCOLS {
        let _ = protocol.read(bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = channels::choose(text.split(','));
    }
}

/// The query of a request for logs, exec or attach; and, by what it asks, a log file's lines.
pub fn log(query: &str, file: &[u8]) {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    };
    let pairs: Vec<_> = query.split('&').map(pair).collect();
    let _ = routes::exec_options(&pairs);
    let Ok(options) = log_options::parse(&pairs, "pod", Timestamp::UNIX_EPOCH) else { return };
    let (limit, mut out) = (options.limit_bytes, Vec::new());
    let mut renderer = Renderer::new(options);
    file.split(|byte| *byte == b'\n').for_each(|line| renderer.line(line, &mut out));
    assert!(limit.is_none_or(|limit| out.len() as u64 <= limit));
}

/// What a health server answers to a gRPC probe.
pub fn grpc_probe(answer: &[u8]) {
    let _ = crate::probes::grpc::parse(answer);
}

/// What a client of port-forward sends: two streams, data, an end, a ping.
pub fn spdy_client() -> Vec<u8> {
    let open = |stream, kind: &str| {
        let headers = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Frame::Open { stream, headers, fin: kind == "error" }
    };
    let frames = [
        open(1, "error"),
        open(3, "data"),
        Frame::Data { stream: 3, bytes: b"GET / HTTP/1.0".to_vec(), fin: false },
        Frame::Ping { number: 1 },
        Frame::Data { stream: 3, bytes: Vec::new(), fin: true },
        Frame::Reset { stream: 1, status: spdy::CANCEL },
        Frame::GoAway,
    ];
    let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
    frames.iter().for_each(|frame| encoder.write(frame, &mut bytes));
    bytes
}
