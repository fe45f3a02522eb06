//! Rules: the Ingresses that are ours, merged into one map by host and path.
//!
//! Invariant: a function of the set of objects; the oldest Ingress (then by namespace and name) has what several claim.
//! A part that cannot be served is named in a warning and the rest of its Ingress counts.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressSpec, IngressTLS};

use crate::backend::BackendRef;
use crate::host::{HostMap, HostPattern};
use crate::path::PathMap;
use crate::table::{BackendId, SecretName};

/// Most warnings of one compilation.
const WARNINGS_MAX: usize = 100;

/// Ingresses that say `false` here are served on plain HTTP even where their host has a certificate. The names are
/// ingress-nginx's, the second its older one.
const REDIRECT_ANNOTATIONS: [&str; 2] =
    ["nginx.ingress.kubernetes.io/ssl-redirect", "ingress.kubernetes.io/ssl-redirect"];

/// Where requests go by one path of an Ingress, or by its default backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The backend.
    pub backend: BackendId,
    /// Plain requests are sent to HTTPS first, where the host has a certificate.
    pub redirect: bool,
}

/// What is known about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct HostRules {
    paths: PathMap<Rule>,
    /// The default backend of the oldest Ingress that has one and names this host.
    default: Option<Rule>,
}

/// The rules of all Ingresses that are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    hosts: HostMap<HostRules>,
    default: Option<Rule>,
    certificates: HostMap<SecretName>,
    backends: Vec<BackendRef>,
}

impl Rules {
    /// Merges `ingresses`; what cannot be served is appended to `warnings`.
    pub(crate) fn new(ingresses: &[&Ingress], warnings: &mut Vec<String>) -> Self {
        let mut ordered = ingresses.to_vec();
        ordered.sort_by_key(|ingress| age_key(ingress));
        let mut merger = Merger { rules: Self::default(), known: BTreeMap::new(), warnings };
        ordered.into_iter().for_each(|ingress| merger.ingress(ingress));
        merger.rules
    }

    /// The rule for a request; both parts are normalized. A host's own rules come first, then those for its parent's
    /// wildcard and those for every host, then default backends in the same order (spec G2.1–G2.6).
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<Rule> {
        let by_rule = self.hosts.matching(host).find_map(|host| host.paths.find(path).copied());
        let by_host = || self.hosts.matching(host).find_map(|host| host.default);
        by_rule.or_else(by_host).or(self.default)
    }

    /// The Secret whose certificate is shown to a client that asks for `host`, which is normalized.
    pub(crate) fn certificate(&self, host: &str) -> Option<&SecretName> {
        self.certificates.matching(host).next()
    }

    /// Every Secret that a TLS section names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.certificates.values()
    }

    /// The backends, by their id.
    pub(crate) fn backends(&self) -> &[BackendRef] {
        &self.backends
    }
}

/// The order Ingresses are merged in: oldest first.
fn age_key(ingress: &Ingress) -> impl Ord + use<> {
    let metadata = &ingress.metadata;
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created.is_none(), created, metadata.namespace.clone(), metadata.name.clone())
}

struct Merger<'a> {
    rules: Rules,
    known: BTreeMap<BackendRef, BackendId>,
    warnings: &'a mut Vec<String>,
}

/// The Ingress being merged.
struct Origin<'a> {
    namespace: &'a str,
    name: &'a str,
    redirect: bool,
}

