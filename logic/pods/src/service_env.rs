//! The variables that tell a container of Services (E1–E6), in both styles.
//!
//! Pure: the Services as they are when the container starts, sorted by name so that two starts agree.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use std::collections::BTreeMap;

/// The variables for a pod of `namespace`; `links` is `enableServiceLinks`.
pub fn variables<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    links: bool,
) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let (Some(name), Some(of)) =
            (service.metadata.name.as_deref(), service.metadata.namespace.as_deref())
        else {
            continue;
        };
        if cluster_ip(service).is_none() {
            continue;
        }
        let api = of == "default" && name == "kubernetes";
        if links && of == namespace {
            chosen.insert(name, service);
        } else if api {
            chosen.entry(name).or_insert(service);
        }
    }
    chosen.values().flat_map(|service| of_service(service)).collect()
}

/// The Service's address, if it has one to connect to.
fn cluster_ip(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.cluster_ip.as_deref().filter(|ip| !external && !ip.is_empty() && *ip != "None")
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let (Some(ip), Some(first)) = (cluster_ip(service), ports.first()) else { return Vec::new() };
    let name = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    let mut all = vec![
        (format!("{name}_SERVICE_HOST"), ip.to_owned()),
        (format!("{name}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|it| !it.is_empty()) {
            all.push((
                format!("{name}_SERVICE_PORT_{}", port_name.to_uppercase().replace('-', "_")),
                port.port.to_string(),
            ));
        }
    }
    all.push((format!("{name}_PORT"), url(ip, first)));
    for port in ports {
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol(port));
        all.push((prefix.clone(), url(ip, port)));
        all.push((format!("{prefix}_PROTO"), protocol(port).to_lowercase()));
        all.push((format!("{prefix}_PORT"), port.port.to_string()));
        all.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    all
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().filter(|it| !it.is_empty()).unwrap_or("TCP")
}

/// `tcp://10.96.0.1:443`; an IPv6 address in brackets (E4).
fn url(ip: &str, port: &ServicePort) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("{}://{host}:{}", protocol(port).to_lowercase(), port.port)
}

/// A Service's name as part of a variable's (E3).
fn variable_name(name: &str) -> String {
    let upper = name.to_uppercase().replace(['-', '.'], "_");
    match upper.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{upper}"),
        false => upper,
    }
}
