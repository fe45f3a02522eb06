//! A backend's response head, read by hyper's rules and written for a client in the same pass.
//!
//! Invariant: what the client is told of the body's length is what we read it by, never what the backend said beside it.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, ParserConfig, Response, Status};

use super::fields::{Field, length, tokens};

/// Most fields there is room for; bounds above it count as it.
pub const FIELDS_MAX: usize = 256;

/// Why what a backend said is no response.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The head is no HTTP.
    #[error("a response head is malformed")]
    Head(#[from] httparse::Error),
    /// It is longer than the bound.
    #[error("a response head is too long")]
    TooLong,
    /// It claims a status that there is not.
    #[error("a response has status {0}")]
    Status(u16),
    /// Its length is none, or several.
    #[error("a response has no one length")]
    Length,
    /// HTTP/1.0 knows no encodings.
    #[error("a response of HTTP/1.0 has a transfer encoding")]
    Encoding,
    /// It goes on as another protocol, which nobody asked for.
    #[error("the backend switched protocols unasked")]
    Switched,
    /// A chunk of its body is none.
    #[error("a chunk of a response is malformed")]
    Chunk,
}

/// Where a response's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(u64),
    /// Where its last chunk says.
    Chunked,
    /// Where the connection does.
    UntilClose,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status, of three digits.
    pub status: u16,
    /// How its body is read.
    pub framing: Framing,
    /// Whether the connection may carry another request after it.
    pub keeps: bool,
    /// How long the head is.
    pub end: usize,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not a whole head yet.
    Partial,
    /// A head so long that is only word on the way (1xx).
    Interim(usize),
    /// The response.
    Final(Answer),
}

/// What the client is to read.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// Whether it asked for a head alone.
    pub is_head: bool,
    /// Whether its connection ends with this response.
    pub closes: bool,
    /// Most fields a head may have.
    pub fields_max: usize,
}

/// Reads a head at the beginning of `bytes`. If it is final, it is added to `out` as the client gets it; `date` is asked
/// for when it has none.
pub fn read(
    bytes: &[u8],
    telling: Telling,
    out: &mut Vec<u8>,
    date: impl FnOnce() -> [u8; 29],
) -> Result<Heard, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let fields = &mut fields[..telling.fields_max.min(FIELDS_MAX)];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, fields)?;
    let Status::Complete(end) = parsed else { return Ok(Heard::Partial) };
    let status = response.code.unwrap_or_default();
    match status {
        0..100 | 1000.. => return Err(Malformed::Status(status)),
        101 => return Err(Malformed::Switched),
        100..200 => return Ok(Heard::Interim(end)),
        _ => {}
    }
    let is_old = response.version == Some(0);
    let start = out.len();
    let mut found = written(bytes, &response, status, &[], out);
    if !found.named.is_empty() {
        // Seldom: the connection's own fields may come before what says that they are.
        out.truncate(start);
        found = written(bytes, &response, status, &found.named, out);
    }
    let framing = found.framing(status, telling.is_head, is_old)?;
    found.told(framing, status, telling, out);
    if !found.is_dated {
        field(out, b"date", &date());
    }
    out.extend_from_slice(if telling.closes { b"connection: close\r\n\r\n" } else { b"\r\n" });
    Ok(Heard::Final(Answer { status, framing, keeps: !found.closes && !is_old, end }))
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// What a head says about framing and its connection.
#[derive(Default)]
struct Found<'h> {
    /// The length, if it is one.
    length: Option<Result<u64, Malformed>>,
    /// The length's own spelling is not kept; whether there is an encoding, and it is `chunked` in the end.
    chunked: Option<bool>,
    closes: bool,
    is_dated: bool,
    /// Fields that `Connection` names.
    named: Vec<&'h [u8]>,
}

/// Lines of a head that go on as they are: neighbours are copied at once.
struct Lines<'b> {
    bytes: &'b [u8],
    /// Those not copied yet.
    run: Range<usize>,
}

