//! One Service and its endpoints become names and records. Pure in the narrowest sense: nothing but these inputs counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use kelson_model::{Endpoint, Exposure, Protocol, Service, ServicePortName};

use crate::name::Name;
use crate::node::{Extra, Node};
use crate::records::{self, RecordSet};
use crate::rtype;

/// Where Services are named, and how long records may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `svc.<zone>`.
    pub services: Name,
    /// Seconds.
    pub ttl: u32,
}

/// What one Service puts into the zone.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Forward names.
    pub nodes: BTreeMap<Name, Node>,
    /// What its addresses are called.
    pub pointers: BTreeMap<IpAddr, BTreeSet<Name>>,
}

/// One thing an SRV record or address leads to: a port at a target with addresses.
#[derive(Clone, Debug)]
struct Served {
    port_name: std::sync::Arc<str>,
    protocol: Protocol,
    /// 0 when it has addresses only (spec D1.15).
    port: u16,
    target: Name,
    address: IpAddr,
}

/// Compiles `service`, whose endpoints are `endpoints` by port.
pub(crate) fn compile_service(
    place: &Place,
    service: &Service,
    endpoints: &[(&ServicePortName, &[Endpoint])],
) -> Compiled {
    let labels = [service.name.name.as_ref(), service.name.namespace.as_ref()];
    let Some(name) = place.services.below(labels) else { return Compiled::default() };
    let mut writer = ServiceWriter { place, name, compiled: Compiled::default() };
    if let Exposure::ExternalName(target) = &service.exposure {
        writer.alias(target);
        return writer.compiled;
    }
    let per_endpoint = writer.endpoints(service, endpoints);
    writer.endpoint_names(&per_endpoint);
    if service.exposure == Exposure::Headless {
        if !per_endpoint.is_empty() {
            writer.service_names(&per_endpoint, &[]);
        }
    } else {
        let served = writer.cluster_ips(service);
        writer.service_names(&served, &service.cluster_ips);
        service.cluster_ips.iter().for_each(|address| writer.pointer(*address, writer.name.clone()));
    }
    writer.compiled
}

struct ServiceWriter<'a> {
    place: &'a Place,
    name: Name,
    compiled: Compiled,
}

