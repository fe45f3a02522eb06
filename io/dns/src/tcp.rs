//! TCP: a task a client, its queries answered as they come, each preceded by its length (RFC 7766).
//!
//! Bounds: [`CLIENTS_MAX`] clients, the next wait in the kernel; [`WAITING_MAX`] of a client's questions wait for others at a
//! time; a client that says nothing for [`IDLE`] is let go, as is one that does not take its reply.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_process::Shutdown;
use kelson_zones::{TCP_REPLY_MAX, Transport, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::forward::Forwarder;
use crate::metrics::Shard;
use crate::serve::{Pending, Served, finish, serve};

/// Most clients at a time.
pub(crate) const CLIENTS_MAX: usize = 256;

/// Most questions of one client that wait for others; the next is not read until one is answered.
const WAITING_MAX: usize = 32;

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

/// Answers one client until it closes or falls silent. Cluster names are answered in order; a question for others waits
/// in a task of its own and holds up nobody (RFC 7766 §6.2.1.1).
async fn converse(stream: TcpStream, mut shared: Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let (mut query, mut reply) = (Vec::new(), vec![0; TCP_REPLY_MAX]);
    let mut waiting = JoinSet::new();
    while next_query(&mut reader, &mut query).await? {
        let began = Instant::now();
        let zone = shared.zone.borrow_and_update().clone();
        let random = kelson_process::random_u64();
        match serve(&zone, &query, Transport::Tcp, random, &mut reply, &shared.shard) {
            Served::Reply(length) => {
                send(&writer, &reply[..length]).await?;
                shared.shard.took(true, began.elapsed(), 1);
            }
            Served::Nothing => break,
            Served::Pending(pending) => {
                if waiting.len() >= WAITING_MAX {
                    waiting.join_next().await;
                }
                waiting.spawn(later(shared.clone(), query.clone(), pending, writer.clone()));
            }
        }
    }
    while waiting.join_next().await.is_some() {}
    Ok(())
}

/// Reads the next query; `false` when the client closed or said nothing for too long.
async fn next_query(reader: &mut OwnedReadHalf, query: &mut Vec<u8>) -> io::Result<bool> {
    let length = match timeout(IDLE, reader.read_u16()).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        Ok(length) => length?,
        Err(_) => return Ok(false),
    };
    query.resize(usize::from(length), 0);
    timeout(IDLE, reader.read_exact(query)).await??;
    Ok(true)
}

/// Asks others and sends what they say. When the client is gone, its reader finds out.
async fn later(shared: Shared, query: Vec<u8>, pending: Pending, writer: Arc<Mutex<OwnedWriteHalf>>) {
    let reply = finish(&shared.forwarder, &query, pending, Transport::Tcp, &shared.shard).await;
    if let Err(error) = send(&writer, &reply).await {
        tracing::trace!(%error, "DNS client gone");
    }
}

async fn send(writer: &Mutex<OwnedWriteHalf>, reply: &[u8]) -> io::Result<()> {
    let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], reply].concat();
    timeout(IDLE, async { writer.lock().await.write_all(&framed).await }).await?
}
