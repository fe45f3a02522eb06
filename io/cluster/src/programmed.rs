//! What data planes have applied, through the API: a node publishes its own, and reads what every Ready node has.
//!
//! On the way back from the kernel to who waits for it: a condition of a Service, a pod that is about to be told to
//! stop. What it means is decided in `kelson_plans::programmed`. Invariants: a node's revision never goes back, its
//! Lease is written at most once an [`INTERVAL`], and only when the revision moved on or the Lease is gone.

use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kelson_model::{Acknowledged, Revision};
use kelson_plans::programmed::{FLOOR, NAMESPACE, lease, lease_name, revision};
use kelson_process::Shutdown;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::{Change, Selection, reflect};

/// Shortest time between two writes of a node; what is applied meanwhile goes with the next.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the node's own object, which may register later than its data plane starts.
const REGISTRATION: Duration = Duration::from_millis(100);

/// How often to see whether the Lease is still there: it goes when the node is deleted, which may come back.
const CHECK: Duration = Duration::from_secs(10);

/// Publishes what the data plane of `node` has applied, until `shutdown` or until nobody acknowledges any more. A node
/// without a Node object publishes nothing, and nobody waits for it.
pub async fn publish_programmed(
    client: Client,
    node: String,
    acknowledged: watch::Receiver<Acknowledged>,
    shutdown: Shutdown,
) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = publish(&client, &node, acknowledged) => {}
    }
}

async fn publish(client: &Client, node: &str, mut acknowledged: watch::Receiver<Acknowledged>) {
    let mut published = Revision::default();
    let mut backoff = Backoff::default();
    loop {
        let applied = acknowledged.borrow_and_update().revision.join(published);
        if applied != published {
            match write(client, node, applied).await {
                Ok(true) => {
                    backoff.succeeded();
                    published = applied;
                    tokio::time::sleep(INTERVAL).await;
                }
                Ok(false) => tokio::time::sleep(REGISTRATION).await,
                Err(error) => complain(&error, &mut backoff).await,
            }
            continue;
        }
        match tokio::time::timeout(CHECK, acknowledged.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) if applied == Revision::default() => {}
            Err(_) => match is_there(client, node).await {
                Ok(true) => {}
                Ok(false) => published = Revision::default(),
                Err(error) => complain(&error, &mut backoff).await,
            },
        }
    }
}

async fn is_there(client: &Client, node: &str) -> kube::Result<bool> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(leases.get_metadata_opt(&lease_name(node)).await?.is_some())
}

async fn complain(error: &kube::Error, backoff: &mut Backoff) {
    let wait = backoff.next();
    let wait_ms = wait.as_millis() as u64;
    warn!(
        error = error as &dyn std::error::Error,
        wait_ms, "cannot publish what is programmed; trying again"
    );
    tokio::time::sleep(wait).await;
}

/// Writes the node's Lease; false if the node is not there yet.
async fn write(client: &Client, node: &str, applied: Revision) -> kube::Result<bool> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let name = lease_name(node);
    let mut wanted = lease(&name, node, applied, kelson_process::now());
    match leases.patch(&name, &PatchParams::default(), &Patch::Merge(&wanted)).await {
        Ok(_) => return Ok(true),
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => {}
        Err(error) => return Err(error),
    }
    let Some(owner) = Api::<Node>::all(client.clone()).get_opt(node).await? else { return Ok(false) };
    // The Lease goes with its node.
    wanted.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid: owner.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    }]);
    leases.create(&PostParams::default(), &wanted).await.map(|_| true)
}

/// Follows what every Ready node has applied, as the controllers tell while a pod waits for it, until `shutdown`.
pub fn programmed_everywhere(client: Client, shutdown: Shutdown) -> watch::Receiver<Revision> {
    let (tell, told) = watch::channel(Revision::default());
    let follow = async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follow(client, &tell) => {}
        }
    };
    drop(tokio::spawn(follow));
    told
}

async fn follow(client: Client, tell: &watch::Sender<Revision>) {
    let selection = Selection::fields(format!("metadata.name={FLOOR}"));
    let mut changes = std::pin::pin!(reflect(Api::<Lease>::namespaced(client, NAMESPACE), selection));
    while let Some(change) = changes.next().await {
        let lease = match change {
            Change::Reset(leases) => leases.into_iter().next(),
            Change::Applied(lease) => Some(lease),
            Change::Deleted(_) => None,
        };
        let now = lease.map_or_else(Revision::default, |lease| revision(&lease));
        debug!(?now, "programmed everywhere");
        tell.send_if_modified(|known| std::mem::replace(known, now) != now);
    }
}
