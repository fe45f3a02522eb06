//! The slices of one Service joined: for every port name its endpoints, sorted, each address and port once.
//!
//! Slices are joined by port name (spec B7.1) whatever ports each of them lists. Where two say different things about
//! one address and port, the readier one holds (spec C1.5), and then the one that sorts first, so that the order of
//! events never shows.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use kelson_model::{Endpoint, Exposure, Protocol, Service};

use crate::slice::{Slice, SlicePort};

/// Endpoints by port name. `service` is the Service they belong to, if there is one: a port of another protocol than the
/// Service's port of that name serves something else, and slices marked as not for proxies only serve names.
pub(crate) fn merge<'a>(
    service: Option<&Service>,
    slices: impl Iterator<Item = &'a Slice>,
) -> BTreeMap<Arc<str>, Arc<[Endpoint]>> {
    let is_proxied = service.is_some_and(|service| service.exposure == Exposure::ClusterIp);
    let foreign = service.is_some_and(|service| service.foreign_proxy);
    let mut ports: BTreeMap<Arc<str>, Vec<Endpoint>> = BTreeMap::new();
    for slice in slices.filter(|slice| !(slice.not_for_proxies && is_proxied && !foreign)) {
        for (name, number) in usable_ports(slice, service, is_proxied) {
            let endpoints =
                slice.endpoints.iter().map(|endpoint| Endpoint { port: number, ..endpoint.clone() });
            ports.entry(name).or_default().extend(endpoints);
        }
    }
    ports
        .into_iter()
        .map(|(name, endpoints)| (name, unique(endpoints)))
        .filter(|(_, e)| !e.is_empty())
        .collect()
}

/// Name and number of the slice's ports that serve the Service. A slice without ports, or with a port that means any,
/// has number 0 and is of use to names alone (spec D1.15), so it is left out behind a ClusterIP.
fn usable_ports(slice: &Slice, service: Option<&Service>, is_proxied: bool) -> Vec<(Arc<str>, u16)> {
    if slice.ports.is_empty() {
        return if is_proxied { Vec::new() } else { vec![("".into(), 0)] };
    }
    let speaks =
        |port: &&SlicePort| protocol(service, &port.port.name).is_none_or(|wanted| wanted == port.protocol);
    let numbered = |port: &SlicePort| (port.port.name.clone(), port.port.port.unwrap_or(0));
    let ports = slice.ports.iter().filter(speaks).map(numbered);
    ports.filter(|(_, number)| *number > 0 || !is_proxied).collect()
}

/// The protocol of the Service's port called `name`, if it has such a port.
fn protocol(service: Option<&Service>, name: &str) -> Option<Protocol> {
    service?.ports.iter().find(|port| port.name.as_ref() == name).map(|port| port.protocol)
}

fn unique(mut endpoints: Vec<Endpoint>) -> Arc<[Endpoint]> {
    let readiness = |e: &Endpoint| Reverse((e.ready, e.serving, !e.terminating));
    endpoints.sort_by(|a, b| {
        let by_key = (a.address, a.port).cmp(&(b.address, b.port));
        by_key.then_with(|| readiness(a).cmp(&readiness(b))).then_with(|| a.cmp(b))
    });
    endpoints.dedup_by_key(|endpoint| (endpoint.address, endpoint.port));
    endpoints.into()
}

#[cfg(test)]
mod tests;
