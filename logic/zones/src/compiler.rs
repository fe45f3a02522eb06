//! Snapshot to zone, incrementally: only Services, endpoints and namespaces that differ from the last snapshot are
//! compiled anew, found by the maps' own difference.
//!
//! Invariant: the zone is the same as one compiled from nothing. Every forward name belongs to one Service; reverse names
//! may have several (spec D1.13), so their contributions are kept by Service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use kelson_model::{Endpoint, EndpointMap, Service, ServiceName, ServicePortName, Snapshot};

use crate::compiler::service::{Place, compile_service};
use crate::config::PodRecords;
use crate::name::Name;
use crate::node::Node;
use crate::records::{self, RecordSet};
use crate::zone::{Keyed, Names, Zone};
use crate::{ZoneConfig, rtype};

mod service;

/// Seconds the version record may be kept, as CoreDNS has it (spec D1.1).
const VERSION_TTL: u32 = 28_800;

/// Version of the schema of these names (spec D1.1).
const SCHEMA_VERSION: &str = "1.1.0";

/// The cluster's domain cannot be a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDomain(pub String);

impl std::fmt::Display for BadDomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cluster domain {:?} is no domain name of one or more labels of 1 to 63 bytes", self.0)
    }
}

impl std::error::Error for BadDomain {}

/// What one Service put into the zone.
#[derive(Clone, Debug, Default)]
struct Owned {
    names: Box<[Name]>,
    addresses: Box<[IpAddr]>,
}

/// What an address is called, and by whose word. One flat set: a set a name would be many times what it holds.
type Pointer = (IpAddr, ServiceName, Name);

/// Compiles snapshots into zones.
#[derive(Clone, Debug)]
pub struct Compiler {
    config: ZoneConfig,
    place: Place,
    pod_parent: Name,
    server: Name,
    mailbox: Name,
    last: Snapshot,
    names: Names,
    owned: BTreeMap<ServiceName, Owned>,
    pointers: BTreeSet<Pointer>,
}

impl Compiler {
    /// A compiler for `config.domain`, which must be a domain name of at least one label.
    pub fn new(config: ZoneConfig) -> Result<Self, BadDomain> {
        let bad = || BadDomain(config.domain.clone());
        let apex = Name::parse(&config.domain).filter(|name| name.wire().len() > 1).ok_or_else(bad)?;
        let below = |labels: &[&str]| apex.below(labels.iter().copied()).ok_or_else(bad);
        let place = Place { services: below(&["svc"])?, ttl: config.ttl_seconds };
        let (pod_parent, server, mailbox) =
            (below(&["pod"])?, below(&["ns", "dns"])?, below(&["hostmaster"])?);
        let mut compiler = Self {
            names: Names::with_hasher(Keyed(config.hash_seed)),
            place,
            pod_parent,
            server,
            mailbox,
            last: Snapshot::default(),
            owned: BTreeMap::new(),
            pointers: BTreeSet::new(),
            config,
        };
        compiler.insert_fixed(&apex, below_version(&apex));
        Ok(compiler)
    }

    /// The zone of `snapshot`.
    pub fn compile(&mut self, snapshot: &Snapshot) -> Arc<Zone> {
        self.update_namespaces(snapshot);
        let mut addresses = BTreeSet::new();
        for name in snapshot.changed_since(&self.last) {
            self.update_service(&name, snapshot, &mut addresses);
        }
        addresses.into_iter().for_each(|address| self.update_pointer(address));
        self.last = snapshot.clone();
        Arc::new(self.zone(snapshot))
    }

    fn zone(&mut self, snapshot: &Snapshot) -> Zone {
        let apex = Name::parse(&self.config.domain).expect("checked when the compiler was made");
        let serial = u32::try_from(snapshot.generation & u64::from(u32::MAX)).unwrap_or_default();
        let ttl = self.config.ttl_seconds;
        let negative_ttl = self.config.negative_ttl_seconds.min(ttl);
        let soa = records::soa(&self.server, &self.mailbox, serial, negative_ttl);
        let negative = RecordSet::new(rtype::SOA, negative_ttl, [soa.clone()]);
        let soa = RecordSet::new(rtype::SOA, ttl, [soa]);
        let ns = RecordSet::new(rtype::NS, ttl, [self.server.wire().to_vec()]);
        let negative: Box<[u8]> = negative.iter().next().unwrap_or_default().into();
        self.names.insert(apex.clone(), Arc::new(Node::new([soa, ns])));
        Zone {
            generation: snapshot.generation,
            synced: snapshot.synced,
            apex,
            names: self.names.clone(),
            negative,
            ttl,
            pods: self.config.pods == PodRecords::Insecure,
            ranges: self.config.ranges.clone().into(),
        }
    }

