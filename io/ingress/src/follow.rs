//! Following the API: Ingresses, IngressClasses, TLS Secrets and the snapshot of Services become tables, as they change.
//!
//! What queued up meanwhile is folded together, so a burst costs one table. Nothing is published before each kind has been
//! listed once. Warnings are logged when they appear, not at each table. Never decides who serves what.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kelson_cluster::{Change, Selection, reflect};
use kelson_model::Snapshot;
use kelson_process::Shutdown;
use kelson_routes::{Compiler, RouteTable, SecretName, StatusWrite, plan_status};
use kube::{Api, Resource};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::certificates::{self, CertificateError, Certificates};
use crate::config::Config;
use crate::routing::Publisher;
use crate::status;

/// Most changes folded into one table.
const BATCH_MAX: usize = 4096;

/// Which Secrets are asked for.
const TLS_SECRETS: &str = "type=kubernetes.io/tls";

enum News {
    Ingress(Change<Ingress>),
    Class(Change<IngressClass>),
    Secret(Change<Secret>),
    Snapshot(Arc<Snapshot>),
}

/// Follows the API and publishes tables until `shutdown`; writes the addresses of `config` into the status of the
/// Ingresses that are served.
pub async fn follow(
    client: kube::Client,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    config: Config,
    publisher: Publisher,
    shutdown: Shutdown,
) {
    let (plans, planned) = watch::channel(Vec::new());
    let following = Following::new(config, publisher, plans);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = following.run(news(client.clone(), snapshots)) => {}
        () = status::write(client, planned) => {}
    }
}

fn news(
    client: kube::Client,
    snapshots: watch::Receiver<Arc<Snapshot>>,
) -> Pin<Box<dyn Stream<Item = News> + Send>> {
    let ingresses = reflect(Api::<Ingress>::all(client.clone()), Selection::default()).map(News::Ingress);
    let classes = reflect(Api::<IngressClass>::all(client.clone()), Selection::default()).map(News::Class);
    let secrets = reflect(Api::<Secret>::all(client), Selection::fields(TLS_SECRETS)).map(News::Secret);
    let snapshots = stream::unfold((snapshots, true), |(mut snapshots, is_first)| async move {
        if !is_first {
            snapshots.changed().await.ok()?;
        }
        let snapshot = snapshots.borrow_and_update().clone();
        Some((News::Snapshot(snapshot), (snapshots, false)))
    });
    Box::pin(stream::select(stream::select(ingresses, classes), stream::select(secrets, snapshots)))
}

/// The objects of a kind, once listed.
struct Objects<K>(Option<BTreeMap<(String, String), Arc<K>>>);

impl<K: Resource> Objects<K> {
    fn fold(&mut self, change: Change<K>) {
        let key = |object: &Arc<K>| {
            let metadata = object.meta();
            (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
        };
        let known = self.0.get_or_insert_default();
        match change {
            Change::Reset(objects) => {
                *known = objects.into_iter().map(|object| (key(&object), object)).collect()
            }
            Change::Applied(object) => {
                known.insert(key(&object), object);
            }
            Change::Deleted(object) => {
                known.remove(&key(&object));
            }
        }
    }

    fn list(&self) -> Vec<Arc<K>> {
        self.0.iter().flat_map(BTreeMap::values).cloned().collect()
    }
}

/// A Secret as read, kept until the Secret changes.
type Read = (Arc<Secret>, Result<Arc<CertifiedKey>, CertificateError>);

struct Following {
    config: Config,
    publisher: Publisher,
    plans: watch::Sender<Vec<StatusWrite>>,
    compiler: Compiler,
    ingresses: Objects<Ingress>,
    classes: Objects<IngressClass>,
    secrets: Objects<Secret>,
    snapshot: Arc<Snapshot>,
    read: BTreeMap<SecretName, Read>,
    served: BTreeSet<kelson_routes::IngressName>,
    /// Of rules, and of certificates.
    warned: [BTreeSet<String>; 2],
}

impl Following {
    fn new(config: Config, publisher: Publisher, plans: watch::Sender<Vec<StatusWrite>>) -> Self {
        Self {
            compiler: Compiler::new(config.routes.clone()),
            config,
            publisher,
            plans,
            ingresses: Objects(None),
            classes: Objects(None),
            secrets: Objects(None),
            snapshot: Arc::default(),
            read: BTreeMap::new(),
            served: BTreeSet::new(),
            warned: Default::default(),
        }
    }

