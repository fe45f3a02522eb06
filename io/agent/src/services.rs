//! The cluster's Services, as far as pods' environments and departures need them (E5, E8).
//!
//! Of each that has an address is kept what variables are made of and whom it chooses, nothing else: every node has every
//! Service. Who waits is woken once, when they are known; after that the newest state is read where it is needed.

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Service;
use kelson_cluster::{Change, Selection, reflect};
use kelson_pods::service_env::Linked;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// Every Service with an address by namespace and name; None until they have been listed once.
pub type Services = Option<BTreeMap<(Box<str>, Box<str>), Known>>;

/// A Service's labels say by this one that its data plane is another system's.
const FOREIGN: &str = "service.kubernetes.io/service-proxy-name";

/// What is kept of a Service.
#[derive(Clone, Debug)]
pub struct Known {
    pub linked: Linked,
    /// The labels of the pods that it may lead to; empty if it chooses none.
    selector: Box<[(Box<str>, Box<str>)]>,
}

impl Known {
    /// `None` if nobody connects to it by an address of its own.
    pub fn of(service: &Service) -> Option<Known> {
        let linked = Linked::of(service)?;
        let foreign = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(FOREIGN));
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|_| !foreign);
        let terms =
            selector.into_iter().flatten().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        Some(Known { linked, selector: terms.collect() })
    }

    /// Whether the Service leads to pods with these labels, once they are ready.
    pub fn chooses(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let has = |(name, value): &(Box<str>, Box<str>)| {
            labels.and_then(|labels| labels.get(&**name)).is_some_and(|found| **found == **value)
        };
        !self.selector.is_empty() && self.selector.iter().all(has)
    }
}

/// Follows the Services for ever.
pub async fn follow(client: kube::Client, tell: watch::Sender<Services>) {
    let mut changes = std::pin::pin!(reflect(kube::Api::<Service>::all(client), Selection::default()));
    while let Some(change) = changes.next().await {
        tell.send_if_modified(|services| fold(services, &change));
    }
}

/// Takes a change in; whether it is the first, so that there is something to wait for no longer.
fn fold(services: &mut Services, change: &Change<Service>) -> bool {
    let first = services.is_none();
    let known = services.get_or_insert_default();
    match change {
        Change::Reset(all) => {
            *known = all.iter().filter_map(|it| Some((key(it), Known::of(it)?))).collect();
        }
        Change::Applied(it) => match Known::of(it) {
            Some(service) => drop(known.insert(key(it), service)),
            None => drop(known.remove(&key(it))),
        },
        Change::Deleted(it) => drop(known.remove(&key(it))),
    }
    first
}

/// Where a Service stands among [`Services`].
pub fn key(service: &Service) -> (Box<str>, Box<str>) {
    let text = |value: &Option<String>| value.as_deref().unwrap_or_default().into();
    (text(&service.metadata.namespace), text(&service.metadata.name))
}

#[cfg(test)]
mod tests;