    /// Names that are there whatever the cluster holds (spec D1.1, D2.1).
    fn insert_fixed(&mut self, apex: &Name, version: Option<Name>) {
        let addresses = self.config.server_addresses.clone();
        let server = service::address_sets(&addresses, self.config.ttl_seconds);
        self.names.insert(self.server.clone(), Arc::new(Node::new(server)));
        self.names.insert(apex.clone(), Arc::default());
        self.names.insert(self.place.services.clone(), Arc::default());
        self.names.insert(self.pod_parent.clone(), Arc::default());
        if let Some(version) = version {
            let text = RecordSet::new(rtype::TXT, VERSION_TTL, [records::txt(SCHEMA_VERSION)]);
            self.names.insert(version, Arc::new(Node::new([text])));
        }
    }

    /// `<namespace>.svc.<zone>` and `<namespace>.pod.<zone>` exist without records (spec D2.2).
    fn update_namespaces(&mut self, snapshot: &Snapshot) {
        if self.last.namespaces == snapshot.namespaces {
            return;
        }
        let gone = self.last.namespaces.clone().relative_complement(snapshot.namespaces.clone());
        let new = snapshot.namespaces.clone().relative_complement(self.last.namespaces.clone());
        for namespace in &gone {
            for name in self.namespace_names(namespace) {
                self.names.remove(name.wire());
            }
        }
        for namespace in &new {
            for name in self.namespace_names(namespace) {
                self.names.insert(name, Arc::default());
            }
        }
    }

    fn namespace_names(&self, namespace: &str) -> Vec<Name> {
        let with_pods = (self.config.pods == PodRecords::Insecure).then_some(&self.pod_parent);
        let parents = [Some(&self.place.services), with_pods].into_iter().flatten();
        parents.filter_map(|parent| parent.below([namespace])).collect()
    }

    fn update_service(&mut self, name: &ServiceName, snapshot: &Snapshot, addresses: &mut BTreeSet<IpAddr>) {
        let before = self.owned.remove(name).unwrap_or_default();
        let service = snapshot.services.get(name);
        let compiled = service
            .map(|service| compile_service(&self.place, service, &endpoints_of(service, snapshot)))
            .unwrap_or_default();
        for name in before.names.iter().filter(|name| !compiled.nodes.contains_key(*name)) {
            self.names.remove(name.wire());
        }
        before.addresses.iter().for_each(|address| self.drop_pointers(*address, name));
        let owned = Owned {
            names: compiled.nodes.keys().cloned().collect(),
            addresses: compiled.pointers.keys().copied().collect(),
        };
        addresses.extend(&before.addresses);
        addresses.extend(&owned.addresses);
        for (name, node) in compiled.nodes {
            self.names.insert(name, Arc::new(node));
        }
        for (address, names) in compiled.pointers {
            self.pointers.extend(names.into_iter().map(|called| (address, name.clone(), called)));
        }
        if !owned.names.is_empty() {
            self.owned.insert(name.clone(), owned);
        }
    }

    fn drop_pointers(&mut self, address: IpAddr, name: &ServiceName) {
        let first = (address, name.clone(), Name::least());
        let of_service = |(of, by, _): &&Pointer| *of == address && by == name;
        let gone: Vec<Pointer> = self.pointers.range(first..).take_while(of_service).cloned().collect();
        for pointer in gone {
            self.pointers.remove(&pointer);
        }
    }

    /// Writes the reverse name of `address` from what Services say about it (spec D1.4, D1.8).
    fn update_pointer(&mut self, address: IpAddr) {
        let reverse = Name::reverse(address);
        let first = (address, ServiceName::new("", ""), Name::least());
        let of_address = self.pointers.range(first..).take_while(|(of, _, _)| *of == address);
        let names = of_address.map(|(_, _, name)| name.wire().to_vec());
        let set = RecordSet::new(rtype::PTR, self.config.ttl_seconds, names);
        if set.count == 0 {
            self.names.remove(reverse.wire());
            return;
        }
        self.names.insert(reverse, Arc::new(Node::new([set])));
    }
}

fn below_version(apex: &Name) -> Option<Name> {
    apex.below(["dns-version"])
}

/// The endpoints of each of a Service's ports, by port name.
fn endpoints_of<'a>(service: &Service, snapshot: &'a Snapshot) -> Vec<(&'a ServicePortName, &'a [Endpoint])> {
    let endpoints: &EndpointMap = &snapshot.endpoints;
    let from_first = endpoints.range(service.name.port("")..);
    let own = from_first.take_while(|(port, _)| port.service == service.name);
    own.map(|(port, list)| (port, list.as_ref())).collect()
}

#[cfg(test)]
mod tests;