impl Lines<'_> {
    /// Adds a field's line; one that does not end as it should, and one that says nothing, is written anew.
    fn add(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let Some(line) = self.whole(name, value) else {
            self.copy(out);
            return field(out, name, value);
        };
        if line.start != self.run.end {
            self.copy(out);
            self.run.start = line.start;
        }
        self.run.end = line.end;
    }

    /// Where a field's line is, from its name to the line's end directly behind its value.
    fn whole(&self, name: &[u8], value: &[u8]) -> Option<Range<usize>> {
        let place = |part: &[u8]| (part.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize);
        let (start, end) = (place(name)?, place(value)?.checked_add(value.len())?);
        let is_whole = !value.is_empty() && start < end && self.bytes.get(end..)?.starts_with(b"\r\n");
        is_whole.then_some(start..end + 2)
    }

    fn copy(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[std::mem::take(&mut self.run)]);
    }
}

/// Writes a head up to its framing, without the fields of one connection alone and those `left_out`.
fn written<'h>(
    bytes: &[u8],
    response: &Response<'_, 'h>,
    status: u16,
    left_out: &[&[u8]],
    out: &mut Vec<u8>,
) -> Found<'h> {
    let mut found = Found::default();
    let mut lines = Lines { bytes, run: 0..0 };
    let digits = [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(response.reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for Header { name, value } in response.headers.iter() {
        let name = name.as_bytes();
        match Field::named(name) {
            Field::ContentLength => found.length(value),
            Field::TransferEncoding => {
                found.chunked =
                    Some(tokens(value).last().is_some_and(|it| it.eq_ignore_ascii_case(b"chunked")));
            }
            Field::Connection => found.connection(value),
            // Of these, in a response, only an upgrade's; and this is none.
            Field::Hop => {}
            Field::Seldom if name.eq_ignore_ascii_case(b"upgrade") => {}
            _ if left_out.iter().any(|other| other.eq_ignore_ascii_case(name)) => {}
            kind => {
                found.is_dated |= kind == Field::Date;
                lines.add(name, value, out);
            }
        }
    }
    lines.copy(out);
    found
}

impl<'h> Found<'h> {
    /// Several lengths are one if they are all the same.
    fn length(&mut self, value: &[u8]) {
        let mut lengths = value.split(|byte| *byte == b',').map(super::fields::trimmed).map(length);
        let first = lengths.next().flatten();
        let same = first.filter(|_| lengths.all(|other| other == first));
        self.length = Some(match (same, self.length.take()) {
            (Some(length), None) => Ok(length),
            (Some(length), Some(Ok(before))) if before == length => Ok(length),
            _ => Err(Malformed::Length),
        });
    }

    fn connection(&mut self, value: &'h [u8]) {
        for token in tokens(value) {
            match token {
                _ if token.eq_ignore_ascii_case(b"close") => self.closes = true,
                _ if token.eq_ignore_ascii_case(b"keep-alive") => {}
                _ => self.named.push(token),
            }
        }
    }

    /// RFC 9112 §6.3, as hyper has it.
    fn framing(&mut self, status: u16, is_head: bool, is_old: bool) -> Result<Framing, Malformed> {
        if is_head || matches!(status, 204 | 304) {
            return Ok(Framing::Nothing);
        }
        match (self.chunked, self.length.take()) {
            (Some(_), _) if is_old => Err(Malformed::Encoding),
            (Some(true), _) => Ok(Framing::Chunked),
            (Some(false), _) => Ok(Framing::UntilClose),
            (None, Some(length)) => length.map(Framing::Length),
            (None, None) => Ok(Framing::UntilClose),
        }
    }

    /// Tells the client how the body is framed, or how long it would be.
    fn told(&self, framing: Framing, status: u16, telling: Telling, out: &mut Vec<u8>) {
        match (framing, &self.length) {
            (Framing::Length(length), _) => told_length(length, out),
            (Framing::Chunked | Framing::UntilClose, _) => field(out, b"transfer-encoding", b"chunked"),
            (Framing::Nothing, Some(Ok(length)))
                if self.chunked.is_none() && status != 204 && (telling.is_head || status == 304) =>
            {
                told_length(*length, out);
            }
            (Framing::Nothing, _) => {}
        }
    }
}

fn told_length(mut length: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    field(out, b"content-length", &digits[at..]);
}
