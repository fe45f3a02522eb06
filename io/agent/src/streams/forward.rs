//! port-forward: pairs of SPDY streams, each carried to a port of the pod.
//!
//! For every connection kubectl opens an `error` and a `data` stream with the same request id (spec I22). The data
//! stream is copied to the port and back; the error stream carries words if that fails, and otherwise only its end.

use super::spdy::{self, CANCEL, Stream};
use super::{Duplex, StreamBackend, Target};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Streams that wait for their partner.
const LONELY_MAX: usize = 64;
const CHUNK: usize = 32 << 10;

/// Serves a connection until the client closes it.
pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, backend: Arc<dyn StreamBackend>, target: Target) {
    let (opened, mut streams) = mpsc::channel::<Stream>(8);
    let target = Arc::new(target);
    let pair = async {
        let mut lonely: HashMap<(String, String), Stream> = HashMap::new();
        let mut copies = JoinSet::new();
        while let Some(stream) = streams.recv().await {
            while copies.try_join_next().is_some() {}
            let key = (stream.header("port").to_owned(), stream.header("requestid").to_owned());
            match lonely.remove(&key) {
                Some(other) if other.header("streamtype") != stream.header("streamtype") => {
                    let (data, error) =
                        if stream.header("streamtype") == "data" { (stream, other) } else { (other, stream) };
                    copies.spawn(carry(backend.clone(), target.clone(), data, error));
                }
                _ if lonely.len() < LONELY_MAX => drop(lonely.insert(key, stream)),
                _ => drop(stream.writer.reset(CANCEL).await),
            }
        }
        std::future::pending::<()>().await
    };
    tokio::select! {
        result = spdy::serve(io, opened) => {
            if let Err(error) = result {
                tracing::debug!(pod = target.pod, %error, "a port-forward ended");
            }
        }
        () = pair => {}
    }
}

async fn carry(backend: Arc<dyn StreamBackend>, target: Arc<Target>, mut data: Stream, error: Stream) {
    let port = data.header("port").to_owned();
    let result = match port.parse::<u16>().ok().filter(|port| *port > 0) {
        None => Err(format!("invalid port {port:?}")),
        Some(number) => match backend.dial(&target, number).await {
            Ok(connection) => copy(connection, &mut data).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.message),
        },
    };
    // The client may be gone: then nobody is left to tell.
    if let Err(why) = result {
        let words = format!("error forwarding port {port} to pod {}, uid : {why}", target.pod);
        let _ = error.writer.write(words.into_bytes()).await;
    }
    let _ = data.writer.finish().await;
    let _ = error.writer.finish().await;
}

/// Both ways until the pod closes its side; the client's end of file is passed on.
async fn copy(connection: Box<dyn Duplex>, data: &mut Stream) -> std::io::Result<()> {
    let (mut from_pod, mut to_pod) = tokio::io::split(connection);
    let writer = data.writer.clone();
    let back = async {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from_pod.read(&mut chunk).await? {
                0 => return Ok(()),
                count => writer.write(chunk[..count].to_vec()).await?,
            }
        }
    };
    let there = async {
        while let Some(bytes) = data.reader.recv().await {
            if to_pod.write_all(&bytes).await.is_err() {
                // The pod reads no more; what it still says is copied, what the client says is not.
                break;
            }
        }
        let _ = to_pod.shutdown().await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        result = back => result,
        () = there => Ok(()),
    }
}
