//! TCP: a task a client, its queries answered in order, each preceded by its length (RFC 7766).
//!
//! Bounds: [`CLIENTS_MAX`] clients, the next wait in the kernel; a client that says nothing for [`IDLE`] is let go, as is
//! one that does not take its reply.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_process::Shutdown;
use kelson_zones::{TCP_REPLY_MAX, Transport, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::forward::Forwarder;
use crate::metrics::Shard;
use crate::serve::{Served, finish, serve};

/// Most clients at a time.
pub(crate) const CLIENTS_MAX: usize = 256;

/// How long a client may say nothing, or leave its reply.
const IDLE: Duration = Duration::from_secs(10);

/// What every client's task needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub zone: watch::Receiver<Arc<Zone>>,
    pub forwarder: Arc<Forwarder>,
    pub shard: Arc<Shard>,
    pub clients: Arc<Semaphore>,
    pub shutdown: Shutdown,
}

/// Accepts clients until shutdown.
pub(crate) async fn accept(listener: TcpListener, shared: Shared) {
    loop {
        let Ok(permit) = shared.clients.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a DNS client");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let shared = shared.clone();
        drop(tokio::spawn(async move {
            let shutdown = shared.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = converse(stream, shared) => {
                    if let Err(error) = ended {
                        tracing::trace!(%error, "DNS client gone");
                    }
                }
            }
            drop(permit);
        }));
    }
}

/// Answers one client until it closes or falls silent.
async fn converse(mut stream: TcpStream, mut shared: Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut query = Vec::new();
    let mut reply = vec![0; TCP_REPLY_MAX];
    loop {
        let Ok(length) = timeout(IDLE, stream.read_u16()).await else { return Ok(()) };
        query.resize(usize::from(length?), 0);
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        let began = Instant::now();
        let zone = shared.zone.borrow_and_update().clone();
        let random = kelson_process::random_u64();
        let later;
        let bytes = match serve(&zone, &query, Transport::Tcp, random, &mut reply, &shared.shard) {
            Served::Reply(length) => &reply[..length],
            Served::Nothing => return Ok(()),
            Served::Pending(pending) => {
                later = finish(&shared.forwarder, &query, pending, Transport::Tcp, &shared.shard).await;
                &later
            }
        };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], bytes].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
        shared.shard.took(began.elapsed(), 1);
    }
}
