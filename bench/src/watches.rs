//! One object that changes and many who watch it: what each event costs the server, and how late it comes.
//!
//! Each watcher has a connection of its own, as a program has; all of them are read by one thread of this process, so how
//! late an event comes includes that it is read after others. The CPU time is the server's own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::json;

use crate::connect::percentiles;
use crate::node::Node;
use crate::{api, millis, report};

/// Watchers.
const WATCHERS: usize = 1000;
/// Connections made at once.
const CONNECTS: usize = 50;
/// Events that come one after the other.
const PACED: usize = 100;
/// Events that come as fast as they are written.
const BURST: usize = 200;
/// Pause between two paced events.
const PAUSE: Duration = Duration::from_millis(50);
/// How long all events may take to arrive.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of text in the object.
const TEXT_BYTES: usize = 800;
/// What is watched.
const WATCH: &str =
    "/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Dwatched&resourceVersion=";

/// A watch that is open.
struct Watch {
    body: Body,
    /// Its connection lives as long as its client.
    _client: Client,
}

/// Slow changes, then many.
pub async fn measure(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let (node, _) = Node::start(kelson, data_dir)?;
    let client = node.client().await?;
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "watched" },
        "data": { "text": "x".repeat(TEXT_BYTES) } });
    api::create(&client, "configmaps", &object).await?;
    let version = version(&client).await?;
    let before = node.memory_mb()?;
    let opened = stream::iter(0..WATCHERS).map(|_| open(&node, &version)).buffer_unordered(CONNECTS);
    let watches: Vec<Watch> = opened.try_collect().await?;
    tokio::time::sleep(crate::SETTLE).await;
    let each = (node.memory_mb()? - before) * 1e3 / WATCHERS as f64;
    report(&format!("memory (PSS) a watcher on a connection of its own, of {WATCHERS}, KB"), each);

    let paced = format!("a change every {} ms, {WATCHERS} watchers", PAUSE.as_millis());
    let (watches, mut late, _) = fan_out(&node, &client, watches, PACED, PAUSE, &paced).await?;
    let (p50, p99) = percentiles(&mut late);
    println!("{paced}: write accepted → it is here, ms\tp50 {:.1}, p99 {:.1}", millis(p50), millis(p99));

    let burst = format!("{BURST} changes as fast as they are written, {WATCHERS} watchers");
    let (_, _, took) = fan_out(&node, &client, watches, BURST, Duration::ZERO, &burst).await?;
    report(&format!("{burst}: events/s"), (BURST * WATCHERS) as f64 / took.as_secs_f64());
    node.remove()
}

/// The object's version, from which on it is watched.
async fn version(client: &Client) -> anyhow::Result<String> {
    let body = api::get(client, "/api/v1/namespaces/default/configmaps/watched", "application/json").await?;
    let object: serde_json::Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
    Ok(object["metadata"]["resourceVersion"].as_str().context("an object has a version")?.to_owned())
}

async fn open(node: &Node, version: &str) -> anyhow::Result<Watch> {
    let client = node.client().await?;
    let body = api::get(&client, &format!("{WATCH}{version}"), "application/json").await?;
    Ok(Watch { body, _client: client })
}

impl Watch {
    /// Reads `count` events; when each was here whole.
    async fn read(mut self, count: usize) -> anyhow::Result<(Self, Vec<Instant>)> {
        let mut arrived = Vec::with_capacity(count);
        while arrived.len() < count {
            let Some(frame) = self.body.frame().await else {
                bail!("a watch ended after {} events", arrived.len())
            };
            let Ok(bytes) = frame.map_err(|error| anyhow::anyhow!("a watch failed: {error}"))?.into_data()
            else {
                continue;
            };
            let (ends, now) = (bytes.iter().filter(|byte| **byte == b'\n').count(), Instant::now());
            arrived.extend(std::iter::repeat_n(now, ends));
        }
        ensure!(arrived.len() == count, "{} events of {count} changes", arrived.len());
        Ok((self, arrived))
    }
}

/// Makes `count` changes while everybody watches, until everybody has them all: the watches, how late each event came
/// after its write was answered, how long all of it took. Reports the server's CPU time an event.
async fn fan_out(
    node: &Node,
    client: &Client,
    watches: Vec<Watch>,
    count: usize,
    pause: Duration,
    name: &str,
) -> anyhow::Result<(Vec<Watch>, Vec<Duration>, Duration)> {
    let (cpu, begin) = (node.cpu()?, Instant::now());
    let writes = async {
        let mut accepted = Vec::with_capacity(count);
        for number in 0..count {
            tokio::time::sleep(pause).await;
            let patch = json!({ "data": { "change": format!("{name} {number}") } });
            api::merge(client, "configmaps", "watched", &patch).await?;
            accepted.push(Instant::now());
        }
        anyhow::Ok(accepted)
    };
    let reads = try_join_all(watches.into_iter().map(|watch| watch.read(count)));
    let all = tokio::time::timeout(PATIENCE, async { tokio::try_join!(writes, reads) }).await;
    let (accepted, read) =
        all.with_context(|| format!("{name}: not everybody has every event after {PATIENCE:?}"))??;
    let took = begin.elapsed();
    let used = (node.cpu()? - cpu).as_secs_f64();
    report(&format!("{name}: µs of the server's CPU time an event"), used * 1e6 / (count * WATCHERS) as f64);
    let (watches, arrived): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let late = |arrived: &Vec<Instant>| -> Vec<Duration> {
        arrived.iter().zip(&accepted).map(|(here, then)| here.saturating_duration_since(*then)).collect()
    };
    Ok((watches, arrived.iter().flat_map(late).collect(), took))
}
