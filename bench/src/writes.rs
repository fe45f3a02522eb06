//! Durable writes of a kilobyte: through kelson's API as clients make them, and into etcd over its own protocol.
//!
//! Every client has a connection of its own and one write under way, for [`MEASURED`] after [`WARM_UP`]. Each write is a
//! new key; nothing is answered before it is on disk, on either side.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{api, node};

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long it counts.
const MEASURED: Duration = Duration::from_secs(5);
/// Bytes of text in a ConfigMap; with the rest of the object, about a kilobyte.
const TEXT_BYTES: usize = 800;

/// Where writes go.
enum Target {
    Kelson(kube::Client),
    Etcd(SendRequest<Full<Bytes>>),
}

/// `clients` write to what `target` names, a kubeconfig or etcd's address: the rate and the 99th percentile, tab between.
pub async fn measure(target: &str, clients: usize) -> anyhow::Result<()> {
    let begin = Instant::now();
    let run = std::process::id();
    let loads = (0..clients).map(|client| async move {
        let mut target = Target::open(target).await?;
        load(&mut target, &format!("bench-{run}-{client}"), begin).await
    });
    let mut times: Vec<Duration> = try_join_all(loads).await?.concat();
    ensure!(!times.is_empty(), "no write was answered in {MEASURED:?}");
    let rate = times.len() as f64 / MEASURED.as_secs_f64();
    let (_, p99) = crate::connect::percentiles(&mut times);
    println!("{rate:.0}\t{:.0}", p99.as_secs_f64() * 1e6);
    Ok(())
}

/// One write after the other; how long each took that was answered while it counts.
async fn load(target: &mut Target, name: &str, begin: Instant) -> anyhow::Result<Vec<Duration>> {
    let (from, until) = (begin + WARM_UP, begin + WARM_UP + MEASURED);
    let mut times = Vec::new();
    for number in 0_u64.. {
        let write = Instant::now();
        if write >= until {
            break;
        }
        target.write(&format!("{name}-{number}")).await?;
        if (from..until).contains(&Instant::now()) {
            times.push(write.elapsed());
        }
    }
    Ok(times)
}

impl Target {
    async fn open(target: &str) -> anyhow::Result<Self> {
        let Ok(address) = target.parse::<SocketAddr>() else {
            return Ok(Self::Kelson(node::client_of(Path::new(target)).await?));
        };
        let stream = TcpStream::connect(address).await.with_context(|| format!("no etcd at {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // Its end shows in the request that fails.
        drop(tokio::spawn(connection));
        Ok(Self::Etcd(sender))
    }

    async fn write(&mut self, name: &str) -> anyhow::Result<()> {
        let object = json!({ "kind": "ConfigMap", "apiVersion": "v1", "metadata": { "name": name, "namespace": "default" },
            "data": { "text": "x".repeat(TEXT_BYTES) } });
        match self {
            Self::Kelson(client) => api::create(client, "configmaps", &object).await,
            Self::Etcd(sender) => {
                put(sender, &format!("/registry/configmaps/default/{name}"), object.to_string().as_bytes())
                    .await
            }
        }
    }
}

/// `etcdserverpb.KV/Put` of a key and a value.
async fn put(sender: &mut SendRequest<Full<Bytes>>, key: &str, value: &[u8]) -> anyhow::Result<()> {
    let mut message = Vec::new();
    for (number, bytes) in [(1, key.as_bytes()), (2, value)] {
        message.push(number << 3 | 2);
        message.extend(varint(bytes.len()));
        message.extend_from_slice(bytes);
    }
    let length = u32::try_from(message.len())?.to_be_bytes();
    let request = Request::post("http://etcd/etcdserverpb.KV/Put")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from([&[0][..], &length, &message].concat()))?;
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let head = answer.headers().clone();
    let body = answer.into_body().collect().await?;
    // An error without a message comes in the head alone.
    let told = body.trailers().and_then(status).or_else(|| status(&head));
    ensure!(told == Some("0"), "etcd answered with status {told:?}");
    Ok(())
}

fn status(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status")?.to_str().ok()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::varint;

    #[test]
    fn lengths_as_protobuf_has_them() {
        let check = |number, expected: &[u8]| assert_eq!(varint(number), expected);
        check(0, &[0]);
        check(127, &[127]);
        check(300, &[0xac, 2]);
    }
}
