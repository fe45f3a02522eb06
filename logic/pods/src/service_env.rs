//! The variables that tell a container of Services (E1–E6), in both styles.
//!
//! Pure: the Services as they are when the container starts, sorted by name so that two starts agree.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use std::collections::BTreeMap;

/// What variables are made of: a Service that has an address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    namespace: Box<str>,
    name: Box<str>,
    address: Box<str>,
    ports: Box<[Port]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    name: Box<str>,
    number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    protocol: Box<str>,
}

impl Linked {
    /// What there is to say of a Service; `None` if it has no address.
    pub fn of(service: &Service) -> Option<Linked> {
        let (meta, ports) = (&service.metadata, service.spec.as_ref().and_then(|spec| spec.ports.as_deref()));
        Some(Linked {
            namespace: meta.namespace.as_deref()?.into(),
            name: meta.name.as_deref()?.into(),
            address: cluster_ip(service)?.into(),
            ports: ports.unwrap_or_default().iter().map(port).collect(),
        })
    }
}

fn port(port: &ServicePort) -> Port {
    Port {
        name: port.name.as_deref().unwrap_or_default().into(),
        number: port.port,
        protocol: port.protocol.as_deref().filter(|it| !it.is_empty()).unwrap_or("TCP").into(),
    }
}

/// The Service's address, if it has one to connect to.
fn cluster_ip(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.cluster_ip.as_deref().filter(|ip| !external && !ip.is_empty() && *ip != "None")
}

/// The variables for a pod of `namespace`; `links` is `enableServiceLinks`.
pub fn variables<'a>(
    services: impl IntoIterator<Item = &'a Linked>,
    namespace: &str,
    links: bool,
) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<&str, &Linked> = BTreeMap::new();
    for service in services {
        let (of, name) = (&*service.namespace, &*service.name);
        let api = of == "default" && name == "kubernetes";
        if links && of == namespace {
            chosen.insert(name, service);
        } else if api {
            chosen.entry(name).or_insert(service);
        }
    }
    chosen.values().flat_map(|service| of_service(service)).collect()
}

fn of_service(service: &Linked) -> Vec<(String, String)> {
    let (ip, ports) = (&*service.address, &*service.ports);
    let Some(first) = ports.first() else { return Vec::new() };
    let name = variable_name(&service.name);
    let mut all = vec![
        (format!("{name}_SERVICE_HOST"), ip.to_owned()),
        (format!("{name}_SERVICE_PORT"), first.number.to_string()),
    ];
    for port in ports.iter().filter(|port| !port.name.is_empty()) {
        let port_name = port.name.to_uppercase().replace('-', "_");
        all.push((format!("{name}_SERVICE_PORT_{port_name}"), port.number.to_string()));
    }
    all.push((format!("{name}_PORT"), url(ip, first)));
    for port in ports {
        let prefix = format!("{name}_PORT_{}_{}", port.number, port.protocol);
        all.push((prefix.clone(), url(ip, port)));
        all.push((format!("{prefix}_PROTO"), port.protocol.to_lowercase()));
        all.push((format!("{prefix}_PORT"), port.number.to_string()));
        all.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    all
}

/// `tcp://10.96.0.1:443`; an IPv6 address in brackets (E4).
fn url(ip: &str, port: &Port) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{}://{host}:{}", port.protocol.to_lowercase(), port.number)
}

/// A Service's name as part of a variable's (E3).
fn variable_name(name: &str) -> String {
    let upper = name.to_uppercase().replace(['-', '.'], "_");
    match upper.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{upper}"),
        false => upper,
    }
}
