//! Figures for bench/RESULTS.md: a pod from its creation to Running, alone and a hundred at once.

use crate::Case;
use crate::world::{World, is_ready};
use serde_json::json;
use std::time::{Duration, Instant};

pub fn all() -> Vec<(&'static str, Case)> {
    vec![
        ("one_pod", |world| Box::pin(one_pod(world))),
        ("a_hundred_pods", |world| Box::pin(a_hundred_pods(world))),
    ]
}

async fn one_pod(world: &mut World) {
    let mut took = Vec::new();
    for round in 0..20 {
        let name = format!("p{round}");
        let begun = Instant::now();
        world.create(&name, json!({"containers": [World::shell("exec sleep 1000")]})).await;
        world.running(&name).await;
        took.push(begun.elapsed());
        world.delete(&name, 0).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took.sort();
    println!("create to Running: p50 {:?}, least {:?}, most {:?}", took[10], took[0], took[19]);
}

async fn a_hundred_pods(world: &mut World) {
    let begun = Instant::now();
    for number in 0..100 {
        world.create(&format!("p{number}"), json!({"containers": [World::shell("exec sleep 1000")]})).await;
    }
    let created = begun.elapsed();
    let look = async {
        loop {
            let pods = world.pods().list(&Default::default()).await.expect("pods").items;
            if pods.iter().filter(|pod| is_ready(pod)).count() == 100 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("they all run");
    println!("100 pods: created in {created:?}, all Running after {:?}", begun.elapsed());
}
