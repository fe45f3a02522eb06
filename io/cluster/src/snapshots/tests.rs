//! Publishing: syncing, bursts folded together, and silence when nothing changed.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kelson_model::{ServiceName, Snapshot};
use tokio::sync::{mpsc, watch};

use super::{News, publish};
use crate::Change;

fn service(name: &str, cluster_ip: &str) -> News {
    let metadata =
        ObjectMeta { namespace: Some("shop".into()), name: Some(name.into()), ..ObjectMeta::default() };
    let spec =
        k8s_openapi::api::core::v1::ServiceSpec { cluster_ip: Some(cluster_ip.into()), ..Default::default() };
    News::Service(Change::Applied(Arc::new(Service { metadata, spec: Some(spec), status: None })), 0)
}

fn listed() -> Vec<News> {
    vec![
        News::Service(Change::Reset(Vec::new()), 0),
        News::Slice(Change::Reset(Vec::new()), 0),
        News::Namespace(Change::Reset(vec![Arc::new(Namespace {
            metadata: ObjectMeta { name: Some("shop".into()), ..ObjectMeta::default() },
            ..Namespace::default()
        })])),
    ]
}

struct World {
    news: mpsc::UnboundedSender<News>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// A publisher fed by hand.
fn start() -> World {
    let (news, mut reported) = mpsc::unbounded_channel();
    let (sender, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let stream = stream::poll_fn(move |context| reported.poll_recv(context)).boxed();
    tokio::spawn(async move { publish(stream, &sender).await });
    World { news, snapshots }
}

impl World {
    fn report(&self, news: impl IntoIterator<Item = News>) {
        news.into_iter().for_each(|one| self.news.send(one).ok().unwrap());
    }

    async fn next(&mut self) -> Arc<Snapshot> {
        self.snapshots.changed().await.unwrap();
        self.snapshots.borrow_and_update().clone()
    }
}

#[tokio::test]
async fn bursts_are_one_snapshot() {
    let mut world = start();
    world.report(listed());
    world.report((0..100).map(|i| service(&format!("s{i}"), &format!("10.96.1.{i}"))));
    let snapshot = world.next().await;
    assert!(snapshot.synced);
    assert_eq!((snapshot.generation, snapshot.services.len(), snapshot.namespaces.len()), (1, 100, 1));
}

#[tokio::test]
async fn what_changes_nothing_is_not_published() {
    let mut world = start();
    world.report(listed());
    world.report([service("cart", "10.96.1.1")]);
    assert_eq!(world.next().await.generation, 1);
    world.report([service("cart", "10.96.1.1")]);
    world.report(listed().into_iter().skip(1));
    tokio::task::yield_now().await;
    world.report([service("cart", "10.96.1.2")]);
    let snapshot = world.next().await;
    assert_eq!(snapshot.generation, 2);
    let cart = &snapshot.services[&ServiceName::new("shop", "cart")];
    assert_eq!(cart.cluster_ips, ["10.96.1.2".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_revision_is_published_though_nothing_else_changed() {
    let mut world = start();
    world.report(listed());
    let first = world.next().await;
    world.report([News::Slice(Change::Reset(Vec::new()), 7)]);
    let second = world.next().await;
    assert_eq!((first.generation, first.revision.endpoint_slices), (second.generation, 0));
    assert_eq!((second.revision.services, second.revision.endpoint_slices), (0, 7));
}

#[tokio::test]
async fn ends_when_nobody_listens() {
    let (news, mut reported) = mpsc::unbounded_channel();
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    drop(receiver);
    news.send(service("cart", "10.96.1.1")).ok().unwrap();
    let stream = stream::poll_fn(move |context| reported.poll_recv(context)).boxed();
    publish(stream, &sender).await;
}
