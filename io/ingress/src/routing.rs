//! The table of the moment, ready for requests: decisions of `kelson-routes` joined with connections, resolved names and
//! certificates. Made anew at each change and swapped in whole; requests under way keep the one they began with.
//!
//! Invariant: what a change does not touch keeps its connections, its turn in the round and its resolved names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use kelson_routes::{AppProtocol, Backend, Decision, RouteTable, SecretName, Target, Unavailable};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::balance::Balance;
use crate::certificates::Certificates;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::names::{External, Resolver};
use crate::upstream::Upstreams;

/// How requests get to a backend.
#[derive(Clone)]
pub(crate) enum Reach {
    /// To one of these.
    Endpoints(Arc<Balance>),
    /// To what a name leads to.
    External(Arc<External>),
    /// Not at all.
    Unavailable(Unavailable),
}

/// The table of the moment.
#[derive(Default)]
pub struct Routing {
    /// `None` until the cluster is known.
    table: Option<RouteTable>,
    reach: Vec<Reach>,
    certificates: Certificates,
}

/// What becomes of a request.
pub(crate) enum Way<'r> {
    /// It goes there, spoken to like this; a plain request is to be redirected when the host has a certificate.
    To(&'r Reach, AppProtocol, bool),
    /// No rule is for it.
    NotFound,
    /// The cluster is not known yet.
    Starting,
}

impl Routing {
    /// What becomes of a request for `path` of `host`.
    pub(crate) fn way(&self, host: &str, path: &str) -> Way<'_> {
        let Some(table) = self.table.as_ref().filter(|table| table.synced()) else { return Way::Starting };
        match table.decide(host, path) {
            Decision::NotFound => Way::NotFound,
            Decision::Backend(route) => match self.reach.get(route.id.0) {
                Some(reach) => Way::To(reach, route.backend.protocol, route.redirect),
                None => Way::NotFound,
            },
        }
    }

    /// The certificate for a host, if there is a usable one.
    pub(crate) fn certificate(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        self.certificates.get(self.table.as_ref()?.certificate(host)?)
    }

    /// The snapshot it was made of; 0 when the cluster is not known yet.
    pub fn generation(&self) -> u64 {
        self.table.as_ref().map_or(0, RouteTable::generation)
    }
}

/// The table of the moment as one worker sees it: looked up without touching what workers share, unless it has changed.
pub(crate) struct Seen(Mutex<(watch::Receiver<Arc<Routing>>, Arc<Routing>)>);

impl Seen {
    pub(crate) fn new(mut receiver: watch::Receiver<Arc<Routing>>) -> Self {
        let routing = receiver.borrow_and_update().clone();
        Self(Mutex::new((receiver, routing)))
    }

    /// What `look` finds in the table of the moment.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Routing) -> T) -> T {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (receiver, routing) = &mut *seen;
        // An error means that nobody publishes any more; the last table goes on to count.
        if receiver.has_changed().unwrap_or(false) {
            routing.clone_from(&receiver.borrow_and_update());
        }
        look(routing)
    }
}

/// Makes tables ready for requests.
pub struct Publisher {
    sender: watch::Sender<Arc<Routing>>,
    upstreams: Arc<Upstreams>,
    resolver: Arc<Resolver>,
    metrics: Arc<Metrics>,
    /// Names in use, so that a change of rules does not forget what they led to.
    externals: BTreeMap<(Arc<str>, u16, bool), Weak<External>>,
}

impl Publisher {
    /// A publisher, and where its tables appear; the first knows no cluster.
    pub fn new(config: &Config) -> (Self, watch::Receiver<Arc<Routing>>) {
        let (sender, receiver) = watch::channel(Arc::new(Routing::default()));
        let upstreams = Arc::new(Upstreams::new(Arc::new(config.limits.clone()), config.workers));
        let (resolver, metrics) = (Arc::new(Resolver::new(config)), Metrics::new(config.workers));
        (Self { sender, upstreams, resolver, metrics, externals: BTreeMap::new() }, receiver)
    }

    /// Makes `table`, with these Secrets' certificates, the one that counts.
    pub fn publish(&mut self, table: RouteTable, certificates: BTreeMap<SecretName, Arc<CertifiedKey>>) {
        let before = self.sender.borrow().clone();
        let backends = table.backends().iter().enumerate();
        let reach = backends.map(|(index, backend)| match unchanged(&before, index, &table) {
            Some(reach) => reach.clone(),
            None => self.reach(backend),
        });
        let reach = reach.collect();
        let now_s = u64::try_from(kelson_process::now().as_second()).unwrap_or_default();
        self.metrics.reloaded(now_s, certificates.len());
        self.sender.send_replace(Arc::new(Routing { table: Some(table), reach, certificates }));
    }

    fn reach(&mut self, backend: &Backend) -> Reach {
        let is_tls = backend.protocol == AppProtocol::Https;
        match &backend.target {
            Target::Unavailable(why) => Reach::Unavailable(*why),
            Target::External { name, port } => Reach::External(self.external(name, *port, is_tls)),
            Target::Endpoints(addresses) => {
                let upstreams = self.upstreams.of(addresses, is_tls);
                match Balance::new(upstreams, usize::from(kelson_process::random_u64().to_le_bytes()[0])) {
                    Some(balance) => Reach::Endpoints(Arc::new(balance)),
                    None => Reach::Unavailable(Unavailable::NoEndpoint),
                }
            }
        }
    }

    fn external(&mut self, name: &Arc<str>, port: u16, is_tls: bool) -> Arc<External> {
        let key = (name.clone(), port, is_tls);
        if let Some(known) = self.externals.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        self.externals.retain(|_, known| known.strong_count() > 0);
        let (resolver, upstreams) = (self.resolver.clone(), self.upstreams.clone());
        let external = Arc::new(External::new(name.clone(), (port, is_tls), resolver, upstreams));
        self.externals.insert(key, Arc::downgrade(&external));
        external
    }

    /// What is counted, to be shown.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// What keeps connections: to be swept now and then.
    pub(crate) fn upstreams(&self) -> Arc<Upstreams> {
        self.upstreams.clone()
    }
}

/// How the backend at `index` was reached before, if it is the same and leads to the same.
fn unchanged<'r>(before: &'r Routing, index: usize, table: &RouteTable) -> Option<&'r Reach> {
    let old = before.table.as_ref()?.backends().get(index)?;
    (Some(old) == table.backends().get(index)).then(|| before.reach.get(index))?
}
