//! SPDY/3.1 frames, as far as Kubernetes' streams use them. No I/O.
//!
//! Header blocks share one compression state a direction, so frames must pass [`Decoder`] and [`Encoder`] in the order
//! of the wire. Bounds: [`FRAME_MAX`] a frame, [`HEADERS_MAX`] a header block after decompression.

use super::dictionary::dictionary;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The longest frame taken; peers send 32 KiB.
pub const FRAME_MAX: usize = 1 << 20;
/// The longest header block.
const HEADERS_MAX: usize = 64 << 10;
pub const HEADER: usize = 8;

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const FIN: u8 = 1;
/// The stream's number without the reserved bit.
const NUMBER: u32 = 0x7fff_ffff;

/// Why a stream is refused or ended at once.
pub const REFUSED_STREAM: u32 = 3;
pub const CANCEL: u32 = 5;

pub type Headers = Vec<(String, String)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Open {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    Reply {
        stream: u32,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        fin: bool,
    },
    Reset {
        stream: u32,
        status: u32,
    },
    Ping {
        number: u32,
    },
    GoAway,
    /// Read and meaningless to us: settings, window updates, later headers.
    Other,
}

/// The peer does not speak SPDY/3.1, or too much of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("malformed SPDY: {0}")]
pub struct Malformed(&'static str);

/// How many bytes follow a frame's header.
pub fn length(header: &[u8; HEADER]) -> Result<usize, Malformed> {
    let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
    if length > FRAME_MAX { Err(Malformed("a frame is too long")) } else { Ok(length) }
}

fn number(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let part = bytes.get(at..at + 4).and_then(|part| part.first_chunk::<4>());
    part.map(|part| u32::from_be_bytes(*part)).ok_or(Malformed("a frame is too short"))
}

/// Reads frames.
pub struct Decoder(Decompress);

impl Decoder {
    pub fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// One frame: its header and the bytes after it.
    pub fn read(&mut self, header: &[u8; HEADER], body: Vec<u8>) -> Result<Frame, Malformed> {
        let first = number(header, 0)?;
        let fin = header[4] & FIN != 0;
        if first >> 31 == 0 {
            return Ok(Frame::Data { stream: first & NUMBER, bytes: body, fin });
        }
        if (first >> 16) as u16 & 0x7fff != VERSION {
            return Err(Malformed("not version 3"));
        }
        let stream = || number(&body, 0).map(|stream| stream & NUMBER);
        Ok(match first as u16 {
            SYN_STREAM => {
                let block = body.get(10..).ok_or(Malformed("a frame is too short"))?;
                Frame::Open { stream: stream()?, headers: self.headers(block)?, fin }
            }
            SYN_REPLY => {
                self.headers(body.get(4..).ok_or(Malformed("a frame is too short"))?)?;
                Frame::Reply { stream: stream()? }
            }
            HEADERS => {
                self.headers(body.get(4..).ok_or(Malformed("a frame is too short"))?)?;
                Frame::Other
            }
            RST_STREAM => Frame::Reset { stream: stream()?, status: number(&body, 4)? },
            PING => Frame::Ping { number: number(&body, 0)? },
            GOAWAY => Frame::GoAway,
            _ => Frame::Other,
        })
    }

    fn headers(&mut self, block: &[u8]) -> Result<Headers, Malformed> {
        let plain = self.inflate(block)?;
        let mut at = 4;
        let mut headers = Vec::new();
        let text = |at: &mut usize| -> Result<String, Malformed> {
            let length = number(&plain, *at)? as usize;
            let start = *at + 4;
            let bytes = start.checked_add(length).and_then(|end| plain.get(start..end));
            let bytes = bytes.ok_or(Malformed("a header is too short"))?;
            *at = start + length;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        for _ in 0..number(&plain, 0)? {
            // Each header takes at least eight bytes, so the count is bounded by the block.
            headers.push((text(&mut at)?.to_ascii_lowercase(), text(&mut at)?));
        }
        Ok(headers)
    }

    fn inflate(&mut self, mut block: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut plain = Vec::with_capacity(1024);
        loop {
            let before = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress_vec(block, &mut plain, FlushDecompress::Sync);
            block = &block[(self.0.total_in() - before.0) as usize..];
            match result {
                Ok(Status::Ok | Status::BufError) => {}
                Ok(Status::StreamEnd) => return Err(Malformed("the header stream ended")),
                Err(error) if error.needs_dictionary().is_some() => {
                    let set = self.0.set_dictionary(&dictionary());
                    set.map_err(|_| Malformed("headers are compressed with another dictionary"))?;
                    continue;
                }
                Err(_) => return Err(Malformed("headers do not decompress")),
            }
            if plain.len() > HEADERS_MAX {
                return Err(Malformed("headers are too long"));
            }
            let stuck = before == (self.0.total_in(), self.0.total_out());
            if stuck || block.is_empty() && plain.len() < plain.capacity() {
                return Ok(plain);
            }
            plain.reserve(1024);
        }
    }
}

/// Writes frames.
pub struct Encoder(Compress);

impl Encoder {
    pub fn new() -> Self {
        let mut compress = Compress::new(Compression::default(), true);
        compress.set_dictionary(&dictionary()).expect("a fresh stream takes a dictionary");
        Self(compress)
    }

    /// Appends a frame's bytes to `out`.
    pub fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        match frame {
            Frame::Data { stream, bytes, fin } => {
                out.extend_from_slice(&stream.to_be_bytes());
                out.extend_from_slice(&(u32::from(*fin) << 24 | bytes.len() as u32).to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Frame::Open { stream, headers, fin } => {
                let mut body = [&stream.to_be_bytes()[..], &[0; 6]].concat();
                body.extend(self.deflate(headers));
                control(SYN_STREAM, *fin, &body, out);
            }
            Frame::Reply { stream } => {
                let body = [&stream.to_be_bytes()[..], &self.deflate(&[])].concat();
                control(SYN_REPLY, false, &body, out);
            }
            Frame::Reset { stream, status } => {
                control(RST_STREAM, false, &[stream.to_be_bytes(), status.to_be_bytes()].concat(), out);
            }
            Frame::Ping { number } => control(PING, false, &number.to_be_bytes(), out),
            Frame::GoAway => control(GOAWAY, false, &[0; 8], out),
            Frame::Other => {}
        }
    }

    fn deflate(&mut self, headers: &[(String, String)]) -> Vec<u8> {
        let mut plain = (headers.len() as u32).to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        // Room for the block in one go: what zlib adds is far less.
        let mut block = Vec::with_capacity(plain.len() * 2 + 256);
        self.0
            .compress_vec(&plain, &mut block, FlushCompress::Sync)
            .expect("compressing into memory does not fail");
        block
    }
}

fn control(kind: u16, fin: bool, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(0x8000 | VERSION).to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(u32::from(fin) << 24 | body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Frame>, Malformed> {
        let mut frames = Vec::new();
        while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
            let length = length(header)?;
            let body = rest.get(..length).ok_or(Malformed("cut"))?;
            frames.push(decoder.read(header, body.to_vec())?);
            bytes = &rest[length..];
        }
        Ok(frames)
    }

    #[test]
    fn frames_there_and_back() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let frames = [
            Frame::Open {
                stream: 1,
                headers: vec![header("streamtype", "error"), header("port", "80")],
                fin: true,
            },
            Frame::Reply { stream: 1 },
            Frame::Open { stream: 3, headers: vec![header("port", &"x".repeat(5000))], fin: false },
            Frame::Data { stream: 3, bytes: b"hello".to_vec(), fin: false },
            Frame::Data { stream: 3, bytes: Vec::new(), fin: true },
            Frame::Reset { stream: 3, status: CANCEL },
            Frame::Ping { number: 7 },
            Frame::GoAway,
        ];
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        frames.iter().for_each(|frame| encoder.write(frame, &mut bytes));
        assert_eq!(read_all(&mut Decoder::new(), &bytes).unwrap(), frames);
        // Any cut or flipped byte is an error or another frame, never a panic.
        for at in 0..bytes.len().min(400) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x55;
            let _ = read_all(&mut Decoder::new(), &wrong);
            let _ = read_all(&mut Decoder::new(), &bytes[..at]);
        }
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(length(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff]), Err(Malformed("a frame is too long")));
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        let bomb = vec![("a".to_owned(), "b".repeat(HEADERS_MAX + 10_000))];
        encoder.write(&Frame::Open { stream: 1, headers: bomb, fin: false }, &mut bytes);
        assert_eq!(read_all(&mut Decoder::new(), &bytes), Err(Malformed("headers are too long")));
    }
}
