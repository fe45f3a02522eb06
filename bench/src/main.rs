//! Measures kelson from outside, as a user meets it. `bench/run` makes the namespace it runs in and names the part.
//!
//! Every figure is printed as `name<TAB>value`, medians with their extremes; nothing is asserted here.

mod api;
mod connect;
mod lists;
mod node;
mod pod_connect;
mod pods;
mod rollouts;
mod services;
mod watches;
mod writes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use node::Node;

/// Cold starts measured.
const STARTS: usize = 9;
/// Pods created one after another.
const SINGLE_PODS: usize = 20;
/// Pods created at once.
const MANY_PODS: usize = 100;
/// How often that many are.
const MANY_TIMES: usize = 3;
/// How long kelson is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);
/// Rollouts under load.
const ROLLOUTS: usize = 10;
/// Left alone after many writes, before anything is timed.
const SETTLE: Duration = Duration::from_secs(5);
/// What to say to wrong arguments.
const USAGE: &str = "usage: kelson-bench start|pods|services|connect|rollouts|lists|watches KELSON DATA-DIR, publish KUBECONFIG [FIRST..]END, or \
    writes KUBECONFIG|ADDRESS-OF-ETCD CLIENTS";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, first, second] = arguments.as_slice() else { bail!(USAGE) };
    let (kelson, data_dir) = (Path::new(first), PathBuf::from(second));
    match part.as_str() {
        "start" => start(kelson, &data_dir).await,
        "pods" => pods(kelson, &data_dir).await,
        "services" => services::measure(kelson, &data_dir).await,
        "connect" => pod_connect::measure(kelson, &data_dir).await,
        // What the pods of that part do.
        pod_connect::CLIENT => pod_connect::client(first, second),
        pod_connect::SERVER => pod_connect::server(),
        "rollouts" => rollouts(kelson, &data_dir).await,
        "lists" => lists::measure(kelson, &data_dir).await,
        "watches" => watches::measure(kelson, &data_dir).await,
        "writes" => writes::measure(first, second.parse().context(USAGE)?).await,
        "publish" => {
            let (first, end) = second.split_once("..").unwrap_or(("0", second));
            let numbers = first.parse().context(USAGE)?..end.parse().context(USAGE)?;
            services::timed_publish(&node::client_of(kelson).await?, numbers).await
        }
        _ => bail!(USAGE),
    }
}

/// From nothing to Ready, and what it then takes to do nothing.
async fn start(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    report("binary, MB", std::fs::metadata(kelson)?.len() as f64 / 1e6);
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (node, took) = Node::start(kelson, data_dir)?;
        starts.push(took);
        node.remove()?;
    }
    let (node, took) = Node::start(kelson, data_dir)?;
    starts.push(took);
    spread("start, from nothing to Ready and DNS answering, ms", &mut starts);
    tokio::time::sleep(IDLE).await;
    report("idle memory (PSS), MB", node.memory_mb()?);
    node.remove()
}

/// Pods one at a time, and many at once.
async fn pods(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    node::import_echo(kelson, data_dir)?;
    let (node, _) = Node::start(kelson, data_dir)?;
    let client = node.client().await?;
    let mut singles = Vec::new();
    for index in 0..SINGLE_PODS {
        singles.push(pods::create_until_running(&client, &format!("single-{index}")).await?);
    }
    spread("pod create → Running, one at a time, ms", &mut singles);
    pods::delete_all(&client).await?;
    let mut many = Vec::new();
    for _ in 0..MANY_TIMES {
        many.push(pods::deploy_until_running(&client, MANY_PODS).await?);
        report(&format!("memory (PSS) with {MANY_PODS} pods, MB"), node.memory_mb()?);
        pods::delete_deployment(&client).await?;
    }
    spread(&format!("{MANY_PODS} pods create → Running, ms"), &mut many);
    node.remove()
}

/// What a steady load loses while its servers are rolled over.
async fn rollouts(kelson: &Path, data_dir: &Path) -> anyhow::Result<()> {
    node::import_echo(kelson, data_dir)?;
    let (node, _) = Node::start(kelson, data_dir)?;
    let load = rollouts::under_load(&node.client().await?, kelson, ROLLOUTS).await?;
    report(
        &format!("requests lost in {ROLLOUTS} rollouts of four pods, of {}", load.requests),
        load.lost as f64,
    );
    report("request while rolling out, p99, ms", load.p99_ms);
    node.remove()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn report(name: &str, value: f64) {
    println!("{name}\t{value:.1}");
}

/// Prints the median and the extremes.
fn spread(name: &str, durations: &mut [Duration]) {
    durations.sort();
    let at = |index: usize| millis(durations[index]);
    let last = durations.len() - 1;
    println!("{name}\t{:.1} ({:.1} – {:.1}, n = {})", at(last / 2), at(0), at(last), durations.len());
}
