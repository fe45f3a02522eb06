//! Real connections: servers in pods that say who they are and whom they see, and clients that ask.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use kelson_model::Protocol;

use crate::net::{Net, enter};

/// The port servers listen on.
pub const PORT: u16 = 8080;
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_millis(1500);
/// A refusal must come faster than this.
const AT_ONCE: Duration = Duration::from_millis(900);

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A server answered: its name, and the address it sees.
    Answered { server: String, peer: IpAddr },
    /// Refused at once.
    Refused,
    /// Nothing came back.
    Silence,
    /// The node's own datagram was stopped as it was sent: how Linux tells a UDP sender of a refusal or a drop.
    Stopped,
}

/// A kept connection.
pub struct Kept(TcpStream);

impl Kept {
    /// Whether the server at the other end still answers.
    pub fn answers(&mut self) -> bool {
        let mut byte = [0];
        self.0.write_all(b"x").is_ok() && self.0.read_exact(&mut byte).is_ok()
    }
}

impl Net {
    /// Starts a TCP and a UDP server called `name` in the namespace of that name. They end with the process.
    pub fn serve(&self, name: &str, address: &str) {
        let (path, name) = (format!("/run/netns/{}", self.full(name)), name.to_owned());
        let at = format!("{address}:{PORT}");
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            enter(&path);
            let (tcp, udp) = (TcpListener::bind(&at).unwrap(), UdpSocket::bind(&at).unwrap());
            ready.send(()).unwrap();
            let datagrams = name.clone();
            std::thread::spawn(move || serve_udp(&udp, &datagrams));
            for stream in tcp.incoming().flatten() {
                let name = name.clone();
                std::thread::spawn(move || serve_tcp(stream, &name));
            }
        });
        wait.recv().unwrap();
    }

    /// Opens one connection from the namespace `from` and hears what comes.
    pub fn ask(&self, from: &str, protocol: Protocol, to: SocketAddr) -> Outcome {
        self.ask_many(from, protocol, to, 1).remove(0)
    }

    /// Opens `count` connections, one after the other.
    pub fn ask_many(&self, from: &str, protocol: Protocol, to: SocketAddr, count: usize) -> Vec<Outcome> {
        self.inside(from, || (0..count).map(|_| ask(protocol, to)).collect())
    }

    /// Opens a TCP connection that stays.
    pub fn keep(&self, from: &str, to: SocketAddr) -> (String, Kept) {
        self.inside(from, || {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let greeting = read_line(&mut stream).unwrap();
            (parse(&greeting).0, Kept(stream))
        })
    }
}

fn ask(protocol: Protocol, to: SocketAddr) -> Outcome {
    let start = Instant::now();
    let answer = if protocol == Protocol::Udp { ask_udp(to) } else { ask_tcp(to) };
    match answer {
        Ok(line) => {
            let (server, peer) = parse(&line);
            Outcome::Answered { server, peer }
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            assert!(start.elapsed() < AT_ONCE, "refused only after {:?}", start.elapsed());
            Outcome::Refused
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Outcome::Stopped,
        Err(error) => {
            let silent = [ErrorKind::TimedOut, ErrorKind::WouldBlock];
            assert!(silent.contains(&error.kind()), "neither refused nor silent: {error}");
            Outcome::Silence
        }
    }
}

fn ask_tcp(to: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    read_line(&mut stream)
}

fn ask_udp(to: SocketAddr) -> std::io::Result<String> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    ask_from(&socket, to)
}

/// One datagram from a socket that may have asked before, and its answer.
pub fn ask_from(socket: &UdpSocket, to: SocketAddr) -> std::io::Result<String> {
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"?\n")?;
    let mut bytes = [0; 128];
    let length = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn serve_tcp(mut stream: TcpStream, name: &str) {
    let Ok(peer) = stream.peer_addr() else { return };
    let _ = stream.write_all(format!("{name} {}\n", peer.ip()).as_bytes());
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
}

fn serve_udp(socket: &UdpSocket, name: &str) {
    let mut bytes = [0; 16];
    while let Ok((_, peer)) = socket.recv_from(&mut bytes) {
        let _ = socket.send_to(format!("{name} {}\n", peer.ip()).as_bytes(), peer);
    }
}

fn read_line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn parse(line: &str) -> (String, IpAddr) {
    let (name, peer) = line.trim().split_once(' ').unwrap();
    (name.into(), peer.parse().unwrap())
}