impl ServiceWriter<'_> {
    /// ExternalName: a CNAME, unless the name is an address (spec D1.9, D2.7).
    fn alias(&mut self, target: &str) {
        let Some(content) = Name::parse(target).filter(|name| name.wire().len() > 1) else { return };
        if target.parse::<IpAddr>().is_err() {
            let set = RecordSet::new(rtype::CNAME, self.place.ttl, [content.wire().to_vec()]);
            self.compiled.nodes.insert(self.name.clone(), Node::new([set]));
        }
    }

    /// Every ClusterIP on every port (spec D1.2, D1.3).
    fn cluster_ips(&self, service: &Service) -> Vec<Served> {
        let ports =
            service.ports.iter().flat_map(|port| service.cluster_ips.iter().map(move |ip| (port, *ip)));
        ports
            .map(|(port, address)| Served {
                port_name: port.name.clone(),
                protocol: port.protocol,
                port: port.port,
                target: self.name.clone(),
                address,
            })
            .collect()
    }

    /// Every ready endpoint on every port, under its own name (spec D1.5, D1.6).
    fn endpoints(&self, service: &Service, endpoints: &[(&ServicePortName, &[Endpoint])]) -> Vec<Served> {
        let mut served = Vec::new();
        for (port, list) in endpoints {
            let declared = service.ports.iter().find(|declared| declared.name == port.port);
            let protocol = declared.map_or(Protocol::Tcp, |declared| declared.protocol);
            for endpoint in list.iter().filter(|endpoint| endpoint.ready) {
                let Some(target) = self.name.below([host_label(endpoint).as_str()]) else { continue };
                served.push(Served {
                    port_name: port.port.clone(),
                    protocol,
                    port: endpoint.port,
                    target,
                    address: endpoint.address,
                });
            }
        }
        served
    }

    /// `<hostname>.<service>…` for each endpoint, and its reverse name (spec D1.6, D1.8, D1.13).
    fn endpoint_names(&mut self, served: &[Served]) {
        let mut by_target: BTreeMap<&Name, Vec<Served>> = BTreeMap::new();
        for one in served {
            by_target.entry(&one.target).or_default().push(one.clone());
            self.pointer(one.address, one.target.clone());
        }
        for (target, served) in by_target {
            self.insert(target.clone(), &served, &[]);
        }
    }

    /// The Service's own name and those of its named ports (spec D1.2, D1.3, D1.5, D1.7).
    fn service_names(&mut self, served: &[Served], addresses: &[IpAddr]) {
        self.insert(self.name.clone(), served, addresses);
        let mut by_port: BTreeMap<(&str, &str), Vec<Served>> = BTreeMap::new();
        for one in served.iter().filter(|one| !one.port_name.is_empty()) {
            by_port.entry((one.port_name.as_ref(), one.protocol.lower())).or_default().push(one.clone());
        }
        for ((port, protocol), served) in by_port {
            let labels = [format!("_{port}"), format!("_{protocol}")];
            if let Some(name) = self.name.below(labels.iter().map(String::as_str)) {
                self.insert(name, &served, &[]);
            }
        }
    }

    /// A name that leads to `served`: addresses (those and `addresses`), SRV records, and the targets' addresses.
    fn insert(&mut self, name: Name, served: &[Served], addresses: &[IpAddr]) {
        let all: BTreeSet<IpAddr> =
            served.iter().map(|one| one.address).chain(addresses.iter().copied()).collect();
        let all: Vec<IpAddr> = all.into_iter().collect();
        let mut sets = address_sets(&all, self.place.ttl);
        sets.push(self.srv_set(served));
        let mut node = Node::new(sets);
        if node.set(rtype::SRV).is_some() {
            node.extra = self.extra(&name, served);
        }
        self.compiled.nodes.insert(name, node);
    }

    /// Weights share 100, as CoreDNS has them.
    fn srv_set(&self, served: &[Served]) -> RecordSet {
        let distinct: BTreeSet<(&Name, u16)> =
            served.iter().filter(|one| one.port > 0).map(|one| (&one.target, one.port)).collect();
        let weight = u16::try_from(100 / distinct.len().max(1)).unwrap_or(1).max(1);
        let contents = distinct.into_iter().map(|(target, port)| records::srv(weight, port, target));
        RecordSet::new(rtype::SRV, self.place.ttl, contents)
    }

    /// The addresses of the SRV targets, each once, written for an answer to a question for `asked`.
    fn extra(&self, asked: &Name, served: &[Served]) -> Extra {
        let distinct: BTreeSet<(&Name, IpAddr)> =
            served.iter().map(|one| (&one.target, one.address)).collect();
        let record = |(target, address): (&Name, IpAddr)| {
            let (kind, content) = records::address(address);
            let set = RecordSet::new(kind, self.place.ttl, [content]);
            let owner = records::owner_in_answer(target, asked);
            [owner.as_slice(), set.iter().next().unwrap_or_default()].concat().into_boxed_slice()
        };
        Extra { records: distinct.into_iter().map(record).collect() }
    }

    fn pointer(&mut self, address: IpAddr, name: Name) {
        self.compiled.pointers.entry(address).or_default().insert(name);
    }
}

/// The A and AAAA sets of `addresses`.
pub(crate) fn address_sets(addresses: &[IpAddr], ttl: u32) -> Vec<RecordSet> {
    let of_kind = |wanted: u16| {
        let contents = addresses.iter().map(|address| records::address(*address));
        let contents = contents.filter_map(|(kind, content)| (kind == wanted).then_some(content));
        RecordSet::new(wanted, ttl, contents)
    };
    vec![of_kind(rtype::A), of_kind(rtype::AAAA)]
}

/// The label an endpoint is named by: its host name, else its address with dashes (spec D1.6).
fn host_label(endpoint: &Endpoint) -> String {
    match (&endpoint.hostname, endpoint.address) {
        (Some(hostname), _) => hostname.to_string(),
        (None, IpAddr::V4(v4)) => v4.to_string().replace('.', "-"),
        (None, IpAddr::V6(v6)) => dashed_v6(v6),
    }
}

fn dashed_v6(address: Ipv6Addr) -> String {
    let mut label = address.to_string().replace([':', '.'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}
