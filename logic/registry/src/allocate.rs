//! Which cluster IPs and node ports a Service gets (A5, A6, A8, A9).
//!
//! Invariant: nothing is handed out that `taken` knows or that this plan already claims. The caller writes the Service
//! and its claims in one commit whose claims must be absent, so a race ends in a conflict and a fresh plan, never in an
//! address held twice. Random numbers are a parameter.

mod families;
mod pick;
mod ports;
mod ranges;

pub use ranges::{Cidr, Ranges, RangesError};

use crate::kinds::service::{is_headless, needs_cluster_ip};
use crate::walk::{self, member, text, texts};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta};
use pick::Picker;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One thing of which there is only one in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    ClusterIp(IpAddr),
    /// By number alone: TCP and UDP share one allocator (A6.6).
    NodePort(u16),
}

impl Claim {
    /// The allocation key of the store, without a leading slash: `clusterips/10.96.0.10`, `nodeports/30080`.
    pub fn key(&self) -> String {
        match self {
            Self::ClusterIp(ip) => format!("clusterips/{ip}"),
            Self::NodePort(port) => format!("nodeports/{port}"),
        }
    }
}

/// What the write must claim and may release; disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub claims: Vec<Claim>,
    pub releases: Vec<Claim>,
}

/// Fills in a new, prepared and validated Service.
pub fn plan_create(
    service: &mut Object,
    ranges: &Ranges,
    taken: &dyn Fn(&Claim) -> bool,
    random: u64,
) -> Result<Plan, Status> {
    let mut picker = Picker::new(ranges, taken, random);
    plan(service, &Value::Null, &mut picker)?;
    Ok(Plan { claims: picker.claims(), releases: Vec::new() })
}

/// Fills in an updated Service; claims what it has more than the old one, releases what it has less.
pub fn plan_update(
    new: &mut Object,
    old: &Object,
    ranges: &Ranges,
    taken: &dyn Fn(&Claim) -> bool,
    random: u64,
) -> Result<Plan, Status> {
    let held = claims_of(old);
    // Its own values are free to it, and not picked for anything else.
    let mut picker = Picker::new(ranges, taken, random).holding(&held);
    plan(new, old, &mut picker)?;
    let kept = claims_of(new);
    let releases = held.difference(&kept).copied().collect();
    Ok(Plan { claims: picker.claims(), releases })
}

/// What a removed Service gives back.
pub fn plan_delete(service: &Object) -> Vec<Claim> {
    claims_of(service).into_iter().collect()
}

/// Everything a stored Service holds.
pub fn claims_of(service: &Object) -> BTreeSet<Claim> {
    let spec = &service["spec"];
    let addresses =
        texts(&spec["clusterIPs"]).into_iter().filter_map(crate::ip::parse_sloppy).map(Claim::ClusterIp);
    let addresses = addresses.filter(|_| needs_cluster_ip(spec));
    addresses.chain(ports::held(spec).into_iter().map(Claim::NodePort)).collect()
}

fn plan(service: &mut Object, old: &Object, picker: &mut Picker<'_>) -> Result<(), Status> {
    let name = meta::name(service).to_owned();
    let Some(spec) = member(service, "spec") else { return Ok(()) };
    families::fill(spec, picker.ranges()).map_err(|errors| invalid(&name, errors))?;
    if needs_cluster_ip(spec) && !is_headless(spec) {
        cluster_ips(spec, &name, picker)?;
    } else if is_headless(spec) && text(&spec["clusterIP"]).is_empty() {
        walk::put(spec, "clusterIP", "None");
    }
    ports::fill(spec, &old["spec"], &name, picker)
}

fn cluster_ips(spec: &mut Value, name: &str, picker: &mut Picker<'_>) -> Result<(), Status> {
    let families: Vec<String> = texts(&spec["ipFamilies"]).into_iter().map(str::to_owned).collect();
    let given: Vec<String> = texts(&spec["clusterIPs"]).into_iter().map(str::to_owned).collect();
    let mut addresses = Vec::new();
    for (index, family) in families.iter().enumerate() {
        let address = match given.get(index).and_then(|text| crate::ip::parse_sloppy(text)) {
            Some(asked) => picker.take_address(asked).map_err(|why| refused(name, &given[index], &why))?,
            None => picker
                .any_address(family == "IPv6")
                .map_err(|why| Status::internal(&format!("failed to allocate a serviceIP: {why}")))?,
        };
        addresses.push(address.to_string());
    }
    if let Some(first) = addresses.first() {
        walk::put(spec, "clusterIP", first.as_str());
        walk::put(spec, "clusterIPs", addresses);
    }
    Ok(())
}

/// A5.4, A5.5.
fn refused(name: &str, address: &str, why: &str) -> Status {
    let detail = format!("failed to allocate IP {address}: {why}");
    let error = FieldError::invalid(&Path::new("spec.clusterIPs"), Value::from(vec![address]), detail);
    invalid(name, vec![error])
}

fn invalid(name: &str, errors: Vec<FieldError>) -> Status {
    Status::invalid(&GroupName::new("", "Service"), name, errors)
}

#[cfg(test)]
mod tests;
