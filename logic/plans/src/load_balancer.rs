//! LoadBalancer: Services of that type get an address from the configured pools (A10).
//!
//! View → addresses given, moved and taken back, by the Services' own status, which is the only record. One task
//! looks at all Services together (`Key::default`), so that what one takes counts for the next. Invariant: no
//! address is ever given to two. It holds even where the view lags behind what an earlier plan wrote: addresses are
//! given one stage each, the longest unchanged Service first, so that whoever was given one unseen stands before
//! everybody who could be given it again, and its conflict ends the plan.

mod pool;
mod remarks;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Node, Service};

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Reason, Step};
use crate::service;
use crate::view::{Changed, View};
pub use pool::{Pool, PoolError};
pub(crate) use remarks::remarks;

/// Holds a deleted Service until its address is taken back (A10.2).
pub const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
const LOAD_BALANCER: &str = "LoadBalancer";
/// A Service that could not be served is told so again after this long (A10.5).
const AGAIN: SignedDuration = SignedDuration::from_secs(300);
/// Addresses given in one plan at most; the next plan goes on.
const BATCH: usize = 64;

/// Everything that is to be done about balancer addresses. Without a pool none is given, but Services that have had
/// one are still let go.
pub fn plan(view: &View, _key: &Key, _now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    release(view, &mut plan);
    if !view.settings.load_balancer_pools.is_empty() {
        give(view, &mut plan);
    }
    plan
}

/// Services that are going, or are of another type now, lose address and finalizer.
fn release(view: &View, plan: &mut Plan) {
    let mut steps = Vec::new();
    for (_, service) in view.services.iter().filter(|(_, service)| is_left(service)) {
        let mut after = service.as_ref().clone();
        after.metadata.finalizers.get_or_insert_default().retain(|name| name != FINALIZER);
        set_address(&mut after, None);
        plan.reasons.push(Reason::normal(service.as_ref(), "DeletingLoadBalancer", "Deleting load balancer"));
        let deleted = Reason::normal(service.as_ref(), "DeletedLoadBalancer", "Deleted load balancer");
        let action = Action::patch_status(service.as_ref(), &after);
        steps.extend(action.map(|action| Step::from(action).done(deleted)));
    }
    plan.stage(steps);
}

/// Services that want an address and do not have the right one get it, or are told why not.
fn give(view: &View, plan: &mut Plan) {
    let mut register = Register::of(view);
    let mut given = 0;
    for service in waiting(view, &register) {
        if given == BATCH {
            return;
        }
        plan.reasons.extend(remarks::ensuring(view, service));
        match register.choose(service) {
            Ok(address) => {
                plan.stage(ensure(service, address).into_iter().collect());
                given += 1;
            }
            Err(why) => {
                let message = format!("Error syncing load balancer: failed to ensure load balancer: {why}");
                plan.reasons.push(Reason::warning(service, "SyncLoadBalancerFailed", message));
                plan.requeue(AGAIN);
            }
        }
    }
}

/// The longest unchanged first: see the invariant.
fn waiting<'a>(view: &'a View, register: &Register) -> Vec<&'a Service> {
    let all = view.services.iter().map(|(_, service)| service.as_ref());
    let mut waiting: Vec<&Service> =
        all.filter(|service| wants(service) && !register.is_settled(service)).collect();
    waiting.sort_by_key(|service| (version(service), Key::of(&service.metadata)));
    waiting
}

fn version(service: &Service) -> u64 {
    let version = service.metadata.resource_version.as_deref();
    version.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn ensure(service: &Service, address: IpAddr) -> Option<Step> {
    let mut after = service.clone();
    if !has_finalizer(service) {
        after.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
    }
    set_address(&mut after, Some(address));
    let ensured = Reason::normal(service, "EnsuredLoadBalancer", "Ensured load balancer");
    Some(Step::from(Action::patch_status(service, &after)?).done(ensured))
}

fn set_address(service: &mut Service, address: Option<IpAddr>) {
    let ingress = address.map(|address| {
        let (ip, ip_mode) = (Some(address.to_string()), Some("VIP".to_owned()));
        vec![LoadBalancerIngress { ip, ip_mode, ..LoadBalancerIngress::default() }]
    });
    service.status.get_or_insert_default().load_balancer.get_or_insert_default().ingress = ingress;
}

/// Whether its address is this controller's to give (A10.1).
fn wants(service: &Service) -> bool {
    let class = service.spec.as_ref().and_then(|spec| spec.load_balancer_class.as_ref());
    type_of(service) == LOAD_BALANCER && class.is_none() && service.metadata.deletion_timestamp.is_none()
}

/// Whether it is held here though it goes or is of another type (A10.2).
fn is_left(service: &Service) -> bool {
    let going = service.metadata.deletion_timestamp.is_some();
    has_finalizer(service) && (going || type_of(service) != LOAD_BALANCER)
}

fn has_finalizer(service: &Service) -> bool {
    service.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
}

fn type_of(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP")
}

fn ingress(service: &Service) -> &[LoadBalancerIngress] {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

fn addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    ingress(service).iter().filter_map(|entry| entry.ip.as_deref()?.parse().ok())
}

/// The address in the one entry that this controller writes.
fn own_address(service: &Service) -> Option<IpAddr> {
    match ingress(service) {
        [entry] if entry.ip_mode.as_deref().is_none_or(|mode| mode == "VIP") => {
            entry.ip.as_deref()?.parse().ok()
        }
        _ => None,
    }
}

/// The address that its owner asks for.
fn requested(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    spec.load_balancer_ip.as_deref().filter(|text| !text.is_empty())
}

/// Which addresses there are and whose they are.
struct Register<'a> {
    pools: &'a [Pool],
    /// Every address in a status, and the one Service that may keep it: the oldest, should two state it.
    holders: BTreeMap<IpAddr, Key>,
    /// Addresses that may not be given, and what they are.
    taken: BTreeMap<IpAddr, String>,
    /// What is left of each pool: what came before is taken.
    left: Vec<(bool, Box<dyn Iterator<Item = IpAddr>>)>,
}

