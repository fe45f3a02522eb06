//! The ConfigMaps and Secrets that this node's pods name, each followed while a pod names it, and no others.
//!
//! Invariant: what [`Objects::get`] returns is at least as new as the first time its watch listed it. Objects are
//! asked for one by one (`metadata.name=…`), so a node needs no right to list a namespace's Secrets.

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kelson_cluster::{Change, Selection, reflect};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How long the API may take to say for the first time whether an object is there.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Which object: kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ConfigMap,
    Secret,
}

/// An object's content, as both kinds have it.
#[derive(Clone, Debug)]
pub enum Object {
    ConfigMap(Arc<ConfigMap>),
    Secret(Arc<Secret>),
}

/// What is known of an object: not asked yet, absent, or there.
pub type Known = Option<Option<Object>>;

/// One object that is being followed; dropping the last handle stops it.
pub struct Followed {
    known: watch::Receiver<Known>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followed {
    /// The object, or None if there is none. Waits for the API's first answer, but not for ever: what this node may not
    /// read is as good as absent.
    pub async fn get(&self) -> Option<Object> {
        let mut known = self.known.clone();
        let answer = tokio::time::timeout(FIRST_ANSWER, known.wait_for(Option::is_some)).await;
        match answer {
            Ok(Ok(known)) => known.clone().flatten(),
            _ => None,
        }
    }

    /// Tells of every change from now on.
    pub fn watch(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }
}

/// All that is being followed.
pub struct Objects {
    client: kube::Client,
    followed: Mutex<BTreeMap<Key, Weak<Followed>>>,
}

impl Objects {
    pub fn new(client: kube::Client) -> Objects {
        Objects { client, followed: Mutex::default() }
    }

    /// Follows an object, together with everybody else who does.
    pub fn follow(&self, key: &Key) -> Arc<Followed> {
        let mut all = self.followed.lock().expect("no holder panics");
        if let Some(known) = all.get(key).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, weak| weak.strong_count() > 0);
        let followed = Arc::new(start(self.client.clone(), key));
        all.insert(key.clone(), Arc::downgrade(&followed));
        followed
    }
}

fn start(client: kube::Client, key: &Key) -> Followed {
    let (tell, known) = watch::channel(None);
    let selection = Selection::fields(format!("metadata.name={}", key.name));
    let task = match key.kind {
        Kind::ConfigMap => {
            let api = kube::Api::namespaced(client, &key.namespace);
            tokio::spawn(follow(api, selection, tell, Object::ConfigMap))
        }
        Kind::Secret => {
            let api = kube::Api::namespaced(client, &key.namespace);
            tokio::spawn(follow(api, selection, tell, Object::Secret))
        }
    };
    Followed { known, task }
}

async fn follow<K: kelson_cluster::Reflected>(
    api: kube::Api<K>,
    selection: Selection,
    tell: watch::Sender<Known>,
    wrap: fn(Arc<K>) -> Object,
) {
    let mut changes = std::pin::pin!(reflect(api, selection));
    while let Some(change) = changes.next().await {
        let now = match change {
            Change::Reset(objects) => objects.into_iter().next().map(wrap),
            Change::Applied(object) => Some(wrap(object)),
            Change::Deleted(_) => None,
        };
        tell.send_replace(Some(now));
    }
}
