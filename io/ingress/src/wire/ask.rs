//! A client's request head, read by the strictest rules there are and written for a backend in the same pass.
//!
//! Invariant: what is [`Plain`](Verdict::Plain) has one reading: `\r\n` at the end of each line and nowhere else, names
//! directly before their colons, one `Host` of letters and digits, one `Content-Length` of digits or one
//! `Transfer-Encoding` that is `chunked` or neither, nothing named by `Connection`. Anything else, malformed or merely seldom, is
//! [`Odd`](Verdict::Odd) and somebody else's to judge: nothing is ever refused here.

use std::io::Write;
use std::ops::Range;

use memchr::memchr;

use super::fields::{Field, HOST, NAME, TARGET, all, is_value, length, tokens, trimmed};

/// What a head is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good as far as it goes; there must be more.
    Partial,
    /// Malformed, or seldom.
    Odd,
    /// Common.
    Plain(Ask),
}

/// A request of the common kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is to be done.
    pub method: Method,
    /// Where in the bytes its path and query are.
    pub target: Range<usize>,
    /// Where its host is, a port perhaps among it.
    pub host: Range<usize>,
    /// What its body is.
    pub content: Content,
    /// Whether the client wants no other request on this connection.
    pub closes: bool,
    /// Whether a trusted proxy says that the client's own connection was TLS.
    pub came_by_tls: bool,
    /// How long the head is.
    pub end: usize,
}

/// Where a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// After so many bytes; often none.
    Length(u64),
    /// Where its last chunk says.
    Chunked,
}

impl Ask {
    /// Whether it may be sent twice: doing it twice is doing it once, and nothing comes after its head.
    pub fn may_repeat(&self) -> bool {
        self.method.is_idempotent() && self.content == Content::Length(0)
    }

    /// Its path among the bytes it was read from.
    pub fn path<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let target = &bytes[self.target.clone()];
        &target[..memchr(b'?', target).unwrap_or(target.len())]
    }
}

/// A method of the common kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// PATCH
    Patch,
    /// OPTIONS
    Options,
}

impl Method {
    fn parse(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"OPTIONS" => Self::Options,
            _ => return None,
        })
    }

    /// RFC 9110 §9.2.2.
    fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Whether its length is said also when that is nothing.
    fn takes_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// What backends are told about the connection a request came by, made once for all of its requests.
#[derive(Clone, Debug)]
pub struct Origin {
    client: Box<str>,
    /// Whether the client is a proxy that is believed.
    trusted: bool,
    /// Lines about the scheme, the port and the address, for a request that says nothing we believe.
    facts: [Box<str>; 3],
}

impl Origin {
    /// For a client at this address, which came to this port by `http` or `https`.
    pub fn new(client: &str, port: &str, scheme: &str, trusted: bool) -> Self {
        let facts = [
            format!("x-forwarded-proto: {scheme}\r\n"),
            format!("x-forwarded-port: {port}\r\n"),
            format!("x-real-ip: {client}\r\n"),
        ];
        Self { client: client.into(), trusted, facts: facts.map(Into::into) }
    }
}

/// Reads a head of at most `fields_max` fields at the beginning of `bytes`. If it is plain, `out` is it as a backend gets
/// it, the empty line included; otherwise what is in `out` is of no use.
pub fn read(bytes: &[u8], origin: &Origin, fields_max: usize, out: &mut Vec<u8>) -> Verdict {
    out.clear();
    let mut reading = Reading {
        bytes,
        at: 0,
        copied: 0,
        out,
        trusted: origin.trusted,
        host: None,
        content: None,
        closes: None,
        came_by_tls: None,
        has: [false; 4],
        forwarded_for: Vec::new(),
    };
    match reading.head(origin, fields_max) {
        Ok(ask) => Verdict::Plain(ask),
        Err(Stop::Partial) => Verdict::Partial,
        Err(Stop::Odd) => Verdict::Odd,
    }
}

/// Why reading ends early.
#[derive(Debug)]
enum Stop {
    Partial,
    Odd,
}

/// A head that is being read.
struct Reading<'b> {
    bytes: &'b [u8],
    /// Where the next line begins.
    at: usize,
    /// Up to where lines are in `out`, or left out.
    copied: usize,
    out: &'b mut Vec<u8>,
    trusted: bool,
    host: Option<Range<usize>>,
    content: Option<Content>,
    closes: Option<bool>,
    came_by_tls: Option<bool>,
    /// Whether a trusted proxy told the scheme, the port, the address and the host.
    has: [bool; 4],
    /// Who a trusted proxy says the request went through.
    forwarded_for: Vec<u8>,
}

