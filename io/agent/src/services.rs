//! The cluster's Services, as far as pods' environments need them (E5, E8).

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kelson_cluster::{Change, Selection, reflect};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Every Service by namespace and name; None until they have been listed once.
pub type Services = Option<BTreeMap<(String, String), Arc<Service>>>;

/// Follows the Services for ever.
pub async fn follow(client: kube::Client, tell: watch::Sender<Services>) {
    let mut changes = std::pin::pin!(reflect(kube::Api::<Service>::all(client), Selection::default()));
    while let Some(change) = changes.next().await {
        tell.send_modify(|services| match change {
            Change::Reset(all) => *services = Some(all.into_iter().map(|it| (key(&it), it)).collect()),
            Change::Applied(it) => drop(services.get_or_insert_default().insert(key(&it), it)),
            Change::Deleted(it) => drop(services.get_or_insert_default().remove(&key(&it))),
        });
    }
}

fn key(service: &Service) -> (String, String) {
    let meta = &service.metadata;
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
