//! The health checks of Services that balancers ask nodes about, of `kelson up` and of `kelson proxy` alike.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kelson_cluster::events::{Recorder, Severity, Source};
use kelson_model::{NodeView, ServiceName, Snapshot};
use kelson_process::Shutdown;
use kelson_proxy::Health;
use tokio::sync::watch;

/// Who tells of checks that cannot be served.
pub fn source(node: &str) -> Source {
    Source { component: "kube-proxy".to_owned(), host: Some(node.to_owned()) }
}

/// Serves them until `shutdown`; a port that cannot be opened becomes an Event of the Service (C8.3).
pub async fn serve(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    node: watch::Receiver<NodeView>,
    health: Health,
    told: Recorder,
    shutdown: Shutdown,
) {
    let name = node.borrow().name.clone();
    let complain = move |service: &ServiceName, port: u16, error: &std::io::Error| {
        tracing::warn!(%service, port, %error, "a Service's health check cannot be served");
        let why = format!("node {name} failed to start healthcheck \"{service}\" on port {port}: {error}");
        told.tell(reference(service), Severity::Warning, "FailedToStartServiceHealthcheck", why);
    };
    let healthy = Arc::new(move || health.report().healthy);
    kelson_proxy::serve_checks(snapshots, node, healthy, Box::new(complain), shutdown).await;
}

/// The Service by name alone: the data plane knows no more of it, and upstream's says no more either.
fn reference(service: &ServiceName) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        name: Some(service.name.to_string()),
        namespace: Some(service.namespace.to_string()),
        uid: Some(service.to_string()),
        ..ObjectReference::default()
    }
}
