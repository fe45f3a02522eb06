//! connect() as a program calls it, timed alone: direct and through a ClusterIP in turn, so that both meet the same noise.
//!
//! The servers answer each connection with the last byte of their address and the client waits for it outside the timed
//! span, so no backlog overflows and the client knows who answered. Connections are reset at their end: no TIME_WAIT.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use socket2::{Domain, SockAddr, Socket, Type};

/// Where the servers listen.
pub const PORT: u16 = 8080;
/// Connections of each kind in one comparison.
const CONNECTS: usize = 4000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers connections to that address with its last byte, for as long as the process lives.
pub fn serve(address: Ipv4Addr) -> anyhow::Result<()> {
    let listener = TcpListener::bind((address, PORT))
        .with_context(|| format!("{address} is not of this namespace: bench/run adds it"))?;
    let byte = [address.octets()[3]];
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that has gone misses nothing.
            let _ = (&connection).write_all(&byte);
        }
    });
    Ok(())
}

/// One connection: how long connect() took, and who answered.
pub fn once(to: SocketAddrV4) -> anyhow::Result<(Duration, u8)> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    client.set_linger(Some(Duration::ZERO))?;
    let address = SockAddr::from(to);
    let begin = Instant::now();
    client.connect(&address)?;
    let took = begin.elapsed();
    let mut client = TcpStream::from(client);
    client.set_read_timeout(Some(PATIENCE))?;
    let mut byte = [0];
    client.read_exact(&mut byte)?;
    Ok((took, byte[0]))
}

/// Percentiles of connect() to `direct` and to `service` in turn: (p50, p99) of each.
pub fn compare(direct: SocketAddrV4, service: SocketAddrV4) -> anyhow::Result<[(Duration, Duration); 2]> {
    let (mut straight, mut through) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTS {
        straight.push(once(direct)?.0);
        through.push(once(service)?.0);
    }
    Ok([percentiles(&mut straight), percentiles(&mut through)])
}

/// The median and the 99th percentile.
pub fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
