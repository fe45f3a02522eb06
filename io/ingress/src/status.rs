//! Statuses: writes what `plan_status` says into the Ingresses, again after a while when that fails. Decides nothing; a
//! newer plan replaces what is left of an older one.

use std::time::Duration;

use k8s_openapi::api::networking::v1::Ingress;
use kelson_routes::StatusWrite;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::watch;

/// How long a failed write waits.
const RETRY: Duration = Duration::from_secs(5);

/// Writes each plan, until nobody plans any more.
pub(crate) async fn write(client: kube::Client, mut plans: watch::Receiver<Vec<StatusWrite>>) {
    loop {
        let mut left = plans.borrow_and_update().clone();
        loop {
            left = attempt(&client, left).await;
            let wait = async {
                match left.is_empty() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(RETRY).await,
                }
            };
            tokio::select! {
                changed = plans.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = wait => {}
            }
        }
    }
}

/// Writes these; those that are still to be written.
async fn attempt(client: &kube::Client, writes: Vec<StatusWrite>) -> Vec<StatusWrite> {
    let mut left = Vec::new();
    for write in writes {
        match patch(client, &write).await {
            Ok(_) => {}
            // It is gone, or is another of the same name: nothing to write to.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let (namespace, name) = (&write.ingress.namespace, &write.ingress.name);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, namespace, name, "cannot write an ingress's status; trying again");
                left.push(write);
            }
        }
    }
    left
}

async fn patch(client: &kube::Client, write: &StatusWrite) -> kube::Result<Ingress> {
    let ingresses: Api<Ingress> = Api::namespaced(client.clone(), &write.ingress.namespace);
    let shown: Vec<_> = write.addresses.iter().map(|address| json!({ "ip": address })).collect();
    let shown = if shown.is_empty() { serde_json::Value::Null } else { json!(shown) };
    let mut patch = json!({ "status": { "loadBalancer": { "ingress": shown } } });
    if let Some(uid) = &write.uid {
        patch["metadata"] = json!({ "uid": uid });
    }
    ingresses.patch_status(&write.ingress.name, &PatchParams::default(), &Patch::Merge(&patch)).await
}