impl<'a> Register<'a> {
    fn of(view: &'a View) -> Self {
        let pools = &view.settings.load_balancer_pools;
        let mut taken = BTreeMap::new();
        for (key, node) in view.nodes.iter() {
            let what = format!("an address of node {}", key.name);
            taken.extend(node_addresses(node).map(|address| (address, what.clone())));
        }
        for (key, service) in view.services.iter() {
            taken.extend(external_ips(service).map(|ip| (ip, format!("an externalIP of Service {key}"))));
            taken.extend(addresses(service).map(|ip| (ip, format!("held by Service {key}"))));
        }
        let left = pools.iter().map(|pool| (pool.is_ipv6(), Box::new(pool.iter()) as Box<_>)).collect();
        Self { pools, holders: holders(view), taken, left }
    }

    /// Whether there is nothing to do for a Service that wants an address.
    fn is_settled(&self, service: &Service) -> bool {
        let kept = self.kept(service);
        let wanted = requested(service).is_none_or(|text| text.parse().ok() == kept);
        kept.is_some() && wanted && has_finalizer(service)
    }

    /// The address it has and may keep.
    fn kept(&self, service: &Service) -> Option<IpAddr> {
        let held = own_address(service)?;
        let own = self.holders.get(&held) == Some(&Key::of(&service.metadata));
        (own && self.offers(held)).then_some(held)
    }

    fn offers(&self, address: IpAddr) -> bool {
        self.pools.iter().any(|pool| pool.offers(address))
    }

    /// The address it shall have, which is nobody else's from now on; or why there is none.
    fn choose(&mut self, service: &Service) -> Result<IpAddr, String> {
        let kept = self.kept(service);
        let chosen = match requested(service) {
            Some(text) => self.asked_for(text, kept)?,
            None => match kept {
                Some(kept) => kept,
                None => self.free(service)?,
            },
        };
        self.taken.insert(chosen, format!("held by Service {}", Key::of(&service.metadata)));
        Ok(chosen)
    }

    fn asked_for(&self, text: &str, kept: Option<IpAddr>) -> Result<IpAddr, String> {
        let address: IpAddr =
            text.parse().map_err(|_| format!("loadBalancerIP \"{text}\" is not an IP address"))?;
        if kept == Some(address) {
            return Ok(address);
        }
        if !self.offers(address) {
            return Err(format!("loadBalancerIP {address} is not in the range {}", list(self.pools)));
        }
        match self.taken.get(&address) {
            Some(whose) => Err(format!("loadBalancerIP {address} is already {whose}")),
            None => Ok(address),
        }
    }

    /// The first free address of the Service's first family.
    fn free(&mut self, service: &Service) -> Result<IpAddr, String> {
        let family = service::families(service).swap_remove(0);
        let ipv6 = family == "IPv6";
        let taken = &self.taken;
        let pools = self.left.iter_mut().filter(|(of_ipv6, _)| *of_ipv6 == ipv6);
        let found = pools.into_iter().find_map(|(_, left)| left.find(|address| !taken.contains_key(address)));
        found.ok_or_else(|| {
            let pools: Vec<Pool> = self.pools.iter().copied().filter(|pool| pool.is_ipv6() == ipv6).collect();
            match pools.is_empty() {
                true => format!("no range of {family} addresses is configured, only {}", list(self.pools)),
                false => format!("no address is left in {}", list(&pools)),
            }
        })
    }
}

fn list(pools: &[Pool]) -> String {
    let names: Vec<String> = pools.iter().map(Pool::to_string).collect();
    names.join(", ")
}

/// For each address in a status, the oldest Service that states it.
fn holders(view: &View) -> BTreeMap<IpAddr, Key> {
    let mut stated: Vec<(Option<Timestamp>, &Key, IpAddr)> = Vec::new();
    for (key, service) in view.services.iter() {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        stated.extend(addresses(service).map(|address| (created, key, address)));
    }
    stated.sort();
    let mut holders = BTreeMap::new();
    for (_, key, address) in stated {
        holders.entry(address).or_insert_with(|| key.clone());
    }
    holders
}

fn external_ips(service: &Service) -> impl Iterator<Item = IpAddr> {
    let listed = service.spec.as_ref().and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default();
    listed.iter().filter_map(|text| text.parse().ok())
}

fn node_addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    let listed = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    listed.iter().filter_map(|entry| entry.address.parse().ok())
}

/// Whether a change can give anybody an address, or cost one.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let matters = match (&changed.old, &changed.new) {
        (Some(Any::Node(old)), Some(Any::Node(new))) => !node_addresses(old).eq(node_addresses(new)),
        (old, new) => old.iter().chain(new).any(|any| match any {
            Any::Service(service) => concerns(service),
            Any::Node(_) => true,
            _ => false,
        }),
    };
    matters.then(Key::default).into_iter().collect()
}

fn concerns(service: &Service) -> bool {
    type_of(service) == LOAD_BALANCER
        || has_finalizer(service)
        || !ingress(service).is_empty()
        || external_ips(service).next().is_some()
}

#[cfg(test)]
mod tests;