impl Merger<'_> {
    fn warn(&mut self, origin: &Origin<'_>, field: &str, what: &str) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(format!("ingress {}/{}: {field} {what}", origin.namespace, origin.name));
        }
    }

    fn ingress(&mut self, ingress: &Ingress) {
        let metadata = &ingress.metadata;
        let (Some(namespace), Some(name)) = (metadata.namespace.as_deref(), metadata.name.as_deref()) else {
            return;
        };
        let origin = Origin { namespace, name, redirect: redirects(ingress) };
        let Some(spec) = &ingress.spec else { return self.warn(&origin, "spec", "is missing") };
        self.rules_of(&origin, spec);
        self.default_backend(&origin, spec);
        self.tls(&origin, spec);
    }

    fn rules_of(&mut self, origin: &Origin<'_>, spec: &IngressSpec) {
        for (index, rule) in spec.rules.iter().flatten().enumerate() {
            let Some(host) = HostPattern::parse(rule.host.as_deref().unwrap_or_default()) else {
                self.warn(origin, &format!("spec.rules[{index}].host"), "can match no host");
                continue;
            };
            let Some(http) = &rule.http else { continue };
            for (number, path) in http.paths.iter().enumerate() {
                let rule = self.rule(origin, &path.backend);
                let rules = self.rules.hosts.entry(host.clone(), HostRules::default);
                if let Err(problem) = insert(&mut rules.paths, path, rule) {
                    self.warn(origin, &format!("spec.rules[{index}].http.paths[{number}]"), problem);
                }
            }
        }
    }

    fn default_backend(&mut self, origin: &Origin<'_>, spec: &IngressSpec) {
        let Some(backend) = &spec.default_backend else { return };
        let rule = self.rule(origin, backend);
        self.rules.default.get_or_insert(rule);
        for host in hosts(spec) {
            self.rules.hosts.entry(host, HostRules::default).default.get_or_insert(rule);
        }
    }

    fn tls(&mut self, origin: &Origin<'_>, spec: &IngressSpec) {
        for (index, tls) in spec.tls.iter().flatten().enumerate() {
            let Some(secret) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
            let secret = SecretName { namespace: origin.namespace.into(), name: secret.into() };
            for host in tls_hosts(tls, spec) {
                match host {
                    Some(host) => {
                        self.rules.certificates.entry(host, || secret.clone());
                    }
                    None => self.warn(
                        origin,
                        &format!("spec.tls[{index}].hosts"),
                        "holds one that can match no host",
                    ),
                }
            }
        }
    }

    fn rule(&mut self, origin: &Origin<'_>, backend: &IngressBackend) -> Rule {
        Rule { backend: self.backend(origin, backend), redirect: origin.redirect }
    }

    /// The id of a backend; the same for all that name the same port of the same Service.
    fn backend(&mut self, origin: &Origin<'_>, backend: &IngressBackend) -> BackendId {
        let reference = BackendRef::parse(origin.namespace, backend);
        if reference == BackendRef::Unusable {
            self.warn(origin, "backend", "names no service port, so its requests get 503");
        }
        let next = BackendId(self.rules.backends.len());
        let id = *self.known.entry(reference.clone()).or_insert(next);
        if id == next {
            self.rules.backends.push(reference);
        }
        id
    }
}

/// Whether plain requests are sent to HTTPS: unless an annotation says `false`.
fn redirects(ingress: &Ingress) -> bool {
    let annotations = ingress.metadata.annotations.as_ref();
    let said = annotations.and_then(|all| REDIRECT_ANNOTATIONS.iter().find_map(|key| all.get(*key)));
    said.is_none_or(|value| value != "false")
}

fn insert(paths: &mut PathMap<Rule>, path: &HTTPIngressPath, rule: Rule) -> Result<(), &'static str> {
    let text = path.path.as_deref().unwrap_or_default();
    if !text.is_empty() && !text.starts_with('/') {
        return Err("is not absolute, so no request has it");
    }
    let is_new = match path.path_type.as_str() {
        "Exact" => paths.insert_exact(if text.is_empty() { "/" } else { text }, rule),
        _ => paths.insert_prefix(text, rule),
    };
    is_new.then_some(()).ok_or("is claimed by an older rule for the same host and path")
}

fn hosts(spec: &IngressSpec) -> impl Iterator<Item = HostPattern> {
    let named = spec.rules.iter().flatten().filter_map(|rule| rule.host.as_deref());
    named.filter(|host| !host.is_empty()).filter_map(HostPattern::parse)
}

/// The hosts of a TLS section; without any, those of the rules, and without those every host.
fn tls_hosts(tls: &IngressTLS, spec: &IngressSpec) -> Vec<Option<HostPattern>> {
    let named: Vec<_> = tls.hosts.iter().flatten().map(|host| HostPattern::parse(host)).collect();
    let of_rules = || hosts(spec).map(Some).collect::<Vec<_>>();
    let first_of = |first: Vec<_>, or: Vec<_>| if first.is_empty() { or } else { first };
    match named.is_empty() {
        true => first_of(of_rules(), vec![Some(HostPattern::Any)]),
        false => named,
    }
}

#[cfg(test)]
mod tests;
