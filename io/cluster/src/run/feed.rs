//! All reflectors of the controllers, as one bounded stream of folds into the view.
//!
//! Part of `run`. Kept kinds are followed whole, every other kind by its metadata. Ends when dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use jiff::Timestamp;
use kelson_plans::{Changed, Kept, Key, Resource, View, for_each_kept_kind};
use kube::core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::discovery;
use crate::reflect::{Change, Reflected, Selection, reflect};

/// Changes that may wait to be taken in.
const QUEUE: usize = 1024;

type Fold = Box<dyn FnOnce(&mut View, Timestamp) -> Vec<Changed> + Send>;

/// One change, ready to be folded.
pub(super) struct News {
    pub resource: Resource,
    /// The newest version that the collection is known to have reached.
    pub version: u64,
    /// The collection's first list.
    pub first: bool,
    pub fold: Fold,
}

/// The running reflectors.
pub(super) struct Feed {
    pub news: mpsc::Receiver<News>,
    /// How many collections there are: so many first lists come.
    pub sources: usize,
    _tasks: JoinSet<()>,
}

impl Feed {
    /// Follows the `kept` kinds whole, and of the other `resources` the metadata.
    pub(super) fn start(client: &kube::Client, kept: &[Resource], resources: &[Resource]) -> Self {
        let (sender, news) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        macro_rules! follow_kind {
            ($kind:ident) => {
                if kept.contains(&<kinds::$kind as Kept>::RESOURCE) {
                    let api = kube::Api::<kinds::$kind>::all(client.clone());
                    tasks.spawn(follow_kept(api, sender.clone()));
                }
            };
        }
        for_each_kept_kind!(follow_kind);
        for resource in discovery::others(resources) {
            tasks.spawn(follow_other(client.clone(), resource, sender.clone()));
        }
        let sources = tasks.len();
        Self { news, sources, _tasks: tasks }
    }
}

/// The kept kinds by the names the table has for them.
mod kinds {
    pub(super) use k8s_openapi::api::apps::v1::*;
    pub(super) use k8s_openapi::api::batch::v1::{CronJob, Job};
    pub(super) use k8s_openapi::api::coordination::v1::*;
    pub(super) use k8s_openapi::api::core::v1::*;
    pub(super) use k8s_openapi::api::discovery::v1::EndpointSlice;
    pub(super) use k8s_openapi::api::policy::v1::PodDisruptionBudget;
    pub(super) use k8s_openapi::api::storage::v1::StorageClass;
}

async fn follow_kept<K: Kept + Reflected + PartialEq>(api: kube::Api<K>, sender: mpsc::Sender<News>) {
    let mut changes = pin!(reflect(api, Selection::default()));
    let mut first = true;
    while let Some(change) = changes.next().await {
        let version = newest(&change);
        let fold: Fold = match change {
            Change::Reset(objects) => Box::new(move |view, now| view.reset(objects, now)),
            Change::Applied(object) => Box::new(move |view, now| vec![view.applied(object, now)]),
            Change::Deleted(object) => Box::new(move |view, now| {
                view.deleted::<K>(&Key::of(object.meta()), now).into_iter().collect()
            }),
        };
        let news = News { resource: K::RESOURCE, version, first: std::mem::take(&mut first), fold };
        if sender.send(news).await.is_err() {
            return;
        }
    }
}

async fn follow_other(client: kube::Client, resource: Resource, sender: mpsc::Sender<News>) {
    let api = kube::Api::<PartialObjectMeta<DynamicObject>>::all_with(client, &described(&resource));
    let mut changes = pin!(reflect(api, Selection::default()));
    let mut known: BTreeSet<Key> = BTreeSet::new();
    let mut first = true;
    while let Some(change) = changes.next().await {
        let version = newest(&change);
        let noted = notes(change, &mut known);
        let of = resource.clone();
        let fold: Fold = Box::new(move |view, _| {
            noted.iter().map(|(key, meta)| view.noted(&of, key, meta.as_ref())).collect()
        });
        let news = News { resource: resource.clone(), version, first: std::mem::take(&mut first), fold };
        if sender.send(news).await.is_err() {
            return;
        }
    }
}

/// What is to be noted of each key: its metadata, or that it is gone.
fn notes(
    change: Change<PartialObjectMeta<DynamicObject>>,
    known: &mut BTreeSet<Key>,
) -> BTreeMap<Key, Option<ObjectMeta>> {
    let noted = |object: &Arc<PartialObjectMeta<DynamicObject>>| {
        (Key::of(&object.metadata), Some(object.metadata.clone()))
    };
    match change {
        Change::Applied(object) => {
            known.insert(Key::of(&object.metadata));
            BTreeMap::from([noted(&object)])
        }
        Change::Deleted(object) => {
            known.remove(&Key::of(&object.metadata));
            BTreeMap::from([(Key::of(&object.metadata), None)])
        }
        Change::Reset(objects) => {
            let listed: BTreeMap<_, _> = objects.iter().map(noted).collect();
            let gone = std::mem::replace(known, listed.keys().cloned().collect());
            let gone = gone.into_iter().filter(|key| !listed.contains_key(key)).map(|key| (key, None));
            gone.collect::<Vec<_>>().into_iter().chain(listed.clone()).collect()
        }
    }
}

fn described(resource: &Resource) -> ApiResource {
    ApiResource {
        group: resource.group.to_string(),
        version: resource.version.to_string(),
        api_version: resource.api_version(),
        kind: resource.kind.to_string(),
        plural: resource.plural.to_string(),
    }
}

fn newest<K: Reflected>(change: &Change<K>) -> u64 {
    let version =
        |object: &Arc<K>| object.meta().resource_version.as_deref().and_then(|text| text.parse().ok());
    match change {
        Change::Reset(objects) => objects.iter().filter_map(version).max().unwrap_or(0),
        Change::Applied(object) | Change::Deleted(object) => version(object).unwrap_or(0),
    }
}
