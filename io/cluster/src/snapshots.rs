//! Snapshots: three reflectors folded into one value that data plane and DNS read.
//!
//! On the way of every packet and every DNS query, between the API's watches and `compile`. A change is published at
//! once; what queued up meanwhile is folded together, so a burst costs readers one snapshot, not one each. Never
//! decides, and publishes nothing twice: equal snapshots are one.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kelson_index::{Tracker, Watched};
use kelson_model::{Revision, Snapshot};
use kelson_process::Shutdown;
use kube::Api;
use tokio::sync::watch;

use crate::{Change, Selection, reflect, reflect_versions};

/// Most changes folded into one snapshot, so that an endless stream of them cannot delay the next one for ever.
const BATCH_MAX: usize = 4096;

/// What the three reflectors report, as one stream; with the version reached, where it counts for the revision.
enum News {
    Service(Change<Service>, u64),
    Slice(Change<EndpointSlice>, u64),
    Namespace(Change<Namespace>),
}

/// Follows Services, EndpointSlices and Namespaces until `shutdown`. The first value is an empty snapshot that is not
/// synced; the sender goes away when following ends.
pub fn snapshots(client: kube::Client, shutdown: Shutdown) -> watch::Receiver<Arc<Snapshot>> {
    follow(news(client), shutdown)
}

/// As `snapshots`, but of Services alone: for who needs to know which addresses there are, and not where they lead.
pub fn service_snapshots(client: kube::Client, shutdown: Shutdown) -> watch::Receiver<Arc<Snapshot>> {
    let others = [News::Slice(Change::Reset(Vec::new()), 0), News::Namespace(Change::Reset(Vec::new()))];
    let services = reflect_versions(Api::<Service>::all(client), Selection::default());
    let services = services.map(|(change, version)| News::Service(change, version));
    follow(Box::pin(stream::iter(others).chain(services)), shutdown)
}

fn follow(
    news: Pin<Box<dyn Stream<Item = News> + Send>>,
    shutdown: Shutdown,
) -> watch::Receiver<Arc<Snapshot>> {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let follow = async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = publish(news, &sender) => {}
        }
    };
    drop(tokio::spawn(follow));
    receiver
}

fn news(client: kube::Client) -> Pin<Box<dyn Stream<Item = News> + Send>> {
    let services = reflect_versions(Api::<Service>::all(client.clone()), Selection::default());
    let services = services.map(|(change, version)| News::Service(change, version));
    let slices = reflect_versions(Api::<EndpointSlice>::all(client.clone()), Selection::default());
    let slices = slices.map(|(change, version)| News::Slice(change, version));
    let namespaces = reflect(Api::<Namespace>::all(client), Selection::default()).map(News::Namespace);
    Box::pin(stream::select(stream::select(services, slices), namespaces))
}

/// Folds `news` into snapshots and sends each that differs from the last, until it ends or nobody listens.
async fn publish(mut news: Pin<Box<dyn Stream<Item = News> + Send>>, sender: &watch::Sender<Arc<Snapshot>>) {
    let mut tracker = Tracker::new();
    while let Some(first) = news.next().await {
        fold(&mut tracker, first);
        let mut folded = 1;
        while folded < BATCH_MAX
            && let Some(Some(next)) = news.next().now_or_never()
        {
            fold(&mut tracker, next);
            folded += 1;
        }
        for warning in tracker.take_warnings() {
            tracing::warn!("{warning}");
        }
        let snapshot = tracker.snapshot();
        let is_new = |known: &mut Arc<Snapshot>| {
            let stands = known.generation == snapshot.generation && known.revision == snapshot.revision;
            let is_new = !stands && !Arc::ptr_eq(known, &snapshot);
            if is_new {
                *known = snapshot.clone();
            }
            is_new
        };
        if sender.send_if_modified(is_new) {
            tracing::trace!(generation = snapshot.generation, folded, "snapshot");
        }
        if sender.is_closed() {
            return;
        }
    }
}

fn fold(tracker: &mut Tracker, news: News) {
    match &news {
        News::Service(change, version) => {
            tracker.services(watched(change));
            tracker.reached(Revision { services: *version, ..Revision::default() });
        }
        News::Slice(change, version) => {
            tracker.slices(watched(change));
            tracker.reached(Revision { endpoint_slices: *version, ..Revision::default() });
        }
        News::Namespace(change) => tracker.namespaces(watched(change)),
    }
}

fn watched<K>(change: &Change<K>) -> Watched<'_, K> {
    match change {
        Change::Reset(objects) => Watched::Reset(objects),
        Change::Applied(object) => Watched::Applied(object),
        Change::Deleted(object) => Watched::Deleted(object),
    }
}

#[cfg(test)]
mod tests;
