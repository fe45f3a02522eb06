//! Whether new connections may still come to a pod that is on its way out: what is seen of Services and nodes, in one.
//!
//! Collects what `kelson_pods::Drain` decides on. An agent that is given no routes (its pods are behind another system's
//! data plane) holds no pod back.

use crate::services::Services;
use k8s_openapi::api::core::v1::Pod;
use kelson_model::{PodRef, Revision, Snapshot, Ways};
use kelson_plans::pod;
use kelson_pods::{Departures, Drain, Sight};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How Services lead to pods, and how far every node's data plane has come with it.
#[derive(Clone, Debug)]
pub struct Routes {
    /// The cluster as this node knows it.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What every Ready node has applied.
    pub everywhere: watch::Receiver<Revision>,
}

/// What lately ceased to lead to the node's pods.
pub type Left = Mutex<Departures>;

/// Follows what ceases to lead to the pods of `node`, until nobody sends snapshots any more.
pub async fn follow(mut routes: Routes, node: &str, left: &Left) {
    loop {
        let snapshot = routes.snapshots.borrow_and_update().clone();
        see(left, &snapshot, node);
        if routes.snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn see(left: &Left, snapshot: &Arc<Snapshot>, node: &str) {
    left.lock().expect("no holder panics").see(snapshot, node, kelson_process::now());
}

/// One pod's routes, followed from when it is told to go until nothing comes any more.
pub struct Draining {
    routes: Routes,
    drain: Drain,
    over: bool,
}

impl Draining {
    pub fn new(routes: Routes) -> Draining {
        Draining { routes, drain: Drain::default(), over: false }
    }

    /// Looks again; whether no node sends the pod anything new any more.
    pub fn look(&mut self, pod: &Pod, services: &Services, left: &Left, node: &str) -> bool {
        let snapshot = self.routes.snapshots.borrow_and_update().clone();
        // The follower may not have come to this one yet.
        see(left, &snapshot, node);
        let reference = reference(pod);
        let everywhere = *self.routes.everywhere.borrow_and_update();
        // What is not known yet could be anything.
        let ways = if snapshot.synced { snapshot.ways_to(&reference) } else { Ways::Open };
        let expected = pod::is_ready(pod) && is_chosen(pod, services);
        let left = left.lock().expect("no holder panics").of(&reference, kelson_process::now());
        self.over = self.drain.is_over(&Sight { ways, expected, left, seen: snapshot.revision, everywhere });
        self.over
    }

    /// Waits for something that could change the answer; for ever once nothing can.
    pub async fn changed(&mut self) {
        if self.over {
            return std::future::pending().await;
        }
        let told = tokio::select! {
            told = self.routes.snapshots.changed() => told,
            told = self.routes.everywhere.changed() => told,
        };
        // Senders go at shutdown: nothing is to be heard any more.
        if told.is_err() {
            std::future::pending().await
        }
    }
}

fn reference(pod: &Pod) -> PodRef {
    let text = |value: &Option<String>| value.as_deref().unwrap_or_default().into();
    PodRef { namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name) }
}

/// Whether a Service with an address of its own chooses the pod; true while Services are not known.
fn is_chosen(pod: &Pod, services: &Services) -> bool {
    let Some(services) = services else { return true };
    let namespace: Box<str> = pod.metadata.namespace.as_deref().unwrap_or_default().into();
    let of_namespace = services.range((namespace.clone(), Box::default())..);
    let mut of_namespace = of_namespace.take_while(|((of, _), _)| *of == namespace);
    of_namespace.any(|(_, service)| service.chooses(pod.metadata.labels.as_ref()))
}

#[cfg(test)]
mod tests;
