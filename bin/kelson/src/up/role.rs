//! The role of the machine that the control plane runs on, as a label of its Node: a node may not give itself one.
//!
//! Put back when it goes, as when the Node is made anew. Touches nothing else of the Node.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kelson_cluster::{Change, Selection, reflect};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// What `kubectl get nodes` shows as ROLES.
const LABEL: &str = "node-role.kubernetes.io/control-plane";

/// Whether the Node says that the control plane is on it.
pub fn is_marked(node: &Node) -> bool {
    node.metadata.labels.iter().flatten().any(|(key, _)| key == LABEL)
}

/// Keeps the label on the Node of this name, for ever.
pub async fn keep(client: kube::Client, name: String) {
    let api: Api<Node> = Api::all(client);
    let mut changes = pin!(reflect(api.clone(), Selection::fields(format!("metadata.name={name}"))));
    while let Some(change) = changes.next().await {
        let node: Option<Arc<Node>> = match change {
            Change::Reset(nodes) => nodes.into_iter().next(),
            Change::Applied(node) => Some(node),
            Change::Deleted(_) => None,
        };
        if node.is_none_or(|node| is_marked(&node)) {
            continue;
        }
        let patch = Patch::Merge(json!({"metadata": {"labels": {LABEL: ""}}}));
        if let Err(error) = api.patch_metadata(&name, &PatchParams::default(), &patch).await {
            tracing::warn!(node = name, %error, "cannot label the node as the control plane's");
        }
    }
}
