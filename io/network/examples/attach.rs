//! How long it takes to attach and detach a pod, one after the other, in a network namespace of its own. Needs root.
//!
//! `cargo run --release -p kelson-network --example attach -- [pods]`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kelson_model::Cidr;
use kelson_network::{NetworkConfig, PodNetwork, netns};

fn main() {
    let pods = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let directory = PathBuf::from(format!("/run/kelson-attach-{}", std::process::id()));
    let node = directory.join("node");
    netns::create(&node).expect("root is needed");
    let paths: Vec<PathBuf> = (0..pods).map(|i: u32| directory.join(format!("p{i}"))).collect();
    let measured = netns::enter(&node, || measure(&directory, &paths));
    for path in paths.iter().chain([&node]) {
        let _ = netns::remove(path);
    }
    let _ = std::fs::remove_dir_all(&directory);
    for (what, times) in measured.expect("the namespace is there") {
        println!("{what}: p50 {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
    }
}

fn measure(directory: &Path, paths: &[PathBuf]) -> [(&'static str, Vec<Duration>); 3] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let range = |text| Cidr::parse(text).expect("a range");
        let config =
            NetworkConfig::new(directory.join("data"), range("10.244.0.0/16"), range("10.96.0.0/16"));
        let network = PodNetwork::open(config).await.expect("a pod network");
        let (mut made, mut attached, mut detached) = (Vec::new(), Vec::new(), Vec::new());
        for (number, path) in paths.iter().enumerate() {
            let began = Instant::now();
            netns::create(path).expect("a namespace");
            made.push(began.elapsed());
            let began = Instant::now();
            network.attach(&number.to_string(), path).await.expect("attached");
            attached.push(began.elapsed());
        }
        for number in 0..paths.len() {
            let began = Instant::now();
            network.detach(&number.to_string()).await.expect("detached");
            detached.push(began.elapsed());
        }
        [("namespace", made), ("attach", attached), ("detach", detached)].map(|(what, mut times)| {
            times.sort();
            (what, times)
        })
    })
}
