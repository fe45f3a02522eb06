//! One HTTP/1.1 connection of `kelson load`: a request, its answer, and at which point it was lost.
//!
//! Reads heads and bodies of bounded size, framed by Content-Length alone, which is all that the servers it is meant
//! for send.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head and body taken.
const ANSWER_MAX: usize = 64 << 10;

/// How a request was lost.
#[derive(Debug)]
pub enum Failure {
    Connecting(std::io::Error),
    /// The connection ended before any byte of the answer: the server may never have seen the request.
    Closed(String),
    /// The connection ended within the answer.
    CutShort(String),
    /// An answer, but no good one.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connecting(error) => write!(out, "cannot connect: {error}"),
            Failure::Closed(why) => write!(out, "closed before an answer: {why}"),
            Failure::CutShort(why) => write!(out, "cut short: {why}"),
            Failure::Refused(what) => write!(out, "answered with {what}"),
        }
    }
}

/// An open connection.
pub struct Connection(TcpStream);

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(Failure::Connecting)?;
        stream.set_nodelay(true).map_err(Failure::Connecting)?;
        Ok(Self(stream))
    }

    /// Sends one request and reads its answer; whether the connection can take another.
    pub async fn request(&mut self, keep: bool) -> Result<bool, Failure> {
        let connection = if keep { "keep-alive" } else { "close" };
        let request = format!("GET / HTTP/1.1\r\nHost: load\r\nConnection: {connection}\r\n\r\n");
        let closed = |error: std::io::Error| Failure::Closed(error.to_string());
        self.0.write_all(request.as_bytes()).await.map_err(closed)?;
        let mut answer = Vec::with_capacity(512);
        let head = loop {
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break Head::parse(&answer[..end], end + 4)?;
            }
            self.more(&mut answer).await?;
        };
        while answer.len() < head.length {
            self.more(&mut answer).await?;
        }
        Ok(keep && !head.closes)
    }

    async fn more(&mut self, answer: &mut Vec<u8>) -> Result<(), Failure> {
        let lost = |why: String, read: usize| match read {
            0 => Failure::Closed(why),
            _ => Failure::CutShort(why),
        };
        if answer.len() >= ANSWER_MAX {
            return Err(Failure::Refused(format!("more than {ANSWER_MAX} bytes")));
        }
        match self.0.read_buf(answer).await {
            Ok(0) => Err(lost("end of stream".to_owned(), answer.len())),
            Ok(_) => Ok(()),
            Err(error) => Err(lost(error.to_string(), answer.len())),
        }
    }
}

/// What matters of an answer's head.
struct Head {
    /// Bytes of the whole answer.
    length: usize,
    closes: bool,
}

impl Head {
    fn parse(head: &[u8], body_at: usize) -> Result<Self, Failure> {
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Failure::Refused(status.chars().take(80).collect()));
        }
        let (mut length, mut closes) = (0, status.starts_with("http/1.0"));
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "connection" => closes = value.trim() == "close",
                _ => {}
            }
        }
        Ok(Self { length: usize::saturating_add(body_at, length).min(ANSWER_MAX), closes })
    }
}
