//! What is known of the cluster when a question is asked: its objects, and facts that only looking could tell.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The cluster as far as it could be seen.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The cluster's domain, for instance `cluster.local`.
    pub domain: String,
    /// Services of every namespace.
    pub services: Vec<Service>,
    /// Their EndpointSlices.
    pub slices: Vec<EndpointSlice>,
    /// Namespaces.
    pub namespaces: Vec<Namespace>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Pods, at least those of the Service's and the asker's namespace.
    pub pods: Vec<Pod>,
    /// What makes pods in the Service's namespace.
    pub workloads: Vec<Workload>,
    /// Events about pods of the Service's namespace.
    pub events: Vec<Event>,
    /// What looking told.
    pub facts: Facts,
    /// What could not be seen, and why not.
    pub unseen: Vec<Unseen>,
}

/// Something that makes pods from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its kind, for instance `Deployment`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many pods it wants; `None` when that follows from something else, as a DaemonSet's does.
    pub replicas: Option<i32>,
    /// Labels of its template.
    pub labels: BTreeMap<String, String>,
    /// Why it cannot make pods, in its own words.
    pub trouble: Option<String>,
}

/// A kind that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What, in the plural.
    pub what: &'static str,
    /// Why not.
    pub why: String,
}

/// What was found by looking rather than by reading objects; empty where nobody could look.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What TCP connections to endpoints met, made on the node the endpoint is on.
    pub connects: BTreeMap<SocketAddr, Connect>,
    /// What cluster DNS said about names.
    pub names: BTreeMap<String, Resolved>,
}

/// What a TCP connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// Somebody accepted it.
    Accepted,
    /// It was refused at once: nobody listens.
    Refused,
    /// Nobody said anything.
    Silent,
}

/// What cluster DNS said about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// These addresses; none when the name exists without any.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// It could not say: the code it answered with, or nothing.
    Failed(String),
}
