//! The table: rules, and where each backend's requests go now. Changes of Ingresses make new rules; changes of Services
//! and endpoints only look the backends up again.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kelson_model::Snapshot;

use crate::backend::{Backend, resolve};
use crate::class::{ClassConfig, Classes};
use crate::rules::Rules;
use crate::{host, path};

/// What routing is told beside the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// Which Ingresses are ours.
    pub class: ClassConfig,
    /// The cluster's domain, for instance `cluster.local`: names of Services are told by it.
    pub domain: String,
}

impl RouteConfig {
    /// Class `kelson` in a cluster of this domain.
    pub fn new(domain: impl Into<String>) -> Self {
        Self { class: ClassConfig::default(), domain: domain.into() }
    }
}

/// One of a table's backends: an index into [`RouteTable::backends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub usize);

/// A Secret with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName {
    /// The namespace of the Ingress that names it.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'t> {
    /// The backend's place in [`RouteTable::backends`].
    pub id: BackendId,
    /// The backend.
    pub backend: &'t Backend,
    /// A plain request is to be sent to HTTPS first, if the host has a certificate.
    pub redirect: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'t> {
    /// It goes to a backend.
    Backend(Route<'t>),
    /// No rule is for it and there is no default backend (spec G2.1).
    NotFound,
}

/// Compiles objects into tables.
#[derive(Clone, Debug)]
pub struct Compiler {
    config: RouteConfig,
    rules: Arc<Rules>,
}

impl Compiler {
    /// A compiler that knows no Ingress yet.
    pub fn new(config: RouteConfig) -> Self {
        let domain = config.domain.trim_matches('.').to_ascii_lowercase();
        Self { config: RouteConfig { domain, ..config }, rules: Arc::default() }
    }

    /// Takes these to be all Ingresses and IngressClasses there are. Returns what cannot be served, in words.
    pub fn ingresses(&mut self, ingresses: &[Arc<Ingress>], classes: &[Arc<IngressClass>]) -> Vec<String> {
        let classes = Classes::new(classes, &self.config.class);
        let ours: Vec<&Ingress> =
            ingresses.iter().map(AsRef::as_ref).filter(|ingress| classes.claim(ingress)).collect();
        let mut warnings = Vec::new();
        self.rules = Arc::new(Rules::new(&ours, &mut warnings));
        warnings
    }

    /// The table of the Ingresses last given and `snapshot`.
    pub fn compile(&self, snapshot: &Snapshot) -> RouteTable {
        let backend = |reference: &crate::BackendRef| {
            let (target, protocol) = resolve(snapshot, &self.config.domain, reference);
            Backend { target, protocol, reference: reference.clone() }
        };
        RouteTable {
            generation: snapshot.generation,
            synced: snapshot.synced,
            backends: self.rules.backends().iter().map(backend).collect(),
            rules: self.rules.clone(),
        }
    }
}

/// Which request goes where. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    generation: u64,
    synced: bool,
    rules: Arc<Rules>,
    backends: Vec<Backend>,
}

impl RouteTable {
    /// The snapshot's generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the snapshot was complete.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// What becomes of a request for `path` of `host`, both as the client wrote them; without a host, `""`.
    pub fn decide(&self, host: &str, path: &str) -> Decision<'_> {
        let rule = self.rules.find(&host::normalize(host), &path::normalize(path));
        let route = rule.and_then(|rule| {
            let backend = self.backends.get(rule.backend.0)?;
            Some(Route { id: rule.backend, backend, redirect: rule.redirect })
        });
        route.map_or(Decision::NotFound, Decision::Backend)
    }

    /// The Secret whose certificate a client that asks for `sni` is shown; `None` means the default certificate.
    pub fn certificate(&self, sni: &str) -> Option<&SecretName> {
        self.rules.certificate(&host::normalize(sni))
    }

    /// Every Secret that a TLS section names, not in any order, some more than once.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.rules.secrets()
    }

    /// Every backend, by [`BackendId`].
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Whether `other` comes of the same Ingresses: its backends have the same ids.
    pub fn same_rules(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }
}

#[cfg(test)]
mod tests;
