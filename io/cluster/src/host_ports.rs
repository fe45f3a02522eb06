//! The host ports of one node's pods, as its data plane is told them.
//!
//! Follows the pods of that node alone and keeps of each only its host ports. Whatever order their events come in, the
//! same pods give the same list.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kelson_model::HostPort;
use kelson_process::Shutdown;
use kube::Api;
use tokio::sync::watch;

use crate::{Change, Selection, reflect};

/// Follows the pods of `node` until `shutdown`; returns once they have been listed, so that a restart takes nothing away
/// that is in use. The sender goes away when following ends.
pub async fn host_ports(
    client: kube::Client,
    node: &str,
    shutdown: Shutdown,
) -> watch::Receiver<Arc<[HostPort]>> {
    let selection = Selection::fields(format!("spec.nodeName={node}"));
    let mut changes = Box::pin(reflect(Api::<Pod>::all(client), selection));
    let mut known = Known::default();
    tokio::select! {
        () = shutdown.cancelled() => {}
        first = changes.next() => first.iter().for_each(|change| known.fold(change)),
    }
    let (sender, receiver) = watch::channel(known.list());
    let follow = async move {
        while let Some(change) = changes.next().await {
            known.fold(&change);
            let now = known.list();
            sender.send_if_modified(|list| std::mem::replace(list, now.clone()) != now);
        }
    };
    drop(tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follow => {}
        }
    }));
    receiver
}

/// The pods that have any, by namespace and name.
#[derive(Default)]
struct Known(BTreeMap<(String, String), Vec<HostPort>>);

impl Known {
    fn fold(&mut self, change: &Change<Pod>) {
        match change {
            Change::Reset(pods) => {
                self.0.clear();
                pods.iter().for_each(|pod| self.put(pod));
            }
            Change::Applied(pod) => self.put(pod),
            Change::Deleted(pod) => drop(self.0.remove(&key(pod))),
        }
    }

    fn put(&mut self, pod: &Pod) {
        let ports = kelson_index::host_ports(pod);
        match ports.is_empty() {
            true => self.0.remove(&key(pod)),
            false => self.0.insert(key(pod), ports),
        };
    }

    fn list(&self) -> Arc<[HostPort]> {
        self.0.values().flatten().cloned().collect()
    }
}

fn key(pod: &Pod) -> (String, String) {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    (name(&pod.metadata.namespace), name(&pod.metadata.name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::Known;
    use crate::Change;

    fn pod(name: &str, port: u16) -> Arc<Pod> {
        let pod = json!({
            "metadata": { "namespace": "default", "name": name },
            "spec": { "containers": [{ "name": "c", "ports": [{ "containerPort": 80, "hostPort": port }] }] },
            "status": { "podIP": "10.244.0.5" },
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn the_list_follows_the_pods() {
        let mut known = Known::default();
        let mut check = |change, expected: &[u16]| {
            known.fold(&change);
            assert_eq!(known.list().iter().map(|it| it.port).collect::<Vec<_>>(), expected);
        };
        check(Change::Reset(vec![pod("b", 81), pod("a", 80)]), &[80, 81]);
        check(Change::Applied(pod("c", 82)), &[80, 81, 82]);
        check(Change::Applied(pod("b", 0)), &[80, 82]);
        check(Change::Deleted(pod("a", 80)), &[82]);
        check(Change::Reset(vec![]), &[]);
    }
}
