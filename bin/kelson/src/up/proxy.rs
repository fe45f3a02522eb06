//! The Service proxy of `kelson up`: the node's tables, its answers to balancers, and what it counts.

use std::sync::Arc;

use kelson_cluster::events::Recorder;
use kelson_model::{Acknowledged, NodeView, Snapshot};
use kelson_process::Shutdown;
use kelson_proxy::{Health, Metrics};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::Config;
use super::{figures, sockets};
use crate::{checks, proxy};

/// Starts it; what it has programmed.
pub async fn start(
    config: &Config,
    client: kube::Client,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    views: watch::Receiver<NodeView>,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<watch::Receiver<Acknowledged>> {
    let settings = kelson_proxy::Config { at_connect: sockets::place(config)?, ..Default::default() };
    let (tell, programmed) = watch::channel(Acknowledged::default());
    let metrics = Arc::new(Metrics::default());
    // A node of ours is always one to send to while it is up.
    let health = Health::follow(snapshots.clone(), programmed.clone(), watch::channel(true).1, tasks);
    let told = Recorder::start(client, checks::source(&config.node_name), shutdown.clone());
    tasks.spawn(checks::serve(snapshots.clone(), views.clone(), health.clone(), told, shutdown.clone()));
    tasks.spawn(kelson_proxy::run(settings, snapshots, views, tell, metrics.clone(), shutdown.clone()));
    figures::serve(
        config,
        "proxy",
        proxy::METRICS_PORT,
        proxy::pages::metrics(metrics, health),
        shutdown,
        tasks,
    )
    .await;
    Ok(programmed)
}
