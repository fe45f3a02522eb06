//! What Ingresses' status says: the addresses they are served on (spec G2.8, G2.9).
//!
//! Invariant: a status that is right already is left alone, and one that we did not write is never taken away.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressLoadBalancerIngress};

use crate::class::{ClassConfig, Classes};

/// Which Ingress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IngressName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A status to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWrite {
    /// The Ingress.
    pub ingress: IngressName,
    /// Its uid: another Ingress of the same name is not meant.
    pub uid: Option<String>,
    /// What `status.loadBalancer.ingress` is to be, as IPs.
    pub addresses: Vec<IpAddr>,
}

/// The statuses to be written so that every Ingress of ours shows `addresses`. `served` are those that were ours before;
/// it becomes those that are ours now, and those that no longer are lose their addresses if these are still ours.
pub fn plan_status(
    ingresses: &[Arc<Ingress>],
    classes: &[Arc<IngressClass>],
    config: &ClassConfig,
    addresses: &[IpAddr],
    served: &mut BTreeSet<IngressName>,
) -> Vec<StatusWrite> {
    let classes = Classes::new(classes, config);
    let before = std::mem::take(served);
    let mut writes = Vec::new();
    for ingress in ingresses {
        let Some(name) = name(ingress) else { continue };
        let shown = shown(ingress);
        let is_ours = classes.claim(ingress);
        let wanted = if is_ours { addresses } else { &[] };
        let may_write = is_ours || (before.contains(&name) && is_showing(shown, addresses));
        if may_write && !is_showing(shown, wanted) {
            let uid = ingress.metadata.uid.clone();
            writes.push(StatusWrite { ingress: name.clone(), uid, addresses: wanted.to_vec() });
        }
        if is_ours {
            served.insert(name);
        }
    }
    writes
}

fn name(ingress: &Ingress) -> Option<IngressName> {
    let metadata = &ingress.metadata;
    Some(IngressName { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}

fn shown(ingress: &Ingress) -> &[IngressLoadBalancerIngress] {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    status.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

fn is_showing(shown: &[IngressLoadBalancerIngress], addresses: &[IpAddr]) -> bool {
    let is_same = |(shown, address): (&IngressLoadBalancerIngress, &IpAddr)| {
        let ip = shown.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
        ip == Some(*address) && shown.hostname.is_none()
    };
    shown.len() == addresses.len() && shown.iter().zip(addresses).all(is_same)
}

#[cfg(test)]
mod tests;
