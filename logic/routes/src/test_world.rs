//! What tests route with: objects written as YAML, Services and endpoints as short lines, and a seeded source of nonsense.
//! Only tests see it; it decides nothing.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kelson_model::{Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};
use serde::de::DeserializeOwned;

use crate::{Compiler, Decision, RouteConfig, RouteTable, Target};

/// Objects of one kind, from YAML documents.
pub(crate) fn objects<K: DeserializeOwned>(yaml: &str) -> Vec<Arc<K>> {
    let documents = serde_yaml_ng::Deserializer::from_str(yaml);
    documents.map(|document| Arc::new(K::deserialize(document).unwrap())).collect()
}

/// An Ingress called `name`, created at `second`, with this spec.
pub(crate) fn ingress(name: &str, second: u8, spec: &str) -> Arc<Ingress> {
    let head = format!(
        "metadata: {{namespace: shop, name: {name}, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}\nspec: "
    );
    objects(&format!("{head}{spec}")).remove(0)
}

/// A path of an Ingress, in YAML, to port 80 of a Service.
pub(crate) fn path(kind: &str, path: &str, service: &str) -> String {
    format!(
        "{{path: '{path}', pathType: {kind}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}"
    )
}

/// A Service of namespace `shop`, or of another when `name` is `namespace/name`; ports are `name:port/protocol`.
pub(crate) fn service(name: &str, exposure: Exposure, ports: &[&str]) -> Arc<Service> {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    let port = |text: &&str| {
        let (name, rest) = text.split_once(':').unwrap();
        let (port, protocol) = rest.split_once('/').unwrap_or((rest, "TCP"));
        ServicePort {
            name: name.into(),
            protocol: Protocol::parse(protocol).unwrap(),
            port: port.parse().unwrap(),
            node_port: None,
            app_protocol: None,
        }
    };
    Arc::new(Service {
        ports: ports.iter().map(port).collect(),
        ..Service::new(ServiceName::new(namespace, name), exposure)
    })
}

/// An endpoint in one of the states `ready`, `unready`, `draining` (serving while it ends) and `gone` (ending, not serving).
pub(crate) fn endpoint(address: &str, port: u16, state: &str) -> Endpoint {
    Endpoint {
        ready: state == "ready",
        serving: matches!(state, "ready" | "draining"),
        terminating: matches!(state, "draining" | "gone"),
        ..Endpoint::new(address.parse().unwrap(), port)
    }
}

/// A snapshot of these Services, each with the endpoints of one of its ports.
pub(crate) fn snapshot(all: Vec<(Arc<Service>, &str, Vec<Endpoint>)>) -> Snapshot {
    let mut snapshot = Snapshot { generation: 3, synced: true, ..Snapshot::default() };
    for (service, port, endpoints) in all {
        snapshot.endpoints.insert(service.name.port(port), endpoints.into());
        snapshot.services.insert(service.name.clone(), service);
    }
    snapshot
}

/// The table of these Ingresses over this snapshot, with no IngressClass, and its warnings.
pub(crate) fn compile(ingresses: &[Arc<Ingress>], snapshot: &Snapshot) -> (RouteTable, Vec<String>) {
    let mut compiler = Compiler::new(RouteConfig::new("cluster.local"));
    let warnings = compiler.ingresses(ingresses, &Vec::<Arc<IngressClass>>::new());
    (compiler.compile(snapshot), warnings)
}

/// The Service a request goes to, `-` when there is none.
pub(crate) fn served_by(table: &RouteTable, host: &str, path: &str) -> String {
    match table.decide(host, path) {
        Decision::Backend(route) => match &route.backend.reference {
            crate::BackendRef::Service { service, .. } => service.name.to_string(),
            crate::BackendRef::Unusable => "unusable".to_owned(),
        },
        Decision::NotFound => "-".to_owned(),
    }
}

/// A target in few characters.
pub(crate) fn told(target: &Target) -> String {
    match target {
        Target::Endpoints(all) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Target::External { name, port } => format!("{name}:{port}"),
        Target::Unavailable(why) => why.to_string(),
    }
}

/// The same seed, the same numbers (xorshift).
pub(crate) struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Up to `most` of these, one after the other.
    pub(crate) fn text(&mut self, parts: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(parts)).collect()
    }
}
