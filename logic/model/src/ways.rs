//! How Services lead to pods in a snapshot, and which ways are gone since another.

use std::collections::BTreeSet;

use imbl::ordmap::DiffItem;

use crate::{Endpoint, Exposure, PodRef, Service, ServiceName, Snapshot};

/// How the Services of a snapshot lead to one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// None does.
    None,
    /// At least one lists it as one that stays: it gets new connections, or may the next moment, when it turns ready.
    Open,
    /// Some list it, all as one that leaves.
    Closed,
}

impl Snapshot {
    /// How the Services with an address of their own lead to a pod. Terminating counts as closed even where nothing
    /// else is left to take new connections: waiting would not change that.
    pub fn ways_to(&self, pod: &PodRef) -> Ways {
        let first = ServiceName { namespace: pod.namespace.clone(), name: "".into() };
        let services = self.services.range(first..).take_while(|(name, _)| name.namespace == pod.namespace);
        let published = services.filter(|(_, service)| is_published(service));
        let mut ways = Ways::None;
        for endpoint in published.flat_map(|(name, _)| self.endpoints_of(name)) {
            match endpoint.pod.as_ref() == Some(pod) {
                true if !endpoint.terminating => return Ways::Open,
                true => ways = Ways::Closed,
                false => {}
            }
        }
        ways
    }

    /// The pods of `node` that a Service led to in `before` and that one leads to no longer.
    pub fn left_since<'a>(&'a self, before: &'a Snapshot, node: &str) -> BTreeSet<&'a PodRef> {
        let mut left = BTreeSet::new();
        for item in before.services.diff(&self.services) {
            let closed = match item {
                DiffItem::Remove(name, service) => is_published(service).then_some(name),
                DiffItem::Update { old: (name, old), new: (_, new) } => {
                    (is_published(old) && !is_published(new)).then_some(name)
                }
                DiffItem::Add(..) => None,
            };
            left.extend(closed.into_iter().flat_map(|name| pods(before.endpoints_of(name), node)));
        }
        for item in before.endpoints.diff(&self.endpoints) {
            let (port, old, new) = match item {
                DiffItem::Remove(port, old) => (port, old, [].as_slice()),
                DiffItem::Update { old: (port, old), new: (_, new) } => (port, old, new.as_ref()),
                DiffItem::Add(..) => continue,
            };
            if before.services.get(&port.service).is_some_and(|service| is_published(service)) {
                let stays = |pod: &PodRef| pods(new.iter(), node).any(|it| it == pod);
                left.extend(pods(old.iter(), node).filter(|pod| !stays(pod)));
            }
        }
        left
    }
}

/// Whether the data plane leads to it: it has an address of its own, and is not another proxy's.
fn is_published(service: &Service) -> bool {
    service.exposure == Exposure::ClusterIp && !service.foreign_proxy
}

/// The pods that run on `node`.
fn pods<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, node: &str) -> impl Iterator<Item = &'a PodRef> {
    endpoints.filter(move |it| it.node.as_deref() == Some(node)).filter_map(|it| it.pod.as_ref())
}

#[cfg(test)]
mod tests;
