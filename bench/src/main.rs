//! Measures kelson from outside, as a user meets it: start-up, memory, pods, rollouts. `bench/run` makes the namespace it runs in.
//!
//! Every figure is printed as `name<TAB>value`, medians with their extremes; nothing is asserted here.

mod node;
mod pods;
mod rollouts;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use node::Node;

/// Cold starts measured.
const STARTS: usize = 7;
/// Pods created one after another.
const SINGLE_PODS: usize = 20;
/// Pods created at once.
const MANY_PODS: usize = 100;
/// How long kelson is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);
/// Rollouts under load.
const ROLLOUTS: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let kelson = arguments.next().context("usage: kelson-bench KELSON DATA-DIR")?;
    let data_dir = arguments.next().context("usage: kelson-bench KELSON DATA-DIR")?;
    report("binary, MB", std::fs::metadata(&kelson)?.len() as f64 / 1e6);

    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (node, took) = Node::start(&kelson, &data_dir)?;
        starts.push(took);
        node.remove()?;
    }
    node::import_echo(&kelson, &data_dir)?;
    let (node, took) = Node::start(&kelson, &data_dir)?;
    starts.push(took);
    spread("start, from nothing to Ready and DNS answering, ms", &mut starts);

    tokio::time::sleep(IDLE).await;
    report("idle memory (PSS), MB", node.memory_mb()?);
    let client = node.client().await?;
    let mut singles = Vec::new();
    for index in 0..SINGLE_PODS {
        singles.push(pods::create_until_running(&client, &format!("single-{index}")).await?);
    }
    spread("pod create → Running, one at a time, ms", &mut singles);
    pods::delete_all(&client).await?;
    report(
        &format!("{MANY_PODS} pods create → Running, ms"),
        millis(pods::deploy_until_running(&client, MANY_PODS).await?),
    );
    report(&format!("memory (PSS) with {MANY_PODS} pods, MB"), node.memory_mb()?);
    pods::delete_deployment(&client).await?;
    let load = rollouts::under_load(&client, &kelson, ROLLOUTS).await?;
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
