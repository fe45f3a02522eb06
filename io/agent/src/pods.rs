//! The pods bound to this node: a task for each, what an earlier kelson left adopted, what the API has forgotten ended.
//!
//! Invariant: nothing is ended before the API has listed the node's pods once; an API that is away changes nothing.

use crate::error::chain;
use crate::host::Host;
use crate::task::{self, Public, Seen};
use crate::{labels, sandbox, volumes};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kelson_cluster::{Change, Selection, reflect};
use kelson_process::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What each pod's task tells others, and how it is told something, by uid.
#[derive(Clone, Default)]
pub struct Directory(Arc<RwLock<BTreeMap<String, Ends>>>);

/// Where a task speaks, and where it hears.
type Ends = (watch::Receiver<Public>, watch::Sender<Seen>);

impl Directory {
    /// The pod of this name, with what is known of it now.
    pub fn find(&self, namespace: &str, name: &str) -> Option<watch::Receiver<Public>> {
        let all = self.0.read().expect("no holder panics");
        let named = |it: &&watch::Receiver<Public>| {
            let public = it.borrow();
            public.pod.as_ref().is_some_and(|pod| {
                pod.metadata.namespace.as_deref() == Some(namespace)
                    && pod.metadata.name.as_deref() == Some(name)
            })
        };
        // Of two pods of one name the younger is meant; the elder is on its way out.
        all.values()
            .map(|(public, _)| public)
            .filter(named)
            .max_by_key(|it| it.borrow().pod.as_ref().map(|pod| pod.metadata.creation_timestamp.clone()))
            .cloned()
    }

    /// Every pod's object.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.all().into_iter().filter_map(|public| public.pod).collect()
    }

    /// What is known of every pod.
    pub fn all(&self) -> Vec<Public> {
        let all = self.0.read().expect("no holder panics");
        all.values().map(|(public, _)| public.borrow().clone()).collect()
    }

    /// What is known of one pod.
    pub fn by_uid(&self, uid: &str) -> Option<Public> {
        let all = self.0.read().expect("no holder panics");
        all.get(uid).map(|(public, _)| public.borrow().clone())
    }

    /// Tells a pod that it has to go, for what it uses of the node.
    pub fn evict(&self, uid: &str, message: String) {
        if let Some((_, seen)) = self.0.read().expect("no holder panics").get(uid) {
            seen.send_modify(|seen| seen.displaced = Some(message));
        }
    }
}

/// Runs the node's pods until `shutdown`. `left` is what still runs from before.
pub async fn run(host: Arc<Host>, left: Vec<kelson_runtime::Pod>, directory: Directory, shutdown: Shutdown) {
    let selection = Selection::fields(format!("spec.nodeName={}", host.config.node_name));
    let mut changes = std::pin::pin!(reflect(kube::Api::<Pod>::all(host.client.clone()), selection));
    let traces = Traces::collect(&host).await;
    let left = left.into_iter().map(|pod| (pod.uid().to_owned(), pod)).collect();
    let (known, tasks) = (BTreeMap::new(), JoinSet::new());
    let mut pods = Pods { host, directory, left, traces: Some(traces), known, tasks, shutdown };
    loop {
        tokio::select! {
            () = pods.shutdown.cancelled() => break,
            Some(ended) = pods.tasks.join_next() => pods.ended(ended),
            Some(change) = changes.next() => pods.change(change),
        }
    }
    while pods.tasks.join_next().await.is_some() {}
}

struct Pods {
    host: Arc<Host>,
    directory: Directory,
    /// What runs from before and has not been claimed by a pod of the API.
    left: BTreeMap<String, kelson_runtime::Pod>,
    /// What lies about from before; None once it was gone through.
    traces: Option<Traces>,
    known: BTreeMap<String, watch::Sender<Seen>>,
    tasks: JoinSet<String>,
    shutdown: Shutdown,
}

impl Pods {
    fn change(&mut self, change: Change<Pod>) {
        match change {
            Change::Applied(pod) => self.applied(pod),
            Change::Deleted(pod) => self.gone(&uid(&pod), Some(pod)),
            Change::Reset(pods) => {
                let present: BTreeSet<String> = pods.iter().map(|pod| uid(pod)).collect();
                let absent: Vec<String> =
                    self.known.keys().filter(|it| !present.contains(*it)).cloned().collect();
                absent.iter().for_each(|uid| self.gone(uid, None));
                pods.into_iter().for_each(|pod| self.applied(pod));
                if let Some(traces) = self.traces.take() {
                    self.clear(traces, present);
                }
            }
        }
    }

