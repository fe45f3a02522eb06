//! The node as the data plane sees it: its addresses from the kernel, its zone from its Node object, and whether
//! balancers should still send to it.

use std::net::IpAddr;

use anyhow::Context;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kelson_cluster::{Change, Selection, reflect};
use kelson_model::NodeView;
use kelson_network::{Follower, NodeLinks};
use kelson_process::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Config;

const ZONE: &str = "topology.kubernetes.io/zone";
/// Set by the cluster autoscaler on a node that is about to go (C8.4).
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// What is followed of the node.
pub struct Followed {
    pub view: watch::Receiver<NodeView>,
    /// False once the node is on its way out.
    pub eligible: watch::Receiver<bool>,
}

/// Follows the node's addresses and its object until `shutdown`.
pub async fn follow(
    config: &Config,
    client: kube::Client,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Followed> {
    let (follower, mut links) = Follower::start().await.context("listing this node's links")?;
    let addresses = |links: &NodeLinks| links.addresses.iter().copied().collect::<Vec<IpAddr>>();
    let (tell_view, view) = watch::channel(NodeView {
        name: config.node_name.as_str().into(),
        addresses: addresses(&links.borrow_and_update()),
        zone: None,
        service_cidrs: config.service_cidrs.clone(),
        pod_cidrs: config.pod_cidrs.clone(),
        // The pod network is another's, and so are the host ports of its pods.
        host_ports: Default::default(),
    });
    let (tell_eligible, eligible) = watch::channel(true);
    let (name, shutdown) = (config.node_name.clone(), shutdown.clone());
    tasks.spawn(async move {
        let kernel = async {
            while links.changed().await.is_ok() {
                let now = addresses(&links.borrow_and_update());
                tell_view.send_if_modified(|view| std::mem::replace(&mut view.addresses, now.clone()) != now);
            }
        };
        let object = follow_object(client, &name, &tell_view, &tell_eligible);
        let following = async { tokio::join!(follower.run(), kernel, object) };
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = following => {}
        }
    });
    Ok(Followed { view, eligible })
}

async fn follow_object(
    client: kube::Client,
    name: &str,
    view: &watch::Sender<NodeView>,
    eligible: &watch::Sender<bool>,
) {
    let selection = Selection::fields(format!("metadata.name={name}"));
    let mut changes = std::pin::pin!(reflect(kube::Api::<Node>::all(client), selection));
    while let Some(change) = changes.next().await {
        let node = match change {
            Change::Reset(nodes) => nodes.into_iter().next(),
            Change::Applied(node) => Some(node),
            Change::Deleted(_) => None,
        };
        let Some(node) = node else { continue };
        let zone = node.metadata.labels.as_ref().and_then(|labels| labels.get(ZONE));
        let zone = zone.filter(|zone| !zone.is_empty()).map(|zone| zone.as_str().into());
        view.send_if_modified(|view| std::mem::replace(&mut view.zone, zone.clone()) != zone);
        eligible.send_replace(is_eligible(&node));
    }
}

fn is_eligible(node: &Node) -> bool {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    node.metadata.deletion_timestamp.is_none() && !taints.any(|taint| taint.key == TO_BE_DELETED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_eligible;

    #[test]
    fn nodes_on_their_way_out_are_not_eligible_c8_4() {
        let check = |node, expected| {
            assert_eq!(is_eligible(&serde_json::from_value(node).unwrap()), expected);
        };
        check(json!({"metadata": {}}), true);
        check(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), false);
        let taint =
            |key: &str| json!({"metadata": {}, "spec": {"taints": [{"key": key, "effect": "NoSchedule"}]}});
        check(taint("ToBeDeletedByClusterAutoscaler"), false);
        check(taint("node.kubernetes.io/unreachable"), true);
    }
}
