//! Snapshot and node view → [`Tables`], from scratch or by what changed since the last snapshot.
//!
//! Invariant: after any sequence of snapshots the tables and warnings equal those compiled from the last one alone.
//! It never fails: what cannot be served is left out and named in a [`Warning`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
use kelson_model::{NodeView, ServiceName, Snapshot};

use crate::claims::Claims;
use crate::host_ports;
use crate::part::{Part, is_served, part};
use crate::{FrontendKey, NodePortKey, NodeRules, Options, Pool, PoolKey, Tables, Warning};

/// Compiles `snapshot` for `node` from nothing.
pub fn compile(snapshot: &Snapshot, node: &NodeView, options: &Options) -> (Arc<Tables>, Vec<Warning>) {
    let mut compiler = Compiler::new(options.clone());
    (compiler.compile(snapshot, node), compiler.warnings())
}

/// Compiles one snapshot after another, looking only at the Services that changed.
#[derive(Debug)]
pub struct Compiler {
    options: Options,
    snapshot: Snapshot,
    node: Option<NodeView>,
    parts: OrdMap<ServiceName, Arc<Part>>,
    /// The share of the node's own pods.
    hosted: Part,
    /// The Services whose part has warnings.
    faulty: OrdSet<ServiceName>,
    /// Who carries each ClusterIP; the first by name is served. One flat set: a set an address would be many times the
    /// one name in it.
    owners: BTreeSet<(IpAddr, ServiceName)>,
    frontends: Claims<FrontendKey>,
    node_ports: Claims<NodePortKey>,
    pools: OrdMap<PoolKey, Arc<Pool>>,
    hairpins: OrdMap<IpAddr, u32>,
    cluster_ips: OrdSet<IpAddr>,
    rules: Arc<NodeRules>,
}

