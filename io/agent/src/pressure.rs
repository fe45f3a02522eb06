//! What the node does when memory, disk or process ids run short: says so, gives up images, and ends one pod at a time.
//!
//! `kelson_pods::pressure` decides; here is the loop that measures, and carries out. Invariants: one pod goes at a time, and
//! the next only after what it held is given back or [`CLEAN_UP`] is over; images that were imported by hand stay, because
//! nobody could fetch them again.

mod measure;

use crate::error::chain;
use crate::host::Host;
use crate::pods::Directory;
use crate::task::Public;
use k8s_openapi::api::core::v1::{Node, Pod};
use kelson_pods::pressure::{
    Candidate, Condition, Pressure, Resource, Starved, Verdict, is_critical, is_limited, message, rank,
};
use kube::api::ObjectMeta;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often is looked, as often as upstream does.
const LOOK: Duration = Duration::from_secs(10);
/// How long an evicted pod may take to give back what it held.
const CLEAN_UP: Duration = Duration::from_secs(30);
const CLEAN_UP_POLL: Duration = Duration::from_millis(200);

/// The conditions that hold, for the Node's status and for whoever takes pods in.
pub type Conditions = watch::Sender<BTreeSet<Condition>>;

/// Looks after the node for ever.
pub async fn run(host: Arc<Host>, directory: Directory) {
    if host.config.eviction_hard.is_empty() {
        return;
    }
    let mut pressure = Pressure::new(host.config.eviction_hard.clone());
    loop {
        let verdict = look(&host, &mut pressure).await;
        let evicted = match verdict.starved {
            Some(starved) => relieve(&host, &directory, &mut pressure, starved).await,
            None => None,
        };
        match evicted {
            Some(uid) => cleaned_up(&host, &directory, &uid).await,
            None => sleep(LOOK).await,
        }
    }
}

/// Measures, and tells of conditions that changed.
async fn look(host: &Arc<Host>, pressure: &mut Pressure) -> Verdict {
    let paths = host.paths.clone();
    // A reader that panics has measured nothing.
    let seen = tokio::task::spawn_blocking(move || measure::node(&paths)).await.unwrap_or_default();
    let verdict = pressure.observe(&seen, kelson_process::now());
    let before = host.pressure.borrow().clone();
    host.pressure.send_if_modified(|now| std::mem::replace(now, verdict.conditions.clone()) != *now);
    for condition in Condition::ALL {
        let holds = verdict.conditions.contains(&condition);
        if holds != before.contains(&condition) {
            let (name, event) = (&host.config.node_name, condition.event(holds));
            tracing::info!(condition = condition.name(), holds, "the node's condition changed");
            host.recorder.record_node(&this_node(host), event, format!("Node {name} status is now: {event}"));
        }
    }
    verdict
}

fn this_node(host: &Host) -> Node {
    let name = Some(host.config.node_name.clone());
    Node { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..Node::default() }
}

/// Wins back what is starved: by images that nobody uses, else by a pod, whose uid is returned.
async fn relieve(
    host: &Arc<Host>,
    directory: &Directory,
    pressure: &mut Pressure,
    starved: Starved,
) -> Option<String> {
    let resource = starved.signal.resource();
    let text = format!("Attempting to reclaim {}", resource.name());
    host.recorder.warn_node(&this_node(host), "EvictionThresholdMet", text);
    let mut starved = starved;
    if matches!(resource, Resource::Storage | Resource::Inodes) {
        remove_images(host, directory).await;
        starved = look(host, pressure).await.starved?;
    }
    evict(host, directory, &starved).await
}

/// Removes the images that can be pulled again and that no pod of this node names.
async fn remove_images(host: &Arc<Host>, directory: &Directory) {
    let (images, pods) = (host.images.clone(), directory.pods());
    let removed = tokio::task::spawn_blocking(move || {
        let spelled = pods.iter().flat_map(|pod| kelson_pods::images(pod));
        let used: BTreeSet<String> = spelled.filter_map(|name| Some(images.find(name)?.id)).collect();
        let all = images.list().unwrap_or_default().into_iter();
        for image in all.filter(|image| !image.digests.is_empty() && !used.contains(&image.id)) {
            match images.remove(&image.id) {
                Ok(()) => tracing::info!(image = image.reference(), "removed an image to win back space"),
                Err(error) => {
                    tracing::warn!(image = image.reference(), error = chain(&error), "an image stays")
                }
            }
        }
    });
    if let Err(error) = removed.await {
        tracing::error!(%error, "removing images failed");
    }
}

/// Tells the first who may go to go.
async fn evict(host: &Arc<Host>, directory: &Directory, starved: &Starved) -> Option<String> {
    let resource = starved.signal.resource();
    let active = directory.all().into_iter().filter(is_active).collect::<Vec<_>>();
    let here = host.clone();
    let measured = tokio::task::spawn_blocking(move || {
        let candidate = |it: Public| {
            let pod = it.pod.clone()?;
            Some(Candidate { usage: measure::pod(&here, &pod, &it, resource), pod: Held(pod) })
        };
        active.into_iter().filter_map(candidate).collect::<Vec<_>>()
    });
    let mut candidates = measured.await.unwrap_or_default();
    rank(resource, &mut candidates);
    let Some(chosen) = candidates.iter().find(|candidate| !is_critical(&candidate.pod.0)) else {
        tracing::debug!(resource = resource.name(), "the node runs short, and there is no pod that could go");
        return None;
    };
    let (pod, text) = (&chosen.pod.0, message(starved, &chosen.pod.0, &chosen.usage));
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    tracing::info!(namespace, name, why = text, "evicting a pod");
    directory.evict(&uid, text);
    Some(uid)
}

/// A pod that can be ranked.
struct Held(Arc<Pod>);

impl AsRef<Pod> for Held {
    fn as_ref(&self) -> &Pod {
        &self.0
    }
}

/// Why a pod has to go that wrote more than its containers may, if it did. Reads disks.
pub fn overrun(host: &Host, pod: &Pod, public: &Public) -> Option<String> {
    let limited = is_limited(pod).then(|| measure::pod(host, pod, public, Resource::Storage));
    kelson_pods::pressure::overrun(pod, &limited?)
}

/// Whether the pod has something of the node that its end would give back.
fn is_active(public: &Public) -> bool {
    let phase = public.pod.as_ref().and_then(|pod| pod.status.as_ref()?.phase.as_deref());
    public.shim.is_some() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Waits until the pod has given back its containers and its volumes.
async fn cleaned_up(host: &Host, directory: &Directory, uid: &str) {
    let gone = async {
        loop {
            let runs = directory.by_uid(uid).is_some_and(|public| public.shim.is_some());
            if !runs && !host.paths.pod(uid).exists() {
                return;
            }
            sleep(CLEAN_UP_POLL).await;
        }
    };
    if tokio::time::timeout(CLEAN_UP, gone).await.is_err() {
        tracing::warn!(uid, "an evicted pod has not given back what it held");
    }
}
