//! What every step looks at: the world, the question, and the snapshot and zone that data plane and DNS would have.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kelson_index::{Tracker, Watched};
use kelson_model::{Endpoint, ServiceName, Snapshot};
use kelson_zones::{Compiler, Zone, ZoneConfig};

use crate::question::Question;
use crate::words;
use crate::world::World;

/// The domain of a cluster that says nothing else.
const USUAL_DOMAIN: &str = "cluster.local";

/// The world, indexed and compiled once for all steps.
pub(crate) struct Context<'a> {
    pub world: &'a World,
    pub question: &'a Question,
    pub snapshot: Arc<Snapshot>,
    pub zone: Arc<Zone>,
    pub domain: String,
}

impl<'a> Context<'a> {
    pub fn new(world: &'a World, question: &'a Question) -> Self {
        let mut tracker = Tracker::new();
        let services: Vec<_> = world.services.iter().cloned().map(Arc::new).collect();
        let slices: Vec<_> = world.slices.iter().cloned().map(Arc::new).collect();
        let namespaces: Vec<_> = world.namespaces.iter().cloned().map(Arc::new).collect();
        tracker.services(Watched::Reset(&services));
        tracker.slices(Watched::Reset(&slices));
        tracker.namespaces(Watched::Reset(&namespaces));
        let snapshot = tracker.snapshot();
        let domain = world.domain.trim_end_matches('.').to_ascii_lowercase();
        let compiler = Compiler::new(ZoneConfig::new(domain.clone())).map(|compiler| (compiler, domain));
        let (mut compiler, domain) = compiler.unwrap_or_else(|_| {
            let usual = Compiler::new(ZoneConfig::new(USUAL_DOMAIN)).expect("the usual domain is one");
            (usual, USUAL_DOMAIN.to_owned())
        });
        let zone = compiler.compile(&snapshot);
        Self { world, question, snapshot, zone, domain }
    }

    pub fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        let is_it = |s: &&Service| is_called(&s.metadata, namespace, name);
        self.world.services.iter().find(is_it)
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Option<&'a Pod> {
        self.world.pods.iter().find(|pod| is_called(&pod.metadata, namespace, name))
    }

    pub fn node(&self, name: &str) -> Option<&'a Node> {
        self.world.nodes.iter().find(|node| words::name(&node.metadata) == name)
    }

    /// Whether the namespace exists; true when namespaces could not be listed.
    pub fn has_namespace(&self, name: &str) -> bool {
        self.world.namespaces.is_empty()
            || self.world.namespaces.iter().any(|namespace| words::name(&namespace.metadata) == name)
    }

    /// The endpoints of one port of a Service, ready or not.
    pub fn endpoints(&self, service: &ServiceName, port: &str) -> &[Endpoint] {
        self.snapshot.endpoints.get(&service.port(port)).map(AsRef::as_ref).unwrap_or_default()
    }

    /// What an endpoint is called: its pod, or nothing.
    pub fn endpoint_name(&self, endpoint: &Endpoint) -> Option<String> {
        endpoint.pod.as_ref().map(|pod| pod.name.to_string())
    }

    /// The pod that has this address.
    pub fn pod_at(&self, address: IpAddr) -> Option<&'a Pod> {
        let text = address.to_string();
        let has_it =
            |pod: &&Pod| pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()) == Some(text.as_str());
        self.world.pods.iter().find(has_it)
    }
}

fn is_called(
    metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    namespace: &str,
    name: &str,
) -> bool {
    words::name(metadata) == name && words::namespace(metadata) == namespace
}

/// The key of a Service in the snapshot.
pub(crate) fn key(service: &Service) -> ServiceName {
    ServiceName::new(words::namespace(&service.metadata), words::name(&service.metadata))
}
