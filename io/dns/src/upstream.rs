//! Asking one upstream server one question: by UDP from a socket of its own, by TCP when the reply was cut.
//!
//! Each question has a random number and a port the kernel picked at random, and the socket is connected, so that a
//! stranger has to guess both and cannot answer from elsewhere. A reply that does not fit is passed over, not taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::message::{Question, Received, is_cut};

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest datagram taken, in bytes; we say that we take far less, so a longer one is no answer to us.
const DATAGRAM_MAX: usize = 4096;

/// Asks `server`; `None` when it does not answer in time or only nonsense.
pub(crate) async fn ask(server: SocketAddr, question: &Question) -> Option<Received> {
    let reply = timeout(PATIENCE, by_udp(server, question)).await.ok()?.ok()?;
    let reply =
        if is_cut(&reply) { timeout(PATIENCE, by_tcp(server, question)).await.ok()?.ok()? } else { reply };
    Received::read(reply, question)
}

async fn by_udp(server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let id = random_id();
    socket.send(&question.message(id)).await?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if question.is_answered_by(id, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let id = random_id();
    let message = question.message(id);
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if question.is_answered_by(id, &reply) { Ok(reply) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn random_id() -> u16 {
    let [a, b, ..] = kelson_process::random_u64().to_ne_bytes();
    u16::from_ne_bytes([a, b])
}
