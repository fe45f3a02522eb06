//! A node's data plane, DNS and routes: watches → Tracker → Tables, Zone and RouteTable, each applied when its turn comes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kelson_index::{Tracker, Watched};
use kelson_model::{Cidr, Endpoint, NodeView, Revision, Snapshot};
use kelson_plans::{Key, Resource};
use kelson_routes::{IngressName, RouteConfig, RouteTable, StatusWrite, plan_status};
use kelson_tables::{Options, Tables};
use kelson_zones::{Zone, ZoneConfig};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::Api;
use crate::random::Random;
use crate::watch::{Heard, Watch};

/// What new connections meet on one node, and how far behind the API that is.
pub struct Plane {
    tracker: Tracker,
    /// Services, EndpointSlices, Namespaces, Ingresses, IngressClasses.
    watches: [Watch; 5],
    compiler: kelson_tables::Compiler,
    zones: kelson_zones::Compiler,
    router: kelson_routes::Compiler,
    ingresses: BTreeMap<Key, Arc<Ingress>>,
    classes: BTreeMap<Key, Arc<IngressClass>>,
    served: BTreeSet<IngressName>,
    view: NodeView,
    /// The snapshot the tables were made of.
    pub snapshot: Arc<Snapshot>,
    pub tables: Arc<Tables>,
    pub zone: Arc<Zone>,
    pub routes: RouteTable,
    /// Something was heard that is not applied yet.
    behind: bool,
}

impl Plane {
    pub fn new(node: &str, address: IpAddr) -> Self {
        let cidr = |text: &str| Cidr::parse(text).expect("a range");
        let view = NodeView {
            name: node.into(),
            addresses: vec![address],
            zone: None,
            service_cidrs: vec![cidr("10.96.0.0/28")],
            pod_cidrs: vec![cidr("10.244.0.0/16")],
            host_ports: Arc::default(),
        };
        let mut compiler = kelson_tables::Compiler::new(Options::default());
        let mut zones = zone_compiler();
        let router = kelson_routes::Compiler::new(RouteConfig::new("cluster.local"));
        let snapshot = Arc::new(Snapshot::default());
        let (tables, zone) = (compiler.compile(&snapshot, &view), zones.compile(&snapshot));
        let routes = router.compile(&snapshot);
        let watches = [
            Resource::of::<Service>(true),
            Resource::of::<EndpointSlice>(true),
            Resource::of::<Namespace>(false),
            Resource::of::<Ingress>(true),
            Resource::of::<IngressClass>(false),
        ];
        let watches = watches.map(Watch::new);
        let (ingresses, classes, served) = Default::default();
        let tracker = Tracker::new();
        Self {
            tracker,
            watches,
            compiler,
            zones,
            router,
            ingresses,
            classes,
            served,
            view,
            snapshot,
            tables,
            zone,
            routes,
            behind: true,
        }
    }

    /// The process begins anew; what the kernel has stays.
    pub fn restart(&mut self) {
        let fresh = self.fresh();
        *self = Self { tables: self.tables.clone(), ..fresh };
    }

    /// The machine begins anew, with nothing.
    pub fn fresh(&self) -> Self {
        Self::new(&self.view.name, self.view.addresses[0])
    }

    pub fn cut(&mut self, random: &mut Random) {
        self.watches[random.below(5)].cut(random);
    }

    /// Whether there is anything to hear.
    pub fn can_hear(&self, api: &Api) -> bool {
        self.watches.iter().any(|watch| watch.is_behind(api))
    }

    /// One change arrives.
    pub fn hear(&mut self, api: &Api, random: &mut Random) {
        let behind: Vec<usize> = (0..5).filter(|index| self.watches[*index].is_behind(api)).collect();
        let Some(index) = random.of(&behind).copied() else { return };
        let Some(heard) = self.watches[index].next(api) else { return };
        match index {
            0 => fold(heard, |watched| self.tracker.services(watched)),
            1 => fold(heard, |watched| self.tracker.slices(watched)),
            2 => fold(heard, |watched| self.tracker.namespaces(watched)),
            3 => keep(heard, &mut self.ingresses),
            _ => keep(heard, &mut self.classes),
        }
        if index >= 3 {
            let ingresses: Vec<_> = self.ingresses.values().cloned().collect();
            let classes: Vec<_> = self.classes.values().cloned().collect();
            self.router.ingresses(&ingresses, &classes);
        }
        let revision =
            Revision { services: self.watches[0].version, endpoint_slices: self.watches[1].version };
        self.tracker.reached(revision);
        self.behind = true;
    }

