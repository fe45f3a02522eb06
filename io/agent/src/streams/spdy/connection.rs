//! One SPDY connection's server side: the client opens streams, both sides write to them.
//!
//! SPDY here has no flow control (the peers' library has none): a stream that is not read holds the whole connection up,
//! which is what bounds memory. At most [`STREAMS_MAX`] streams are open at a time.

use super::frames::{Decoder, Encoder, Frame, HEADER, Headers, REFUSED_STREAM, length};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Open streams; two a forwarded connection.
const STREAMS_MAX: usize = 1024;
/// Frames that may wait: for the client, and a stream's for its reader.
const WAITING: usize = 16;

/// A stream the client opened.
pub struct Stream {
    pub headers: Headers,
    pub reader: mpsc::Receiver<Vec<u8>>,
    pub writer: Writer,
}

/// The server's side of a stream. Clones write to the same stream.
#[derive(Clone)]
pub struct Writer {
    pub number: u32,
    frames: mpsc::Sender<Frame>,
}

impl Stream {
    /// A header's value; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl Writer {
    /// Fails only when the connection is over.
    pub async fn write(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.send(Frame::Data { stream: self.number, bytes, fin: false }).await
    }

    /// No more will be written.
    pub async fn finish(&self) -> io::Result<()> {
        self.send(Frame::Data { stream: self.number, bytes: Vec::new(), fin: true }).await
    }

    /// Ends both directions at once.
    pub async fn reset(&self, status: u32) -> io::Result<()> {
        self.send(Frame::Reset { stream: self.number, status }).await
    }

    async fn send(&self, frame: Frame) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

/// Serves the connection until the client closes it; streams come out of `opened`.
pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, opened: mpsc::Sender<Stream>) -> io::Result<()> {
    let (mut reading, writing) = tokio::io::split(io);
    let (frames, outgoing) = mpsc::channel(WAITING);
    let mut streams = Streams { decoder: Decoder::new(), open: HashMap::new(), frames, opened };
    let read = async {
        while let Some((header, body)) = next(&mut reading).await? {
            streams.take(&header, body).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = read => result,
        result = write(writing, outgoing) => result,
    }
}

async fn next(reading: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<([u8; HEADER], Vec<u8>)>> {
    let mut header = [0; HEADER];
    match reading.read_exact(&mut header).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    };
    let length = length(&header).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    let mut body = vec![0; length];
    reading.read_exact(&mut body).await?;
    Ok(Some((header, body)))
}

async fn write(mut writing: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Frame>) -> io::Result<()> {
    let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
    while let Some(frame) = outgoing.recv().await {
        encoder.write(&frame, &mut bytes);
        // What waits already goes out together.
        while let Ok(frame) = outgoing.try_recv() {
            encoder.write(&frame, &mut bytes);
        }
        writing.write_all(&bytes).await?;
        writing.flush().await?;
        bytes.clear();
    }
    Ok(())
}

struct Streams {
    decoder: Decoder,
    open: HashMap<u32, mpsc::Sender<Vec<u8>>>,
    frames: mpsc::Sender<Frame>,
    opened: mpsc::Sender<Stream>,
}

impl Streams {
    async fn take(&mut self, header: &[u8; HEADER], body: Vec<u8>) -> io::Result<()> {
        let frame =
            self.decoder.read(header, body).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        match frame {
            Frame::Open { stream, headers, fin } => self.open(stream, headers, fin).await,
            Frame::Data { stream, bytes, fin } => {
                if let Some(reader) = self.open.get(&stream).filter(|_| !bytes.is_empty()) {
                    // Nobody reads this stream: its bytes go nowhere.
                    let _ = reader.send(bytes).await;
                }
                if fin {
                    self.open.remove(&stream);
                }
                Ok(())
            }
            Frame::Reset { stream, .. } => {
                self.open.remove(&stream);
                Ok(())
            }
            Frame::Ping { number } => self.send(Frame::Ping { number }).await,
            Frame::Reply { .. } | Frame::GoAway | Frame::Other => Ok(()),
        }
    }

    async fn open(&mut self, stream: u32, headers: Headers, fin: bool) -> io::Result<()> {
        self.open.retain(|_, reader| !reader.is_closed());
        if self.open.len() >= STREAMS_MAX || self.open.contains_key(&stream) {
            return self.send(Frame::Reset { stream, status: REFUSED_STREAM }).await;
        }
        let (send, reader) = mpsc::channel(WAITING);
        if !fin {
            self.open.insert(stream, send);
        }
        self.send(Frame::Reply { stream }).await?;
        let writer = Writer { number: stream, frames: self.frames.clone() };
        let closed = |_| io::Error::from(ErrorKind::ConnectionAborted);
        self.opened.send(Stream { headers, reader, writer }).await.map_err(closed)
    }

    async fn send(&self, frame: Frame) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| ErrorKind::BrokenPipe.into())
    }
}
