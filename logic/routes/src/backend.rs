//! Backends: a Service and a port become addresses (spec G2.10, G2.12, G2.13).
//!
//! ExternalName Services are followed while they name Services of this cluster; a name that leads out is handed on to be
//! resolved. Never connects to a ClusterIP: requests go straight to endpoints, so that each connection is balanced anew.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{IngressBackend, ServiceBackendPort};
use kelson_model::{Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};

/// Most ExternalName Services followed one after the other.
const ALIASES_MAX: usize = 8;

/// A Service's port, as an Ingress names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortRef {
    /// By the port clients connect to.
    Number(u16),
    /// By its name.
    Name(Arc<str>),
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where an Ingress sends requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendRef {
    /// To a port of a Service.
    Service {
        /// The Service, in the Ingress's namespace.
        service: ServiceName,
        /// Its port.
        port: PortRef,
    },
    /// To something that cannot be served: a resource other than a Service, or a Service without a port.
    Unusable,
}

impl BackendRef {
    /// Reads the backend of an Ingress in `namespace`.
    pub(crate) fn parse(namespace: &str, backend: &IngressBackend) -> Self {
        let service = backend.service.as_ref().filter(|service| !service.name.is_empty());
        let port = service.and_then(|service| port(service.port.as_ref()?));
        match (service, port) {
            (Some(service), Some(port)) => {
                Self::Service { service: ServiceName::new(namespace, &service.name), port }
            }
            _ => Self::Unusable,
        }
    }
}

fn port(port: &ServiceBackendPort) -> Option<PortRef> {
    let name = port.name.as_deref().filter(|name| !name.is_empty());
    let number = port.number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    name.map(|name| PortRef::Name(name.into())).or(number.map(PortRef::Number))
}

impl fmt::Display for BackendRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, port } => write!(f, "service {service} port {port}"),
            Self::Unusable => f.write_str("a backend that is no service port"),
        }
    }
}

/// Why a backend takes no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unavailable {
    /// There is no such Service.
    NoService,
    /// The Service has no such TCP port.
    NoPort,
    /// The Service has no endpoint that takes requests.
    NoEndpoint,
    /// ExternalName Services name each other, or too many follow on each other.
    AliasLoop,
    /// An ExternalName that is an address, or no name.
    BadAlias,
    /// The backend is no Service port.
    NotAService,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoService => "there is no such service",
            Self::NoPort => "the service has no such TCP port",
            Self::NoEndpoint => "the service has no ready endpoint",
            Self::AliasLoop => "its external names lead in a circle or too far",
            Self::BadAlias => "its external name is no host name",
            Self::NotAService => "only ports of services are served",
        })
    }
}

/// Where requests for a backend go now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To one of these, each as good; never empty.
    Endpoints(Arc<[SocketAddr]>),
    /// To the addresses of a name outside the cluster's Services.
    External {
        /// The name, lower case, without a final dot.
        name: Arc<str>,
        /// The port to connect to.
        port: u16,
    },
    /// Nowhere.
    Unavailable(Unavailable),
}

/// What a backend speaks, by the `appProtocol` of its Service's port (spec A2.14, KEP-3726).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppProtocol {
    /// HTTP/1.1, WebSockets among it: `http`, `kubernetes.io/ws`, none, and whatever is not known.
    #[default]
    Http,
    /// HTTP/2 without TLS, with prior knowledge: `kubernetes.io/h2c`.
    H2c,
    /// HTTP over TLS: `https`, `kubernetes.io/wss`.
    Https,
}

impl AppProtocol {
    fn parse(text: &str) -> Self {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match () {
            () if is("kubernetes.io/h2c") => Self::H2c,
            () if is("https") || is("kubernetes.io/wss") => Self::Https,
            () => Self::Http,
        }
    }
}

/// A backend and where requests for it go now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// What the Ingress says.
    pub reference: BackendRef,
    /// What that means now.
    pub target: Target,
    /// What is spoken there.
    pub protocol: AppProtocol,
}

