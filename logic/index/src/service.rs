//! One Service object becomes one [`Service`]: defaults read in, addresses parsed, what cannot be used named.
//!
//! An invalid part is left out with a warning; only a Service without an identity, or an ExternalName Service without
//! the name, is left out whole. Never decides what a proxy does with the Service.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use kelson_model::{Affinity, Cidr, Exposure, Protocol, Service, ServiceName, ServicePort, TrafficPolicy};

/// Marks Services another proxy takes care of (spec C1.2).
pub(crate) const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Seconds of client affinity when the object does not say (spec A2.3).
const DEFAULT_AFFINITY_SECONDS: u32 = 10_800;

/// Parses a Service; `None` when nothing of it can be used. What had to be left out is appended to `warnings`.
pub fn service(object: &api::Service, warnings: &mut Vec<String>) -> Option<Service> {
    let name = name(object)?;
    let mut reader = Reader { name: &name, warnings };
    let spec = object.spec.as_ref().or_else(|| reader.skip("spec", "is missing"))?;
    let exposure = reader.exposure(spec)?;
    Some(Service {
        ports: reader.ports(spec),
        cluster_ips: reader.cluster_ips(spec, &exposure),
        external_ips: reader.parsed("spec.externalIPs", spec.external_ips.iter().flatten(), parse_ip),
        load_balancer_ips: reader.load_balancer_ips(object),
        source_ranges: reader.source_ranges(spec),
        affinity: affinity(spec),
        internal_policy: policy(spec.internal_traffic_policy.as_deref()),
        external_policy: policy(spec.external_traffic_policy.as_deref()),
        health_check_node_port: health_check_node_port(spec),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        generation: object.metadata.generation.unwrap_or(0),
        foreign_proxy: object.metadata.labels.as_ref().is_some_and(|l| l.contains_key(PROXY_NAME_LABEL)),
        exposure,
        name,
    })
}

/// The key of a Service object; `None` when it has no name or namespace.
pub(crate) fn name(object: &api::Service) -> Option<ServiceName> {
    let metadata = &object.metadata;
    Some(ServiceName::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

/// Collects warnings about one Service while its fields are read.
struct Reader<'a> {
    name: &'a ServiceName,
    warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn warn(&mut self, field: &str, what: &str) {
        self.warnings.push(format!("service {}: {field} {what}", self.name));
    }

    fn skip<T>(&mut self, field: &str, what: &str) -> Option<T> {
        self.warn(field, what);
        None
    }

    fn exposure(&mut self, spec: &api::ServiceSpec) -> Option<Exposure> {
        if spec.type_.as_deref() == Some("ExternalName") {
            return match spec.external_name.as_deref() {
                Some(name) if !name.is_empty() => Some(Exposure::ExternalName(name.into())),
                _ => self.skip("spec.externalName", "is empty, so there is no name to lead to"),
            };
        }
        Some(if spec.cluster_ip.as_deref() == Some("None") {
            Exposure::Headless
        } else {
            Exposure::ClusterIp
        })
    }

    /// `clusterIPs`, or `clusterIP` where an older server left the list out; none yet is no fault (spec C1.1).
    fn cluster_ips(&mut self, spec: &api::ServiceSpec, exposure: &Exposure) -> Vec<IpAddr> {
        if *exposure != Exposure::ClusterIp {
            return Vec::new();
        }
        let listed = spec.cluster_ips.as_ref().filter(|ips| !ips.is_empty());
        let single = spec.cluster_ip.iter();
        let texts: Vec<&String> = listed.map_or_else(|| single.collect(), |ips| ips.iter().collect());
        self.parsed("spec.clusterIPs", texts.into_iter().filter(|ip| !ip.is_empty()), parse_ip)
    }

    /// Balancer addresses of mode VIP (spec C1.4, A10.9). Host names are resolved by nobody here.
    fn load_balancer_ips(&mut self, object: &api::Service) -> Vec<IpAddr> {
        let status = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let ingress = status.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
        let vip = ingress.filter(|entry| entry.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"));
        let ips = vip.filter_map(|entry| entry.ip.as_ref()).filter(|ip| !ip.is_empty());
        self.parsed("status.loadBalancer.ingress.ip", ips, parse_ip)
    }

    fn source_ranges(&mut self, spec: &api::ServiceSpec) -> Vec<Cidr> {
        let ranges = spec.load_balancer_source_ranges.iter().flatten();
        self.parsed("spec.loadBalancerSourceRanges", ranges, Cidr::parse)
    }

    fn ports(&mut self, spec: &api::ServiceSpec) -> Vec<ServicePort> {
        fitted(spec.ports.iter().flatten().filter_map(|port| self.port(port)).collect())
    }

    fn port(&mut self, port: &api::ServicePort) -> Option<ServicePort> {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref().unwrap_or("TCP")) else {
            return self.skip("spec.ports.protocol", "is none of TCP, UDP and SCTP; the port is left out");
        };
        let Some(number) = valid_port(port.port) else {
            return self.skip("spec.ports.port", "is not between 1 and 65535; the port is left out");
        };
        Some(ServicePort {
            name: port.name.as_deref().unwrap_or_default().into(),
            protocol,
            port: number,
            node_port: port.node_port.and_then(valid_port),
            app_protocol: port.app_protocol.as_deref().map(Arc::from),
        })
    }

    fn parsed<'t, T>(
        &mut self,
        field: &str,
        texts: impl Iterator<Item = &'t String>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for text in texts {
            match parse(text) {
                Some(value) => values.push(value),
                None => self.warn(field, &format!("{text:?} cannot be parsed and is left out")),
            }
        }
        fitted(values)
    }
}

/// Without room for more: these lists stay as they are, by the ten thousand.
fn fitted<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}

fn affinity(spec: &api::ServiceSpec) -> Option<Affinity> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let client_ip = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = client_ip.and_then(|client_ip| client_ip.timeout_seconds);
    let timeout_seconds = seconds.and_then(|s| u32::try_from(s).ok()).filter(|s| *s > 0);
    Some(Affinity { timeout_seconds: timeout_seconds.unwrap_or(DEFAULT_AFFINITY_SECONDS) })
}

fn policy(text: Option<&str>) -> TrafficPolicy {
    if text == Some("Local") { TrafficPolicy::Local } else { TrafficPolicy::Cluster }
}

fn health_check_node_port(spec: &api::ServiceSpec) -> Option<u16> {
    let balancer = spec.type_.as_deref() == Some("LoadBalancer");
    let local = policy(spec.external_traffic_policy.as_deref()) == TrafficPolicy::Local;
    spec.health_check_node_port.filter(|_| balancer && local).and_then(valid_port)
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    IpAddr::from_str(text).ok()
}

/// A port number of the API as a port, if it is one.
pub(crate) fn valid_port(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests;
