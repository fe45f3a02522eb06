//! The table of the moment, ready for requests: decisions of `kelson-routes` joined with connections, resolved names and
//! certificates. Made anew at each change and swapped in whole; requests under way keep the one they began with.
//!
//! Invariant: what a change does not touch keeps its connections, its turn in the round and its resolved names.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use kelson_routes::{Decision, RouteTable, SecretName, Target, Unavailable};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::balance::Balance;
use crate::certificates::Certificates;
use crate::config::Config;
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
    /// It goes there; a plain request is to be redirected when the host has a certificate.
    To(&'r Reach, bool),
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
                Some(reach) => Way::To(reach, route.redirect),
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

/// Makes tables ready for requests.
pub struct Publisher {
    sender: watch::Sender<Arc<Routing>>,
    upstreams: Arc<Upstreams>,
    resolver: Arc<Resolver>,
    /// Names in use, so that a change of rules does not forget what they led to.
    externals: BTreeMap<(Arc<str>, u16), Weak<External>>,
}

impl Publisher {
    /// A publisher, and where its tables appear; the first knows no cluster.
    pub fn new(config: &Config) -> (Self, watch::Receiver<Arc<Routing>>) {
        let (sender, receiver) = watch::channel(Arc::new(Routing::default()));
        let upstreams = Arc::new(Upstreams::new(Arc::new(config.limits.clone())));
        let resolver = Arc::new(Resolver::new(config));
        (Self { sender, upstreams, resolver, externals: BTreeMap::new() }, receiver)
    }

    /// Makes `table`, with these Secrets' certificates, the one that counts.
    pub fn publish(&mut self, table: RouteTable, certificates: BTreeMap<SecretName, Arc<CertifiedKey>>) {
        let before = self.sender.borrow().clone();
        let backends = table.backends().iter().enumerate();
        let reach = backends.map(|(index, backend)| match unchanged(&before, index, &table) {
            Some(reach) => reach.clone(),
            None => self.reach(&backend.target),
        });
        let reach = reach.collect();
        self.sender.send_replace(Arc::new(Routing { table: Some(table), reach, certificates }));
    }

    fn reach(&mut self, target: &Target) -> Reach {
        match target {
            Target::Unavailable(why) => Reach::Unavailable(*why),
            Target::External { name, port } => Reach::External(self.external(name, *port)),
            Target::Endpoints(addresses) => {
                let upstreams = self.upstreams.of(addresses);
                match Balance::new(upstreams, usize::from(kelson_process::random_u64().to_le_bytes()[0])) {
                    Some(balance) => Reach::Endpoints(Arc::new(balance)),
                    None => Reach::Unavailable(Unavailable::NoEndpoint),
                }
            }
        }
    }

    fn external(&mut self, name: &Arc<str>, port: u16) -> Arc<External> {
        let key = (name.clone(), port);
        if let Some(known) = self.externals.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        self.externals.retain(|_, known| known.strong_count() > 0);
        let external = External::new(name.clone(), port, self.resolver.clone(), self.upstreams.clone());
        let external = Arc::new(external);
        self.externals.insert(key, Arc::downgrade(&external));
        external
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
