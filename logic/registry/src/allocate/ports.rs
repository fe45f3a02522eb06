//! Node ports and the health check's node port (A6; upstream: initNodePorts, updateNodePorts).

use super::invalid;
use super::pick::Picker;
use crate::kinds::service::{needs_health_check, node_ports};
use crate::walk::{self, flag, int, items, items_mut, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::Status;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All node ports a stored spec holds.
pub fn held(spec: &Value) -> BTreeSet<u16> {
    let health = int(&spec["healthCheckNodePort"]);
    let all = node_ports(spec).into_iter().chain([health]);
    all.filter_map(|number| u16::try_from(number).ok()).filter(|number| *number != 0).collect()
}

/// Fills what is missing; `old` is null on create.
pub fn fill(spec: &mut Value, old: &Value, name: &str, picker: &mut Picker<'_>) -> Result<(), Status> {
    if has_node_ports(spec) {
        match old.is_null() {
            true => create(spec, name, picker)?,
            false => update(spec, name, picker)?,
        }
    }
    health_check(spec, picker)
}

fn has_node_ports(spec: &Value) -> bool {
    matches!(text(&spec["type"]), "NodePort" | "LoadBalancer")
}

/// A6.10.
fn allocates(spec: &Value) -> bool {
    text(&spec["type"]) == "NodePort" || flag(&spec["allocateLoadBalancerNodePorts"])
}

/// A6.7, A6.8: ports of one number and different protocols share one node port.
fn create(spec: &mut Value, name: &str, picker: &mut Picker<'_>) -> Result<(), Status> {
    let automatic = allocates(spec);
    let mut asked: BTreeMap<i64, i64> = BTreeMap::new();
    for port in items(&spec["ports"]).iter().filter(|port| int(&port["nodePort"]) != 0) {
        asked.entry(int(&port["port"])).or_insert_with(|| int(&port["nodePort"]));
    }
    let mut shared: BTreeMap<i64, i64> = BTreeMap::new();
    for (index, port) in items_mut(spec, "ports").enumerate() {
        let (number, own) = (int(&port["port"]), int(&port["nodePort"]));
        if own == 0 && !automatic {
            continue;
        }
        let node_port = match (shared.get(&number), own) {
            (Some(first), 0) => *first,
            (Some(first), own) if *first == own => own,
            (Some(_), own) => take(own, index, name, picker)?,
            (None, _) => match asked.get(&number) {
                Some(wanted) => take(*wanted, index, name, picker)?,
                None => any(picker)?,
            },
        };
        shared.entry(number).or_insert(node_port);
        walk::put(port, "nodePort", node_port);
    }
    Ok(())
}

/// A6.9.
fn update(spec: &mut Value, name: &str, picker: &mut Picker<'_>) -> Result<(), Status> {
    let automatic = allocates(spec);
    let mut seen = BTreeSet::new();
    for (index, port) in items_mut(spec, "ports").enumerate() {
        let own = int(&port["nodePort"]);
        let node_port = match own {
            0 if !automatic => continue,
            0 => any(picker)?,
            own if u16::try_from(own).is_ok_and(|own| picker.has_port(own)) => own,
            own => take(own, index, name, picker)?,
        };
        let protocol = text(&port["protocol"]).to_owned();
        if !seen.insert((protocol.clone(), node_port)) {
            return Err(Status::internal(&format!("duplicate nodePort: {{{protocol} {node_port}}}")));
        }
        walk::put(port, "nodePort", node_port);
    }
    Ok(())
}

fn take(number: i64, index: usize, name: &str, picker: &mut Picker<'_>) -> Result<i64, Status> {
    let (first, last) = picker.ranges().node_ports;
    let outside =
        || format!("provided port is not in the valid range. The range of valid ports is {first}-{last}");
    let taken = u16::try_from(number).map_err(|_| outside()).and_then(|number| picker.take_port(number));
    taken.map(i64::from).map_err(|why| {
        let at = Path::new("spec.ports").index(index).child("nodePort");
        invalid(name, vec![FieldError::invalid(&at, number, why)])
    })
}

fn any(picker: &mut Picker<'_>) -> Result<i64, Status> {
    let free = picker.any_port();
    free.map(i64::from).map_err(|why| Status::internal(&format!("failed to allocate a nodePort: {why}")))
}

/// A6.11.
fn health_check(spec: &mut Value, picker: &mut Picker<'_>) -> Result<(), Status> {
    if !needs_health_check(spec) {
        return Ok(());
    }
    let asked = int(&spec["healthCheckNodePort"]);
    let port = match u16::try_from(asked) {
        Ok(0) => picker
            .any_port()
            .map_err(|why| Status::internal(&format!("failed to allocate a HealthCheck NodePort: {why}")))?,
        Ok(port) => picker.take_port(port).map_err(|why| health_refused(asked, &why))?,
        Err(_) => return Err(health_refused(asked, "provided port is not in the valid range")),
    };
    walk::put(spec, "healthCheckNodePort", port);
    Ok(())
}

fn health_refused(asked: i64, why: &str) -> Status {
    Status::internal(&format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"))
}