/// Where requests for `reference` go, in a cluster whose domain is `domain`, and what is spoken there: what the last
/// Service on the way that says anything says.
pub(crate) fn resolve(snapshot: &Snapshot, domain: &str, reference: &BackendRef) -> (Target, AppProtocol) {
    let mut protocol = AppProtocol::default();
    let BackendRef::Service { service, port } = reference else {
        return (Target::Unavailable(Unavailable::NotAService), protocol);
    };
    let (mut next, mut port) = (Inside { service: service.clone(), hostname: None }, port.clone());
    for _ in 0..ALIASES_MAX {
        let Some(service) = snapshot.services.get(&next.service) else {
            return (Target::Unavailable(Unavailable::NoService), protocol);
        };
        let found = tcp_port(service, &port);
        protocol = found.and_then(|port| port.app_protocol.as_deref()).map_or(protocol, AppProtocol::parse);
        let Exposure::ExternalName(alias) = &service.exposure else {
            return (endpoints(snapshot, service, &port, next.hostname.as_deref()), protocol);
        };
        port = through_alias(service, port);
        let alias = alias.strip_suffix('.').unwrap_or(alias).to_ascii_lowercase();
        match inside(&alias, domain) {
            Some(followed) => next = followed,
            None => return (external(&alias, &port), protocol),
        }
    }
    (Target::Unavailable(Unavailable::AliasLoop), protocol)
}

/// The name of an ExternalName Service's port means its number; a name it does not have is left to the next Service.
fn through_alias(service: &Service, port: PortRef) -> PortRef {
    match tcp_port(service, &port) {
        Some(found) => PortRef::Number(found.port),
        None => port,
    }
}

/// What a name inside the cluster leads to.
struct Inside {
    service: ServiceName,
    /// The pod meant, by its host name under the Service (spec D1.6).
    hostname: Option<Box<str>>,
}

/// What `alias` names inside the cluster: `[<hostname>.]<service>.<namespace>.svc`, with or without the cluster's domain.
fn inside(alias: &str, domain: &str) -> Option<Inside> {
    let relative = alias.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).unwrap_or(alias);
    let labels: Vec<&str> = relative.strip_suffix(".svc")?.split('.').collect();
    let (hostname, service, namespace) = match labels[..] {
        [service, namespace] => (None, service, namespace),
        [hostname, service, namespace] => (Some(hostname.into()), service, namespace),
        _ => return None,
    };
    let are_labels = labels.iter().all(|label| !label.is_empty());
    are_labels.then(|| Inside { service: ServiceName::new(namespace, service), hostname })
}

fn external(alias: &str, port: &PortRef) -> Target {
    let is_name = !alias.is_empty() && alias.parse::<IpAddr>().is_err();
    match port {
        _ if !is_name => Target::Unavailable(Unavailable::BadAlias),
        PortRef::Name(_) => Target::Unavailable(Unavailable::NoPort),
        PortRef::Number(port) => Target::External { name: alias.into(), port: *port },
    }
}

fn endpoints(snapshot: &Snapshot, service: &Service, port: &PortRef, hostname: Option<&str>) -> Target {
    let (key, fixed_port) = match (tcp_port(service, port), port) {
        (Some(found), _) => (service.name.port(&found.name), None),
        // A headless Service without ports: its names lead to pods, and any port of theirs may be meant (spec D1.15).
        (None, PortRef::Number(number)) if service.ports.is_empty() => (service.name.port(""), Some(*number)),
        _ => return Target::Unavailable(Unavailable::NoPort),
    };
    let all = snapshot.endpoints.get(&key).map(AsRef::as_ref).unwrap_or_default();
    let is_meant = |endpoint: &&Endpoint| hostname.is_none() || endpoint.hostname.as_deref() == hostname;
    let addresses = usable(all).filter(is_meant).filter_map(|endpoint| {
        let port = fixed_port.unwrap_or(endpoint.port);
        (port > 0).then_some(SocketAddr::new(endpoint.address, port))
    });
    let addresses: Vec<SocketAddr> = addresses.collect();
    match addresses.is_empty() {
        true => Target::Unavailable(Unavailable::NoEndpoint),
        false => Target::Endpoints(addresses.into()),
    }
}

/// Ready endpoints; when there is none, those that still serve while they end (spec C2.1).
fn usable(endpoints: &[Endpoint]) -> impl Iterator<Item = &Endpoint> {
    let any_ready = endpoints.iter().any(|endpoint| endpoint.ready);
    endpoints.iter().filter(move |endpoint| match any_ready {
        true => endpoint.ready,
        false => endpoint.serving && endpoint.terminating,
    })
}

fn tcp_port<'a>(service: &'a Service, wanted: &PortRef) -> Option<&'a ServicePort> {
    let mut tcp = service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    tcp.find(|port| match wanted {
        PortRef::Number(number) => port.port == *number,
        PortRef::Name(name) => port.name == *name,
    })
}

#[cfg(test)]
mod tests;
