//! Events about pods and the node, signed as upstream's nodes sign them.

use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};
use kelson_cluster::events::Source;
use kelson_plans::Severity as Told;
use kelson_pods::{Reason, Severity};
use kelson_process::Shutdown;

/// What `kubectl describe` shows under `From`.
const COMPONENT: &str = "kubelet";

/// Takes events and never waits; clones share the queue.
#[derive(Clone)]
pub struct Recorder(kelson_cluster::events::Recorder);

impl Recorder {
    /// Writes what it takes until `shutdown`.
    pub fn start(client: kube::Client, node: &str, shutdown: Shutdown) -> Recorder {
        let source = Source { component: COMPONENT.to_owned(), host: Some(node.to_owned()) };
        Recorder(kelson_cluster::events::Recorder::start(client, source, shutdown))
    }

    /// Records an event about a pod.
    pub fn record(&self, pod: &Pod, reason: Reason) {
        let about = ObjectReference {
            kind: Some("Pod".to_owned()),
            api_version: Some("v1".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: reason.field_path.clone(),
        };
        self.tell(about, reason.severity, reason.reason, reason.message);
    }

    /// Records an event about the node.
    pub fn record_node(&self, node: &Node, reason: &'static str, message: String) {
        self.of_node(node, Severity::Normal, reason, message);
    }

    /// Records bad news about the node.
    pub fn warn_node(&self, node: &Node, reason: &'static str, message: String) {
        self.of_node(node, Severity::Warning, reason, message);
    }

    /// Upstream gives the node's name for the uid.
    fn of_node(&self, node: &Node, severity: Severity, reason: &'static str, message: String) {
        let about = ObjectReference {
            kind: Some("Node".to_owned()),
            name: node.metadata.name.clone(),
            uid: node.metadata.name.clone(),
            ..ObjectReference::default()
        };
        self.tell(about, severity, reason, message);
    }

    fn tell(&self, about: ObjectReference, severity: Severity, reason: &'static str, message: String) {
        let severity = match severity {
            Severity::Normal => Told::Normal,
            Severity::Warning => Told::Warning,
        };
        self.0.tell(about, severity, reason, message);
    }
}