    async fn run(mut self, mut news: Pin<Box<dyn Stream<Item = News> + Send>>) {
        while let Some(first) = news.next().await {
            let mut has_new_rules = self.fold(first);
            let mut folded = 1;
            while folded < BATCH_MAX
                && let Some(Some(next)) = news.next().now_or_never()
            {
                has_new_rules |= self.fold(next);
                folded += 1;
            }
            self.publish(has_new_rules);
        }
    }

    /// Takes a change in; whether it may change rules.
    fn fold(&mut self, news: News) -> bool {
        match news {
            News::Ingress(change) => self.ingresses.fold(change),
            News::Class(change) => self.classes.fold(change),
            News::Secret(change) => {
                self.secrets.fold(change);
                return false;
            }
            News::Snapshot(snapshot) => {
                self.snapshot = snapshot;
                return false;
            }
        }
        true
    }

    fn publish(&mut self, has_new_rules: bool) {
        if has_new_rules {
            self.take_rules();
        }
        if self.ingresses.0.is_none() || self.classes.0.is_none() || self.secrets.0.is_none() {
            return;
        }
        let table = self.compiler.compile(&self.snapshot);
        let certificates = self.certificates(&table);
        self.publisher.publish(table, certificates);
    }

    fn take_rules(&mut self) {
        if self.ingresses.0.is_none() || self.classes.0.is_none() {
            return;
        }
        let (ingresses, classes) = (self.ingresses.list(), self.classes.list());
        let warnings = self.compiler.ingresses(&ingresses, &classes);
        warn(&mut self.warned[0], warnings.into_iter().collect());
        if !self.config.status_addresses.is_empty() {
            let addresses = &self.config.status_addresses;
            let class = &self.config.routes.class;
            let writes = plan_status(&ingresses, &classes, class, addresses, &mut self.served);
            self.plans.send_replace(writes);
        }
    }

    /// The certificates that `table` names; what is wrong with the others is logged.
    fn certificates(&mut self, table: &RouteTable) -> Certificates {
        let known = self.secrets.0.as_ref();
        let (mut certificates, mut warnings) = (Certificates::new(), BTreeSet::new());
        let mut read = BTreeMap::new();
        for name in table.secrets() {
            if read.contains_key(name) {
                continue;
            }
            let key = (name.namespace.to_string(), name.name.to_string());
            let Some(secret) = known.and_then(|known| known.get(&key)) else {
                let shown = "its hosts show the default certificate";
                warnings.insert(format!(
                    "there is no secret {}/{} of type kubernetes.io/tls; {shown}",
                    name.namespace, name.name
                ));
                continue;
            };
            let before = self.read.remove(name).filter(|(before, _)| Arc::ptr_eq(before, secret));
            let (secret, outcome) = before.unwrap_or_else(|| (secret.clone(), certificates::read(secret)));
            match &outcome {
                Ok(certificate) => drop(certificates.insert(name.clone(), certificate.clone())),
                Err(error) => drop(warnings.insert(described(name, error))),
            }
            read.insert(name.clone(), (secret, outcome));
        }
        self.read = read;
        warn(&mut self.warned[1], warnings);
        certificates
    }
}

fn described(name: &SecretName, error: &CertificateError) -> String {
    let mut text = format!("secret {}/{}: {error}", name.namespace, name.name);
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// Logs those that were not there before.
fn warn(before: &mut BTreeSet<String>, now: BTreeSet<String>) {
    for warning in now.difference(before) {
        tracing::warn!("{warning}");
    }
    *before = now;
}