    fn applied(&mut self, pod: Arc<Pod>) {
        let uid = uid(&pod);
        match self.known.get(&uid) {
            Some(seen) => seen.send_modify(|seen| (seen.pod, seen.gone) = (pod, false)),
            None => self.begin(uid, pod),
        }
    }

    fn begin(&mut self, uid: String, pod: Arc<Pod>) {
        let (seen_tell, seen) = watch::channel(Seen { pod: pod.clone(), gone: false, displaced: None });
        let (public_tell, public) = watch::channel(Public { pod: Some(pod), ..Public::default() });
        let adopted = self.left.remove(&uid);
        if adopted.is_none() {
            self.host.runtime.foresee_pod();
        }
        self.directory.0.write().expect("no holder panics").insert(uid.clone(), (public, seen_tell.clone()));
        self.known.insert(uid.clone(), seen_tell);
        let work = Box::pin(task::run(self.host.clone(), seen, adopted, public_tell, self.shutdown.clone()));
        self.tasks.spawn(async move {
            work.await;
            uid
        });
    }

    fn gone(&mut self, uid: &str, pod: Option<Arc<Pod>>) {
        let Some(seen) = self.known.get(uid) else { return };
        seen.send_modify(|seen| {
            seen.gone = true;
            if let Some(pod) = pod {
                seen.pod = pod;
            }
        });
    }

    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(uid) => {
                self.known.remove(&uid);
                self.directory.0.write().expect("no holder panics").remove(&uid);
            }
            Err(error) => tracing::error!(%error, "a pod's task failed"),
        }
    }

    /// Ends what the API has forgotten while kelson was away, and removes what nobody holds.
    fn clear(&mut self, traces: Traces, present: BTreeSet<String>) {
        let mut claimed = present;
        for (uid, pod) in std::mem::take(&mut self.left) {
            tracing::info!(uid, "ending a pod that the API no longer has");
            claimed.insert(uid.clone());
            let host = self.host.clone();
            self.tasks.spawn(async move {
                end_orphan(&host, &uid, pod).await;
                uid
            });
        }
        let host = self.host.clone();
        self.tasks.spawn(async move {
            traces.clear(&host, &claimed).await;
            String::new()
        });
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// Ends a pod of which only the runtime knows, with the grace it was started with.
async fn end_orphan(host: &Host, uid: &str, pod: kelson_runtime::Pod) {
    let grace = pod.config().labels.get(labels::GRACE).and_then(|it| it.parse().ok()).unwrap_or(30);
    let mut stops = JoinSet::new();
    let roots: Vec<String> = pod.containers().into_iter().map(|config| config.id).collect();
    for id in roots.clone() {
        let pod = pod.clone();
        stops.spawn(async move { pod.stop_container(&id, Duration::from_secs(grace)).await });
    }
    for stopped in stops.join_all().await {
        if let Err(error) = stopped {
            tracing::debug!(uid, error = chain(&error), "a forgotten container did not end by itself");
        }
    }
    let (namespace, name) = (pod.config().namespace.clone(), pod.config().name.clone());
    sandbox::stop(host, uid, Some(pod), roots).await;
    for dir in [host.paths.pod(uid), host.paths.pod_logs(&namespace, &name, uid)] {
        let _ = volumes::remove(&dir);
    }
}

/// What lay about when kelson started, before any pod was begun: so nothing new can be taken for a leftover.
struct Traces {
    addresses: Vec<String>,
    dirs: Vec<String>,
    roots: Vec<String>,
}

impl Traces {
    async fn collect(host: &Host) -> Traces {
        let names = |dir| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let addresses = host.network.list().await.into_iter().map(|it| it.pod_uid).collect();
        Traces { addresses, dirs: names(host.paths.pods()), roots: names(host.paths.roots()) }
    }

    /// Removes all that belongs to none of the `claimed` pods.
    async fn clear(self, host: &Host, claimed: &BTreeSet<String>) {
        for uid in self.addresses.iter().filter(|uid| !claimed.contains(*uid)) {
            sandbox::stop(host, uid, None, Vec::new()).await;
        }
        for uid in self.dirs.iter().filter(|uid| !claimed.contains(*uid)) {
            let _ = volumes::remove(&host.paths.pod(uid));
        }
        for id in self.roots.iter().filter(|id| !claimed.iter().any(|uid| id.starts_with(uid.as_str()))) {
            sandbox::release_root(host, id).await;
        }
    }
}