impl Compiler {
    /// A compiler that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            snapshot: Snapshot::default(),
            node: None,
            parts: OrdMap::new(),
            hosted: Part::default(),
            faulty: OrdSet::new(),
            owners: BTreeSet::new(),
            frontends: Claims::default(),
            node_ports: Claims::default(),
            pools: OrdMap::new(),
            hairpins: OrdMap::new(),
            cluster_ips: OrdSet::new(),
            rules: Arc::default(),
        }
    }

    /// The tables of `snapshot` on `node`. Costs what changed since the last call; everything, when the node did other
    /// than in its host ports.
    pub fn compile(&mut self, snapshot: &Snapshot, node: &NodeView) -> Arc<Tables> {
        if self.node.as_ref() != Some(node) {
            self.turn_to(node);
        }
        let changed = self.follow(snapshot);
        self.snapshot = snapshot.clone();
        for service in &changed {
            self.rebuild(service, node);
        }
        self.tables()
    }

    fn turn_to(&mut self, node: &NodeView) {
        let host_ports = node.host_ports.clone();
        if self.node.take().map(|known| NodeView { host_ports, ..known }).as_ref() != Some(node) {
            *self = Self::new(self.options.clone());
            self.rules = Arc::new(rules(node, &self.options));
        }
        let hosted = host_ports::part(node);
        let old = std::mem::replace(&mut self.hosted, hosted.clone());
        self.exchange(&old, &hosted);
        self.node = Some(node.clone());
    }

    /// Everything the last tables leave out. Costs what there is to say.
    pub fn warnings(&self) -> Vec<Warning> {
        let parts = self.faulty.iter().flat_map(|name| self.parts[name].warnings.iter().cloned());
        let parts = parts.chain(self.hosted.warnings.iter().cloned());
        let mut all: Vec<Warning> =
            parts.chain(self.frontends.warnings()).chain(self.node_ports.warnings()).collect();
        all.sort();
        all
    }

    fn tables(&self) -> Arc<Tables> {
        Arc::new(Tables {
            frontends: self.frontends.held.clone(),
            node_ports: self.node_ports.held.clone(),
            pools: self.pools.clone(),
            cluster_ips: self.cluster_ips.clone(),
            hairpins: self.hairpins.clone(),
            node: self.rules.clone(),
        })
    }

    /// The Services whose part may differ: those that changed, whose endpoints did, or whose ClusterIP did hands.
    fn follow(&mut self, next: &Snapshot) -> BTreeSet<ServiceName> {
        let mut changed = BTreeSet::new();
        let before = self.snapshot.clone();
        for item in before.services.diff(&next.services) {
            let (name, old, new) = match item {
                DiffItem::Add(name, new) => (name, None, Some(new)),
                DiffItem::Update { old: (name, old), new: (_, new) } => (name, Some(old), Some(new)),
                DiffItem::Remove(name, old) => (name, Some(old), None),
            };
            changed.insert(name.clone());
            for address in old.into_iter().filter(|s| is_served(s)).flat_map(|s| &s.cluster_ips) {
                self.disown(*address, name, &mut changed);
            }
            for address in new.into_iter().filter(|s| is_served(s)).flat_map(|s| &s.cluster_ips) {
                self.own(*address, name, &mut changed);
            }
        }
        for item in before.endpoints.diff(&next.endpoints) {
            let (DiffItem::Add(name, _)
            | DiffItem::Update { new: (name, _), .. }
            | DiffItem::Remove(name, _)) = item;
            changed.insert(name.service.clone());
        }
        changed
    }

    fn own(&mut self, address: IpAddr, service: &ServiceName, changed: &mut BTreeSet<ServiceName>) {
        changed.extend(self.owners_of(address).cloned());
        self.owners.insert((address, service.clone()));
        self.cluster_ips.insert(address);
    }

    fn disown(&mut self, address: IpAddr, service: &ServiceName, changed: &mut BTreeSet<ServiceName>) {
        self.owners.remove(&(address, service.clone()));
        changed.extend(self.owners_of(address).cloned());
        if self.owners_of(address).next().is_none() {
            self.cluster_ips.remove(&address);
        }
    }

    /// Who carries an address, by name.
    fn owners_of(&self, address: IpAddr) -> impl Iterator<Item = &ServiceName> {
        let from_first = self.owners.range((address, ServiceName::new("", ""))..);
        from_first.take_while(move |(of, _)| *of == address).map(|(_, service)| service)
    }

    fn rebuild(&mut self, name: &ServiceName, node: &NodeView) {
        let new = self.part(name, node);
        let old = match &new {
            Some(new) => self.parts.insert(name.clone(), new.clone()),
            None => self.parts.remove(name),
        };
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        if old == new {
            return;
        }
        match new.warnings.is_empty() {
            true => self.faulty.remove(name),
            false => self.faulty.insert(name.clone()),
        };
        self.exchange(&old, &new);
    }

    fn exchange(&mut self, old: &Part, new: &Part) {
        self.exchange_frontends(old, new);
        for (key, _) in old.pools.iter().filter(|old| !new.pools.contains(old)) {
            self.pools.remove(key);
        }
        for (key, pool) in new.pools.iter().filter(|new| !old.pools.contains(new)) {
            self.pools.insert(key.clone(), pool.clone());
        }
        self.exchange_hairpins(old, new);
    }

    fn exchange_frontends(&mut self, old: &Part, new: &Part) {
        for (key, frontend) in old.frontends.iter().filter(|old| !new.frontends.contains(old)) {
            self.frontends.release(key, frontend);
        }
        for (key, frontend) in new.frontends.iter().filter(|new| !old.frontends.contains(new)) {
            self.frontends.claim(*key, frontend.clone());
        }
        for (key, frontend) in old.node_ports.iter().filter(|old| !new.node_ports.contains(old)) {
            self.node_ports.release(key, frontend);
        }
        for (key, frontend) in new.node_ports.iter().filter(|new| !old.node_ports.contains(new)) {
            self.node_ports.claim(*key, frontend.clone());
        }
    }

    fn exchange_hairpins(&mut self, old: &Part, new: &Part) {
        for address in &new.hairpins {
            *self.hairpins.entry(*address).or_insert(0) += 1;
        }
        for address in &old.hairpins {
            let uses = self.hairpins.get(address).copied().unwrap_or_default();
            if uses > 1 {
                self.hairpins.insert(*address, uses - 1);
            } else {
                self.hairpins.remove(address);
            }
        }
    }

    /// What the Service called `name` contributes now; `None` when it is not this proxy's business.
    fn part(&self, name: &ServiceName, node: &NodeView) -> Option<Arc<Part>> {
        let service = self.snapshot.services.get(name).filter(|s| is_served(s))?;
        for address in &service.cluster_ips {
            if let Some(owner) = self.owners_of(*address).next().filter(|owner| *owner != name) {
                let (service, owner) = (name.clone(), owner.clone());
                let lost = Warning::DuplicateClusterIp { service, address: *address, owner };
                return Some(Arc::new(Part { warnings: vec![lost], ..Part::default() }));
            }
        }
        Some(Arc::new(part(service, &self.snapshot.endpoints, node, &self.options)))
    }
}

fn rules(node: &NodeView, options: &Options) -> NodeRules {
    let mut addresses = node.addresses.clone();
    addresses.sort();
    addresses.dedup();
    let service_cidrs = node.service_cidrs.clone();
    let pod_cidrs = node.pod_cidrs.clone();
    NodeRules { addresses, service_cidrs, pod_cidrs, options: options.clone() }
}

#[cfg(test)]
mod tests;
