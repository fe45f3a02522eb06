//! The node's answers to balancers: for each Service that asks for it, whether this node has ready endpoints (spec C8.1).
//!
//! `kelson_tables::Checks` says which ports there are and what is answered; this opens them on the node's addresses
//! and closes them again. Invariants: nothing is opened before the cluster is known; a port that cannot be opened
//! is told once, and tried again until it can.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use kelson_model::{NodeView, ServiceName, Snapshot};
use kelson_pages::{Page, Pages, StatusCode};
use kelson_process::Shutdown;
use kelson_tables::{Check, Checks};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How soon a port that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Who is told of ports that cannot be opened: the Service, the port, and why.
pub type Complain = Box<dyn Fn(&ServiceName, u16, &std::io::Error) + Send>;
/// Whether the data plane keeps up.
pub type Healthy = Arc<dyn Fn() -> bool + Send + Sync>;

/// Answers for the Services of `snapshots` until `shutdown`, or until nobody sends any more.
pub async fn serve_checks(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    mut node: watch::Receiver<NodeView>,
    healthy: Healthy,
    complain: Complain,
    shutdown: Shutdown,
) {
    let mut checks = Checks::new(node.borrow().name.clone());
    let mut ports = Ports { open: BTreeMap::new(), refused: BTreeSet::new(), healthy, complain, shutdown };
    loop {
        let (snapshot, addresses) =
            (snapshots.borrow_and_update().clone(), node.borrow_and_update().addresses.clone());
        if snapshot.synced {
            ports.follow(checks.follow(&snapshot), &addresses).await;
        }
        let retry = async {
            match ports.refused.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(RETRY).await,
            }
        };
        tokio::select! {
            () = ports.shutdown.cancelled() => return,
            () = retry => {}
            changed = snapshots.changed() => if changed.is_err() { return },
            changed = node.changed() => if changed.is_err() { return },
        }
    }
}

/// A Service's port on one address of the node.
type Place = (ServiceName, SocketAddr);

struct Ports {
    open: BTreeMap<Place, Open>,
    /// What could not be opened and was told of.
    refused: BTreeSet<Place>,
    healthy: Healthy,
    complain: Complain,
    shutdown: Shutdown,
}

/// An open port; dropping it closes it.
struct Open {
    local_endpoints: Arc<AtomicUsize>,
    close: Shutdown,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

impl Ports {
    async fn follow(&mut self, checks: &BTreeMap<ServiceName, Check>, addresses: &[IpAddr]) {
        let places = |(name, check): (&ServiceName, &Check)| {
            let (name, check) = (name.clone(), *check);
            addresses.iter().map(move |ip| ((name.clone(), SocketAddr::new(*ip, check.port)), check))
        };
        let wanted: BTreeMap<Place, Check> = checks.iter().flat_map(places).collect();
        self.open.retain(|place, _| wanted.contains_key(place));
        self.refused.retain(|place| wanted.contains_key(place));
        for (place, check) in wanted {
            match self.open.get(&place) {
                Some(open) => open.local_endpoints.store(check.local_endpoints, Relaxed),
                None => self.open(place, check).await,
            }
        }
    }

    async fn open(&mut self, place: Place, check: Check) {
        match TcpListener::bind(place.1).await {
            Ok(listener) => {
                let local_endpoints = Arc::new(AtomicUsize::new(check.local_endpoints));
                let close = self.shutdown.child_token();
                let (service, count, healthy) =
                    (place.0.clone(), local_endpoints.clone(), self.healthy.clone());
                let pages = Pages::everywhere(move || page(&service, count.load(Relaxed), healthy()));
                drop(tokio::spawn(kelson_pages::serve(listener, pages, close.clone())));
                self.refused.remove(&place);
                self.open.insert(place, Open { local_endpoints, close });
            }
            Err(error) => {
                if !self.refused.contains(&place) {
                    (self.complain)(&place.0, place.1.port(), &error);
                    self.refused.insert(place);
                }
            }
        }
    }
}

/// What is answered, as upstream's kube-proxy does (C8.2).
fn page(service: &ServiceName, local_endpoints: usize, healthy: bool) -> Page {
    let status = match local_endpoints > 0 && healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    // Names are of letters, digits, dots and dashes: nothing in them wants quoting.
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": {local_endpoints},\n\t\"serviceProxyHealthy\": {healthy}\n}}",
        service.namespace, service.name
    );
    let mut page = kelson_pages::json(status, body);
    page.headers_mut().insert("x-load-balancing-endpoint-weight", local_endpoints.into());
    page
}

#[cfg(test)]
mod tests;