    /// Whether anything was heard that is not applied.
    pub fn can_apply(&self) -> bool {
        self.behind
    }

    /// What was heard so far is applied, once everything was listed.
    pub fn apply(&mut self) {
        let snapshot = self.tracker.snapshot();
        self.behind = false;
        if self.watches[3..].iter().all(Watch::is_synced) {
            self.routes = self.router.compile(&snapshot);
        }
        if !snapshot.synced || snapshot == self.snapshot {
            return;
        }
        self.tables = self.compiler.compile(&snapshot, &self.view);
        self.zone = self.zones.compile(&snapshot);
        self.snapshot = snapshot;
    }

    /// What Ingresses are to be told of where they are served.
    pub fn statuses(&mut self) -> Vec<StatusWrite> {
        if !self.watches[3..].iter().all(Watch::is_synced) {
            return Vec::new();
        }
        let ingresses: Vec<_> = self.ingresses.values().cloned().collect();
        let classes: Vec<_> = self.classes.values().cloned().collect();
        let class = RouteConfig::new("cluster.local").class;
        plan_status(&ingresses, &classes, &class, &self.view.addresses, &mut self.served)
    }

    /// The zone as it would be made of the same snapshot by one who knows nothing else.
    pub fn zone_anew(&self) -> Arc<Zone> {
        let mut compiler = zone_compiler();
        compiler.compile(&self.snapshot)
    }

    /// Whether a new connection to any Service may be sent to `address` as to a pod that stays. One that leaves gets them
    /// where nothing else is left, or where its Service publishes it whatever it says; waiting would not change that.
    pub fn sends_to(&self, address: IpAddr) -> bool {
        let stays = |endpoint: &Endpoint| endpoint.address == address && !endpoint.terminating;
        let mut open = self.snapshot.endpoints.iter().filter(|(_, list)| list.iter().any(stays));
        // Slices may outlive their Service, and lead nowhere then.
        if !open.any(|(port, _)| self.snapshot.services.contains_key(&port.service)) {
            return false;
        }
        let leads = |backends: &Arc<[SocketAddr]>| backends.iter().any(|backend| backend.ip() == address);
        self.tables.pools.values().any(|pool| leads(&pool.cluster) || leads(&pool.local))
    }
}

fn zone_compiler() -> kelson_zones::Compiler {
    kelson_zones::Compiler::new(ZoneConfig::new("cluster.local")).expect("the domain is well formed")
}

fn fold<K: DeserializeOwned + Send + Sync + 'static>(heard: Heard, take: impl FnOnce(Watched<'_, K>)) {
    match heard {
        Heard::Listed(objects) => {
            let objects: Vec<Arc<K>> = objects.iter().map(|object| object.typed()).collect();
            take(Watched::Reset(&objects));
        }
        Heard::Applied(object) => take(Watched::Applied(&*object.typed())),
        Heard::Deleted(key) => take(Watched::Deleted(&named(&key))),
    }
}

fn keep<K: DeserializeOwned + Send + Sync + 'static>(heard: Heard, kept: &mut BTreeMap<Key, Arc<K>>) {
    use kelson_machinery::meta::{name, namespace};
    let key = |object: &serde_json::Value| Key::new(namespace(object), name(object));
    match heard {
        Heard::Listed(objects) => {
            *kept = objects.iter().map(|object| (key(object), object.typed())).collect();
        }
        Heard::Applied(object) => drop(kept.insert(key(&object), object.typed())),
        Heard::Deleted(key) => drop(kept.remove(&key)),
    }
}

/// A deleted object, as far as it is still known: its name.
fn named<K: DeserializeOwned>(key: &Key) -> K {
    let object = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
    serde_json::from_value(object).expect("metadata alone is an object of any kind")
}