impl Reading<'_> {
    fn head(&mut self, origin: &Origin, fields_max: usize) -> Result<Ask, Stop> {
        let (method, target) = self.request_line()?;
        let mut count = 0;
        loop {
            let start = self.at;
            let line = self.line()?;
            if line.is_empty() {
                self.copy(start);
                break;
            }
            count += 1;
            if count > fields_max {
                return Err(Stop::Odd);
            }
            if !self.field(line)? {
                self.copy(start);
                self.copied = self.at;
            }
        }
        let host = self.host.clone().ok_or(Stop::Odd)?;
        self.finish(method, &host, origin);
        Ok(Ask {
            method,
            target,
            host,
            content: self.content.unwrap_or(Content::Length(0)),
            closes: self.closes.unwrap_or(false),
            came_by_tls: self.came_by_tls.unwrap_or(false),
            end: self.at,
        })
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Range<usize>, Stop> {
        let rest = &self.bytes[self.at..];
        let Some(length) = memchr(b'\n', rest) else {
            // Nothing that begins like this becomes a request: TLS where none is spoken, for one.
            let may_become = self.at > 0 || rest.first().is_none_or(u8::is_ascii_uppercase);
            return Err(if may_become { Stop::Partial } else { Stop::Odd });
        };
        if length == 0 || rest[length - 1] != b'\r' {
            return Err(Stop::Odd);
        }
        let line = self.at..self.at + length - 1;
        self.at += length + 1;
        Ok(line)
    }

    /// Copies lines up to `end` that were not copied yet.
    fn copy(&mut self, end: usize) {
        self.out.extend_from_slice(&self.bytes[self.copied..end]);
    }

    fn request_line(&mut self) -> Result<(Method, Range<usize>), Stop> {
        let line = self.line()?;
        let text = &self.bytes[line.clone()];
        let space = text.iter().position(|byte| *byte == b' ').ok_or(Stop::Odd)?;
        let method = Method::parse(&text[..space]).ok_or(Stop::Odd)?;
        let target = text[space + 1..].strip_suffix(b" HTTP/1.1").ok_or(Stop::Odd)?;
        let is_path = target.first() == Some(&b'/') && all(target, &TARGET);
        let start = line.start + space + 1;
        is_path.then(|| (method, start..start + target.len())).ok_or(Stop::Odd)
    }

    /// Takes a field in; whether its line is passed on as it is.
    fn field(&mut self, line: Range<usize>) -> Result<bool, Stop> {
        let text = &self.bytes[line.clone()];
        let colon = text.iter().position(|byte| !NAME[usize::from(*byte)]).ok_or(Stop::Odd)?;
        let value = trimmed(&text[colon + 1..]);
        if colon == 0 || text[colon] != b':' || !is_value(value) {
            return Err(Stop::Odd);
        }
        match Field::named(&text[..colon]) {
            Field::Other | Field::Date => Ok(true),
            Field::Hop | Field::Proxy => Ok(false),
            Field::Seldom => Err(Stop::Odd),
            Field::Host => {
                let blanks = text[colon + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let start = line.start + colon + 1 + blanks;
                let is_first = self.host.replace(start..start + value.len()).is_none();
                (is_first && is_host(value)).then_some(true).ok_or(Stop::Odd)
            }
            Field::ContentLength => {
                let content = Content::Length(length(value).ok_or(Stop::Odd)?);
                self.content.replace(content).is_none().then_some(false).ok_or(Stop::Odd)
            }
            Field::TransferEncoding => {
                let is_first = self.content.replace(Content::Chunked).is_none();
                let is_chunked = value.eq_ignore_ascii_case(b"chunked");
                (is_first && is_chunked).then_some(false).ok_or(Stop::Odd)
            }
            Field::Connection => {
                let closes = value.eq_ignore_ascii_case(b"close");
                let is_common = closes || value.eq_ignore_ascii_case(b"keep-alive");
                let is_first = self.closes.replace(closes).is_none();
                (is_common && is_first).then_some(false).ok_or(Stop::Odd)
            }
            told => self.told(told, value),
        }
    }

    /// What a request says about where it came from: nothing, unless a trusted proxy says it.
    fn told(&mut self, field: Field, value: &[u8]) -> Result<bool, Stop> {
        if !self.trusted {
            return Ok(false);
        }
        match field {
            Field::ForwardedProto => {
                self.has[0] = true;
                self.came_by_tls.get_or_insert(value.eq_ignore_ascii_case(b"https"));
            }
            Field::ForwardedPort => self.has[1] = true,
            Field::RealIp => self.has[2] = true,
            Field::ForwardedHost => self.has[3] = true,
            Field::ForwardedFor if !value.is_ascii() => return Err(Stop::Odd),
            Field::ForwardedFor => {
                for token in tokens(value) {
                    self.forwarded_for.extend_from_slice(token);
                    self.forwarded_for.extend_from_slice(b", ");
                }
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Adds what a backend is told beside the client's own fields.
    fn finish(&mut self, method: Method, host: &Range<usize>, origin: &Origin) {
        match self.content.unwrap_or(Content::Length(0)) {
            Content::Length(0) if !method.takes_body() => {}
            // A vector takes everything.
            Content::Length(length) => drop(write!(self.out, "content-length: {length}\r\n")),
            Content::Chunked => self.out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        let host = &self.bytes[host.clone()];
        let out = &mut *self.out;
        out.extend_from_slice(b"x-forwarded-for: ");
        out.extend_from_slice(&self.forwarded_for);
        out.extend_from_slice(origin.client.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (fact, is_there) in origin.facts.iter().zip(self.has) {
            if !is_there {
                out.extend_from_slice(fact.as_bytes());
            }
        }
        if !self.has[3] {
            out.extend_from_slice(b"x-forwarded-host: ");
            out.extend_from_slice(host);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether this is a name or an IPv4 address, with a port or without.
fn is_host(value: &[u8]) -> bool {
    let (name, port) = match memchr(b':', value) {
        Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
        None => (value, None),
    };
    let is_port = |port: &[u8]| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    !name.is_empty() && all(name, &HOST) && port.is_none_or(is_port)
}
