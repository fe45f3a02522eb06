//! The node: runs the pods that are bound to it, tells the API what became of them, and serves the kubelet API.
//!
//! `kelson_pods` decides what happens to a pod; this crate observes, carries the actions out and writes the status.
//! [`pods`] follows the API and keeps a [`task`] a pod; [`jobs`] are what takes time; [`node`] keeps the Node object.
//! Invariants: a pod that runs is never stopped because the API is away or because kelson restarts; one writer a pod.
//! It knows nothing of Services beyond the environment variables pods get.

mod backend;
mod capacity;
mod cgroup;
mod command;
mod config;
mod container;
mod credentials;
mod destroy;
mod error;
mod events;
mod hooks;
mod host;
mod jobs;
mod labels;
mod node;
mod objects;
mod paths;
mod pods;
mod pressure;
mod probes;
mod reclaim;
mod routes;
mod sandbox;
mod services;
mod status;
pub mod streams;
mod task;
mod tokens;
mod volumes;

pub use cgroup::pods_cgroup;
pub use config::{AgentConfig, EVICTION_HARD};
pub use destroy::destroy;
pub use error::AgentError;
pub use kelson_pods::pressure::Thresholds;
pub use node::VERSION;
pub use routes::Routes;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use host::Host;
use kelson_process::Shutdown;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// One node at work; dropping it does not stop its pods.
pub struct Agent {
    host: Arc<Host>,
    directory: pods::Directory,
    registered: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Agent {
    /// Opens what the node has, adopts the pods that still run, and works until `shutdown`. Does not wait for the API.
    pub async fn start(
        config: AgentConfig,
        client: kube::Client,
        shutdown: Shutdown,
    ) -> Result<Agent, AgentError> {
        let (services_tell, services) = watch::channel(None);
        let recorder = events::Recorder::start(client.clone(), &config.node_name, shutdown.clone());
        let host = Arc::new(Host::open(config, client.clone(), recorder, services).await?);
        let left = host.runtime.list().await?;
        if !left.is_empty() {
            tracing::info!(pods = left.len(), "found pods that still run");
        }
        let (registered_tell, registered) = watch::channel(false);
        let directory = pods::Directory::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(until(shutdown.clone(), services::follow(client, services_tell)));
        let node = host.clone();
        tasks.spawn(until(shutdown.clone(), async move { node::run(&node, registered_tell).await }));
        if let Some(routes) = host.config.routes.clone() {
            let host = host.clone();
            let follow = async move { routes::follow(routes, &host.config.node_name, &host.left).await };
            tasks.spawn(until(shutdown.clone(), follow));
        }
        tasks.spawn(until(shutdown.clone(), pressure::run(host.clone(), directory.clone())));
        tasks.spawn(pods::run(host.clone(), left, directory.clone(), shutdown));
        Ok(Agent { host, directory, registered, tasks })
    }

    /// The kubelet API: `/healthz`, `/pods`, and logs, exec, attach and port-forward.
    pub fn router(&self) -> Router {
        let directory = self.directory.clone();
        let list = move || async move {
            let items = directory.pods();
            let list =
                serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
            ([(CONTENT_TYPE, "application/json")], list.to_string())
        };
        let backend = backend::Backend { host: self.host.clone(), directory: self.directory.clone() };
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/pods", get(list))
            .merge(streams::router(Arc::new(backend)))
    }

    /// Removes the data of this node's volumes whose claims are gone, and the volumes; `client` may do what upstream's
    /// `system:persistent-volume-provisioner` may, which a node may not.
    pub fn reclaim_volumes(&mut self, client: kube::Client, shutdown: Shutdown) {
        let (host, directory) = (self.host.clone(), self.directory.clone());
        let work = async move { reclaim::run(&host, &client, &directory).await };
        self.tasks.spawn(until(shutdown, work));
    }

    /// Waits until the API has the node and its lease.
    pub async fn registered(&self) {
        // A sender that is gone means shutdown: there is nothing to wait for.
        let _ = self.registered.clone().wait_for(|registered| *registered).await;
    }

    /// The pod network, for who gives the node further addresses.
    pub fn network(&self) -> &kelson_network::PodNetwork {
        &self.host.network
    }

    /// Ends when every task has ended, after `shutdown` was triggered. Pods stay.
    pub async fn finished(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn until(shutdown: Shutdown, work: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}
