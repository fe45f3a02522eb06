//! A chunked body, taken apart as it comes (RFC 9112 §7.1): its content is handed out, its sizes, extensions and trailing
//! fields are read and end here.
//!
//! Invariant: content is handed out only behind a size of hexadecimal digits whose line ends in `\r\n`, and the next size
//! is read only behind the content's own `\r\n`.

use super::answer::Malformed;

/// Most bytes of extensions, and of trailing fields, in one body.
const EXTRA_MAX: usize = 16 << 10;

/// How much of the largest chunk's size has digits.
const DIGITS_MAX: u8 = 15;

/// How far a body has come.
#[derive(Clone, Debug)]
pub struct Chunks {
    state: State,
    /// Of the size being read, or the content still to come.
    left: u64,
    digits: u8,
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// Blanks behind the size.
    Blank,
    Extension,
    SizeEnd,
    Content,
    ContentCr,
    ContentLf,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    TrailerLine,
    TrailerLf,
    LastLf,
    Done,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size, left: 0, digits: 0, extra: 0 }
    }
}

impl Chunks {
    /// Whether the body has come to its end.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on: how many of `bytes` are done with, and the content that the last of them are, if they are any. To be
    /// called again with the rest until nothing is done with.
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, &'b [u8]), Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Content {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.left -= here as u64;
                if self.left == 0 {
                    self.state = State::ContentCr;
                }
                return Ok((at + here, &bytes[at..at + here]));
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Ok((at, &[]))
    }

    /// What comes after a byte that is no content.
    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < DIGITS_MAX => {
                self.digits += 1;
                self.left = self.left << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                Ok(State::Size)
            }
            (State::Size | State::Blank, _) if self.digits == 0 => Err(Malformed::Chunk),
            (State::Size | State::Blank, b' ' | b'\t') => self.counted(State::Blank),
            (State::Size | State::Blank, b';') => self.counted(State::Extension),
            (State::Size | State::Blank | State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Extension, byte) if byte != b'\n' => self.counted(State::Extension),
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { State::Trailer } else { State::Content })
            }
            (State::ContentCr, b'\r') => Ok(State::ContentLf),
            (State::ContentLf, b'\n') => Ok(State::Size),
            (State::Trailer, b'\r') => Ok(State::LastLf),
            (State::Trailer | State::TrailerLine, byte) if !matches!(byte, b'\r' | b'\n') => {
                self.counted(State::TrailerLine)
            }
            (State::TrailerLine, b'\r') => self.counted(State::TrailerLf),
            (State::TrailerLf, b'\n') => Ok(State::Trailer),
            (State::LastLf, b'\n') => Ok(State::Done),
            _ => Err(Malformed::Chunk),
        }
    }

    fn counted(&mut self, next: State) -> Result<State, Malformed> {
        self.extra += 1;
        if self.extra > EXTRA_MAX { Err(Malformed::Chunk) } else { Ok(next) }
    }
}

/// Adds `content` to `out` as a chunk; nothing for nothing, which would be the last.
pub fn write(content: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    if content.is_empty() {
        return;
    }
    let digits = (usize::BITS - content.len().leading_zeros()).div_ceil(4);
    out.reserve(content.len() + 20);
    out.extend((0..digits).rev().map(|digit| HEX[content.len() >> (digit * 4) & 15]));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

/// What ends a chunked body.
pub const LAST: &[u8] = b"0\r\n\r\n";
