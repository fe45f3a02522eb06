//! What reaches the kubelet API and what containers write: SPDY, WebSocket messages, queries, log files, probes' answers.

use std::cell::RefCell;

use kelson_agent::streams::fuzz;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().build().expect("a runtime without I/O needs nothing"));
}

/// A client's half of a SPDY connection.
pub fn spdy(bytes: &[u8]) {
    RUNTIME.with_borrow(|runtime| runtime.block_on(fuzz::spdy(bytes)));
}

/// A client's WebSocket message; and the same bytes as the answer to a gRPC probe.
pub fn message(bytes: &[u8]) {
    fuzz::message(bytes);
    fuzz::grpc_probe(bytes);
}

/// A query on the first line, then a log file.
pub fn log(bytes: &[u8]) {
    let cut = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (query, file) = bytes.split_at(cut);
    fuzz::log(&String::from_utf8_lossy(query), file.strip_prefix(b"\n").unwrap_or(file));
}
