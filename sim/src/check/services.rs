//! Every ready endpoint is reached and named, no departed one, no address or port is held twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kelson_machinery::meta;
use kelson_model::{Flow, Origin, Protocol, Verdict};
use kelson_plans::Key;
use serde_json::Value;

use super::Judgement;
use crate::api::Stored;
use crate::lookup;
use crate::node::Node;
use crate::world::{World, is_ready, resource};

/// Balancer addresses there are.
const BALANCERS: usize = 2;

pub(super) fn all(world: &World) -> Judgement {
    pods_have_addresses_of_their_own(world)?;
    services_have_addresses_of_their_own(world)?;
    balancers_are_used(world)?;
    for (key, service) in world.api.all(&resource("services")) {
        if meta::get_str(service, &["spec", "type"]) != "ExternalName" {
            let expected = Expected::of(world, key, service);
            for node in &world.nodes {
                expected.is_reached_from(node)?;
                expected.is_named_by(node)?;
            }
        }
        is_programmed(key, service)?;
    }
    slices_have_a_service(world)
}

fn pods_have_addresses_of_their_own(world: &World) -> Judgement {
    let mut held: BTreeMap<&str, &Key> = BTreeMap::new();
    for (key, pod) in world.api.all(&resource("pods")) {
        let address = meta::get_str(pod, &["status", "podIP"]);
        let ended = matches!(meta::get_str(pod, &["status", "phase"]), "Failed" | "Succeeded");
        if !address.is_empty()
            && !ended
            && let Some(other) = held.insert(address, key)
        {
            return Err(format!("{key} and {other} both have {address}"));
        }
    }
    Ok(())
}

fn services_have_addresses_of_their_own(world: &World) -> Judgement {
    let mut held: BTreeMap<String, &Key> = BTreeMap::new();
    for (key, service) in world.api.all(&resource("services")) {
        let address = meta::get_str(service, &["spec", "clusterIP"]);
        let ports = meta::get_list(service, &["spec", "ports"]).iter();
        let node_ports =
            ports.filter_map(|port| port["nodePort"].as_u64()).map(|port| format!("port {port}"));
        let addresses = Some(address.to_owned()).filter(|address| !matches!(address.as_str(), "" | "None"));
        for thing in node_ports.chain(addresses) {
            if let Some(other) = held.insert(thing.clone(), key) {
                return Err(format!("{key} and {other} both have {thing}"));
            }
        }
    }
    Ok(())
}

/// Addresses are given as long as there are any.
fn balancers_are_used(world: &World) -> Judgement {
    let services = world.api.all(&resource("services"));
    let of_type: Vec<&Stored> = services
        .map(|(_, service)| service.as_ref())
        .filter(|service| meta::get_str(service, &["spec", "type"]) == "LoadBalancer")
        .collect();
    let served = of_type.iter().filter(|service| balancer(service).is_some()).count();
    match served == of_type.len().min(BALANCERS) {
        true => Ok(()),
        false => Err(format!("{served} of {} Services have a balancer address", of_type.len())),
    }
}

fn balancer(service: &Value) -> Option<&str> {
    meta::get_list(service, &["status", "loadBalancer", "ingress"]).first()?["ip"].as_str()
}

/// But for those that somebody wanted to outlive theirs.
fn slices_have_a_service(world: &World) -> Judgement {
    for (key, slice) in world.api.all(&resource("endpointslices")) {
        let service = meta::get_str(slice, &["metadata", "labels", "kubernetes.io/service-name"]);
        let service = Key::new(key.namespace.as_str(), service);
        let orphaned = meta::get_list(slice, &["metadata", "ownerReferences"]).is_empty();
        if !orphaned && world.api.get(&resource("services"), &service).is_none() {
            return Err(format!("slice {key} is left of {service}, which is gone"));
        }
    }
    Ok(())
}

fn is_programmed(key: &Key, service: &Value) -> Judgement {
    let conditions = meta::get_list(service, &["status", "conditions"]);
    let condition = conditions.iter().find(|one| one["type"] == "Programmed");
    match condition {
        Some(condition) if condition["status"] == "True" => Ok(()),
        other => Err(format!("{key} is not programmed: {other:?}")),
    }
}

/// What a Service should lead to, by the pods themselves.
pub(super) struct Expected<'a> {
    key: &'a Key,
    service: &'a Value,
    pub backends: BTreeSet<SocketAddr>,
    names: BTreeSet<Ipv4Addr>,
}

