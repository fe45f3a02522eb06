//! HTTP/1.1 as it is on the wire, for the short way: heads read and rewritten in one pass, chunked bodies taken apart.
//!
//! Pure: bytes in, bytes and verdicts out; no sockets, no clock. The bytes are a stranger's, and nothing here panics on any
//! of them. Requests are read by the strictest rules there are, because whatever is [`odd`](ask::Verdict::Odd) is simply
//! given to hyper; what is left reads the same to every program. Responses have no second reader, so they are read with
//! hyper's own parser and its rules of framing. Framing is never passed on, always written anew.

pub mod answer;
pub mod ask;
pub mod chunks;
mod fields;

use memchr::memchr_iter;

/// Whether a head may end in `bytes`, of which those before `from` were looked through before: whether there is an empty
/// line. Looked for before anything is parsed again, so that a head which comes byte by byte is not read as many times.
pub fn has_empty_line(bytes: &[u8], from: usize) -> bool {
    let from = from.min(bytes.len());
    memchr_iter(b'\n', &bytes[from..]).any(|at| {
        let before = &bytes[..from + at];
        before.ends_with(b"\n") || before.ends_with(b"\n\r") || matches!(before, b"" | b"\r")
    })
}

#[cfg(test)]
mod tests;
