//! A node's data plane and DNS: watches → Tracker → Tables and Zone, each applied when its turn comes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kelson_index::{Tracker, Watched};
use kelson_model::{Cidr, Endpoint, NodeView, Revision, Snapshot};
use kelson_plans::{Key, Resource};
use kelson_tables::{Options, Tables};
use kelson_zones::{Zone, ZoneConfig};
use serde_json::json;

use crate::api::Api;
use crate::controllers::typed;
use crate::random::Random;
use crate::watch::{Heard, Watch};

/// What new connections meet on one node, and how far behind the API that is.
pub struct Plane {
    tracker: Tracker,
    watches: [Watch; 3],
    compiler: kelson_tables::Compiler,
    zones: kelson_zones::Compiler,
    view: NodeView,
    /// The snapshot the tables were made of.
    pub snapshot: Arc<Snapshot>,
    pub tables: Arc<Tables>,
    pub zone: Arc<Zone>,
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
        let snapshot = Arc::new(Snapshot::default());
        let (tables, zone) = (compiler.compile(&snapshot, &view), zones.compile(&snapshot));
        let watches = [
            Resource::of::<Service>(true),
            Resource::of::<EndpointSlice>(true),
            Resource::of::<Namespace>(false),
        ];
        let watches = watches.map(Watch::new);
        Self { tracker: Tracker::new(), watches, compiler, zones, view, snapshot, tables, zone, behind: true }
    }

    /// The process begins anew; what the kernel has stays.
    pub fn restart(&mut self) {
        let fresh = Self::new(&self.view.name, self.view.addresses[0]);
        *self = Self { tables: self.tables.clone(), ..fresh };
    }

    pub fn cut(&mut self, random: &mut Random) {
        self.watches[random.below(3)].cut();
    }

    /// One change arrives. Whether there was one.
    pub fn hear(&mut self, api: &Api, random: &mut Random) -> bool {
        let behind: Vec<usize> = (0..3).filter(|index| self.watches[*index].is_behind(api)).collect();
        let Some(index) = random.of(&behind).copied() else { return false };
        let Some(heard) = self.watches[index].next(api) else { return false };
        match index {
            0 => fold(heard, |watched| self.tracker.services(watched)),
            1 => fold(heard, |watched| self.tracker.slices(watched)),
            _ => fold(heard, |watched| self.tracker.namespaces(watched)),
        }
        let revision =
            Revision { services: self.watches[0].version, endpoint_slices: self.watches[1].version };
        self.tracker.reached(revision);
        self.behind = true;
        true
    }

    /// What was heard so far is applied, once everything was listed. Whether that changed anything.
    pub fn apply(&mut self) -> bool {
        let snapshot = self.tracker.snapshot();
        self.behind = false;
        if !snapshot.synced || snapshot == self.snapshot {
            return false;
        }
        self.tables = self.compiler.compile(&snapshot, &self.view);
        self.zone = self.zones.compile(&snapshot);
        self.snapshot = snapshot;
        true
    }

    /// The zone as it would be made of the same snapshot by one who knows nothing else.
    pub fn zone_anew(&self) -> Arc<Zone> {
        let mut compiler = zone_compiler();
        compiler.compile(&self.snapshot)
    }

    pub fn is_busy(&self, api: &Api) -> bool {
        self.behind || self.watches.iter().any(|watch| watch.is_behind(api))
    }

    /// Whether a new connection to any Service may be sent to `address` as to a pod that stays. One that leaves gets them
    /// where nothing else is left, and waiting would not change that.
    pub fn sends_to(&self, address: IpAddr) -> bool {
        let stays = |endpoint: &Endpoint| endpoint.address == address && !endpoint.terminating;
        if !self.snapshot.endpoints.values().any(|list| list.iter().any(stays)) {
            return false;
        }
        let leads = |backends: &Arc<[SocketAddr]>| backends.iter().any(|backend| backend.ip() == address);
        self.tables.pools.values().any(|pool| leads(&pool.cluster) || leads(&pool.local))
    }
}

fn zone_compiler() -> kelson_zones::Compiler {
    kelson_zones::Compiler::new(ZoneConfig::new("cluster.local")).expect("the domain is well formed")
}

fn fold<K>(heard: Heard, take: impl FnOnce(Watched<'_, K>))
where
    K: serde::de::DeserializeOwned,
{
    match heard {
        Heard::Listed(objects) => {
            let objects: Vec<Arc<K>> = objects.iter().map(|object| typed(object)).collect();
            take(Watched::Reset(&objects));
        }
        Heard::Applied(object) => take(Watched::Applied(&*typed(&object))),
        Heard::Deleted(key) => take(Watched::Deleted(&named(&key))),
    }
}

/// A deleted object, as far as it is still known: its name.
fn named<K: serde::de::DeserializeOwned>(key: &Key) -> K {
    let object = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
    serde_json::from_value(object).expect("metadata alone is an object of any kind")
}
