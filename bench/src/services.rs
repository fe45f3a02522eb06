//! Many Services: connect() through one of 10, 1,000 and 30,000, and how soon a change of endpoints is felt among 10,000.
//!
//! Services have no selector and EndpointSlices made here, three endpoints each, written through the API as any client's.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::connect::{self, PORT};
use crate::node::Node;
use crate::report;

/// The two servers that answer; `bench/run` gives the namespace their addresses.
const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
/// Numbers of Services that connect() is measured at.
const SIZES: [u32; 3] = [10, 1_000, 30_000];
/// The number at which one endpoint changes.
const CHANGED_AT: u32 = 10_000;
/// Changes measured.
const CHANGES: usize = 500;
/// Pause between two of them: nobody's writes are back to back.
const PAUSE: Duration = Duration::from_millis(10);
/// Writes under way at once.
const WRITES: usize = 32;
/// How long a change may take until it is felt.
const PATIENCE: Duration = Duration::from_secs(60);
/// Left alone after many writes, before anything is timed.
const SETTLE: Duration = Duration::from_secs(5);

/// Everything of this part, on one cluster that grows.
pub async fn measure(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    SERVERS.into_iter().try_for_each(connect::serve)?;
    let bare = connect::compare(direct(), direct())?[1];
    micros("connect() direct, without kelson", bare);
    let (node, _) = Node::start(kelson, data_dir)?;
    let client = node.client().await?;
    let mut published = 0;
    for size in SIZES {
        if published < CHANGED_AT && CHANGED_AT < size {
            timed_publish(&client, published..CHANGED_AT).await?;
            published = CHANGED_AT;
            change(&client).await?;
        }
        timed_publish(&client, published..size).await?;
        published = size;
        compare(&client, size).await?;
    }
    report(&format!("memory (PSS) with {published} Services, MB"), node.memory_mb()?);
    node.remove()
}

/// [`publish`], and how many writes a second that was.
pub async fn timed_publish(client: &Client, numbers: Range<u32>) -> anyhow::Result<()> {
    let (count, begin) = (numbers.len(), Instant::now());
    publish(client, numbers).await?;
    let rate = 2.0 * count as f64 / begin.elapsed().as_secs_f64();
    report(&format!("writes/s through the API, {count} Services and their slices"), rate);
    Ok(())
}

/// Makes the Services of these numbers, three endpoints each.
async fn publish(client: &Client, numbers: Range<u32>) -> anyhow::Result<()> {
    let made = stream::iter(numbers).map(|n| async move {
        let endpoints: Vec<Ipv4Addr> = (0..3).map(|e| Ipv4Addr::from(0x0ac8_0000 + n * 3 + e)).collect();
        create(client, &format!("svc{n}"), &endpoints).await
    });
    made.buffer_unordered(WRITES).try_for_each(|_| async { Ok(()) }).await
}

/// Makes one Service with these endpoints; its ClusterIP.
async fn create(client: &Client, name: &str, endpoints: &[Ipv4Addr]) -> anyhow::Result<Ipv4Addr> {
    let service =
        json!({ "metadata": { "name": name }, "spec": { "ports": [{ "port": 80, "targetPort": PORT }] } });
    let slice = json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4", "ports": [{ "name": "", "port": PORT, "protocol": "TCP" }],
        "endpoints": as_endpoints(endpoints),
    });
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let slices: Api<EndpointSlice> = Api::default_namespaced(client.clone());
    let service = services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    slices.create(&PostParams::default(), &serde_json::from_value(slice)?).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service gets an address")?;
    Ok(address.parse()?)
}

fn as_endpoints(addresses: &[Ipv4Addr]) -> Value {
    addresses
        .iter()
        .map(|address| json!({ "addresses": [address], "conditions": { "ready": true } }))
        .collect()
}

/// connect() direct and through the youngest of so many Services.
async fn compare(client: &Client, size: u32) -> anyhow::Result<()> {
    let address = create(client, &format!("probe-{size}"), &SERVERS[..1]).await?;
    let service = SocketAddrV4::new(address, 80);
    until_answered_by(service, SERVERS[0])?;
    tokio::time::sleep(SETTLE).await;
    let [straight, through] = connect::compare(direct(), service)?;
    micros(&format!("connect() direct, at {size} Services"), straight);
    micros(&format!("connect() through a ClusterIP, at {size} Services"), through);
    let ratio = through.0.as_secs_f64() / straight.0.as_secs_f64();
    println!("connect() through a ClusterIP ÷ direct, at {size} Services, p50\t{ratio:.2}");
    Ok(())
}

/// The endpoint of one Service moves to and fro: from the answer to the write until a new connection lands there.
async fn change(client: &Client) -> anyhow::Result<()> {
    let service = SocketAddrV4::new(create(client, "moving", &SERVERS[..1]).await?, 80);
    until_answered_by(service, SERVERS[0])?;
    tokio::time::sleep(SETTLE).await;
    let slices: Api<EndpointSlice> = Api::default_namespaced(client.clone());
    let (mut asked, mut accepted) = (Vec::new(), Vec::new());
    for turn in 0..CHANGES {
        let server = SERVERS[(turn + 1) % 2];
        let patch = Patch::Merge(json!({ "endpoints": as_endpoints(&[server]) }));
        let request = Instant::now();
        slices.patch("moving", &PatchParams::default(), &patch).await?;
        let answer = Instant::now();
        until_answered_by(service, server)?;
        asked.push(request.elapsed());
        accepted.push(answer.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    let what = format!("one endpoint changes among {CHANGED_AT} Services");
    micros(&format!("{what}: write accepted → new connection lands"), connect::percentiles(&mut accepted));
    micros(&format!("{what}: request sent → new connection lands"), connect::percentiles(&mut asked));
    Ok(())
}

/// Connects until that server answers.
fn until_answered_by(service: SocketAddrV4, server: Ipv4Addr) -> anyhow::Result<()> {
    let begin = Instant::now();
    // Until it is programmed, an attempt may be refused.
    while connect::once(service).ok().map(|(_, byte)| byte) != Some(server.octets()[3]) {
        ensure!(begin.elapsed() < PATIENCE, "{service} is not answered by {server}");
    }
    Ok(())
}

fn direct() -> SocketAddrV4 {
    SocketAddrV4::new(SERVERS[0], PORT)
}

/// Prints the median and the 99th percentile.
pub fn micros(name: &str, (p50, p99): (Duration, Duration)) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("{name}, µs\tp50 {:.1}, p99 {:.1}", micros(p50), micros(p99));
}