impl<'a> Expected<'a> {
    pub(super) fn of(world: &World, key: &'a Key, service: &'a Value) -> Self {
        let selector = &service["spec"]["selector"];
        let unready = meta::get_bool(service, &["spec", "publishNotReadyAddresses"]);
        let mut backends = BTreeSet::new();
        for (place, pod) in world.api.all(&resource("pods")) {
            let ended = matches!(meta::get_str(pod, &["status", "phase"]), "Failed" | "Succeeded");
            let usable = is_ready(pod) || (unready && !ended && meta::deletion_timestamp(pod).is_none());
            if place.namespace == key.namespace && chooses(selector, pod) && usable {
                let address = meta::get_str(pod, &["status", "podIP"]).parse::<IpAddr>();
                backends.extend(address.map(|address| SocketAddr::new(address, 8080)));
            }
        }
        if selector.as_object().is_none_or(|selector| selector.is_empty()) {
            backends.extend(outside(world, key));
        }
        let cluster_ip = meta::get_str(service, &["spec", "clusterIP"]);
        let names = match cluster_ip.parse() {
            Ok(address) => BTreeSet::from([address]),
            Err(_) => backends.iter().filter_map(|backend| v4(backend.ip())).collect(),
        };
        Self { key, service, backends, names }
    }

    fn is_reached_from(&self, node: &Node) -> Judgement {
        let text = meta::get_str(self.service, &["spec", "clusterIP"]);
        if let Ok(address) = text.parse::<IpAddr>() {
            self.leads(node, Origin::Pod, address, 80)?;
        }
        if let Some(address) = balancer(self.service).and_then(|text| text.parse().ok()) {
            self.leads(node, Origin::External, address, 80)?;
        }
        match self.service["spec"]["ports"][0]["nodePort"].as_u64() {
            Some(port) => self.leads(node, Origin::External, node.address(), port as u16),
            None => Ok(()),
        }
    }

    /// A connection there leads to all of the backends and to nothing else.
    fn leads(&self, node: &Node, origin: Origin, destination: IpAddr, port: u16) -> Judgement {
        let source = IpAddr::from([10, 244, 250, 1]);
        let flow = Flow { origin, source, destination, protocol: Protocol::Tcp, port };
        let verdict = kelson_tables::trace(&node.plane.tables, &flow);
        let reached: BTreeSet<SocketAddr> = match &verdict {
            Verdict::Forward(backends) => backends.iter().map(|(backend, _)| *backend).collect(),
            _ => BTreeSet::new(),
        };
        let refused = self.backends.is_empty() && verdict == Verdict::Reject;
        match reached == self.backends && (refused || !reached.is_empty()) {
            true => Ok(()),
            false => Err(format!(
                "{} at {destination}:{port} on {}: {verdict:?}, but {:?}",
                self.key, node.name, self.backends
            )),
        }
    }

    fn is_named_by(&self, node: &Node) -> Judgement {
        let name = format!("{}.{}.svc.cluster.local", self.key.name, self.key.namespace);
        let found = lookup::addresses(&node.plane.zone, &name);
        match found == Some(self.names.clone()) {
            true => Ok(()),
            // A headless Service without any address may have no name at all.
            false if self.names.is_empty() && found.is_none() => Ok(()),
            false => {
                let anew = lookup::addresses(&node.plane.zone_anew(), &name);
                let (node, names) = (&node.name, &self.names);
                Err(format!("{name} on {node}: {found:?}, but {names:?}; compiled anew {anew:?}"))
            }
        }
    }
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The addresses somebody wrote down by hand.
fn outside(world: &World, key: &Key) -> Vec<SocketAddr> {
    let Some(endpoints) = world.api.get(&resource("endpoints"), key) else { return Vec::new() };
    let subsets = meta::get_list(endpoints, &["subsets"]).iter();
    let addresses = subsets.flat_map(|subset| meta::get_list(subset, &["addresses"]));
    let parsed = addresses.filter_map(|one| one["ip"].as_str()?.parse::<IpAddr>().ok());
    parsed.map(|address| SocketAddr::new(address, 9000)).collect()
}

fn chooses(selector: &Value, pod: &Value) -> bool {
    let Some(selector) = selector.as_object().filter(|selector| !selector.is_empty()) else { return false };
    selector.iter().all(|(name, value)| pod["metadata"]["labels"][name] == *value)
}
