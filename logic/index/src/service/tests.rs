//! Services read: what each field becomes, and what is left out with which warning.

use k8s_openapi::api::core::v1 as api;
use kelson_model::{Affinity, Exposure, Protocol, Service, TrafficPolicy};
use serde_json::{Value, json};

use super::service;

fn object(spec: Value) -> api::Service {
    let object = json!({"metadata": {"namespace": "shop", "name": "cart", "generation": 3}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn parsed(spec: Value) -> (Option<Service>, Vec<String>) {
    let mut warnings = Vec::new();
    (service(&object(spec), &mut warnings), warnings)
}

/// Parses `spec` and compares what `pick` shows of it; no warning may be given.
fn check<T: PartialEq + std::fmt::Debug>(spec: Value, pick: fn(Service) -> T, expected: T) {
    let (service, warnings) = parsed(spec.clone());
    assert_eq!(service.map(pick), Some(expected), "{spec}");
    assert_eq!(warnings, Vec::<String>::new(), "{spec}");
}

fn ips(texts: &[&str]) -> Vec<std::net::IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn exposure_c1_1() {
    check(json!({"clusterIP": "10.96.0.1"}), |s| s.exposure, Exposure::ClusterIp);
    check(json!({"clusterIP": "None", "clusterIPs": ["None"]}), |s| s.exposure, Exposure::Headless);
    check(json!({"clusterIP": "None", "clusterIPs": ["None"]}), |s| s.cluster_ips, ips(&[]));
    check(json!({"clusterIP": ""}), |s| s.cluster_ips, ips(&[]));
    let external = json!({"type": "ExternalName", "externalName": "db.example.org"});
    check(external, |s| s.exposure, Exposure::ExternalName("db.example.org".into()));
}

#[test]
fn addresses_c1_3_and_c1_4() {
    check(json!({"clusterIP": "10.96.0.1"}), |s| s.cluster_ips, ips(&["10.96.0.1"]));
    let dual = json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]});
    check(dual, |s| s.cluster_ips, ips(&["10.96.0.1", "fd00::1"]));
    check(json!({"externalIPs": ["192.0.2.1"]}), |s| s.external_ips, ips(&["192.0.2.1"]));
    let ranges = json!({"loadBalancerSourceRanges": ["192.0.2.9/24", " 2001:db8::/32 "]});
    check(
        ranges,
        |s| s.source_ranges.iter().map(ToString::to_string).collect(),
        vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()],
    );
}

#[test]
fn balancer_addresses_of_mode_vip_alone_a10_9() {
    let mut object = object(json!({"type": "LoadBalancer"}));
    let ingress = json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.1"}, {"ip": "198.51.100.2", "ipMode": "VIP"},
        {"ip": "198.51.100.3", "ipMode": "Proxy"}, {"hostname": "lb.example.org"}]}});
    object.status = serde_json::from_value(ingress).unwrap();
    let service = service(&object, &mut Vec::new()).unwrap();
    assert_eq!(service.load_balancer_ips, ips(&["198.51.100.1", "198.51.100.2"]));
}

#[test]
fn ports_a2_4() {
    let ports =
        json!({"ports": [{"port": 80}, {"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053}]});
    let shown =
        |s: Service| s.ports.iter().map(|p| (p.name.to_string(), p.protocol, p.port, p.node_port)).collect();
    let expected =
        vec![(String::new(), Protocol::Tcp, 80, None), ("dns".to_owned(), Protocol::Udp, 53, Some(30053))];
    check(ports, shown, expected);
    check(json!({"ports": [{"port": 80, "nodePort": 0}]}), |s| s.ports[0].node_port, None);
}

#[test]
fn affinity_a2_3() {
    let seconds = |timeout_seconds| Some(Affinity { timeout_seconds });
    check(json!({"sessionAffinity": "None"}), |s| s.affinity, None);
    check(json!({"sessionAffinity": "ClientIP"}), |s| s.affinity, seconds(10_800));
    let config =
        json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}});
    check(config, |s| s.affinity, seconds(5));
}

#[test]
fn policies_a2_6_a2_7_c8() {
    check(json!({"internalTrafficPolicy": "Local"}), |s| s.internal_policy, TrafficPolicy::Local);
    check(json!({}), |s| (s.internal_policy, s.external_policy), Default::default());
    let local = |kind| json!({"type": kind, "externalTrafficPolicy": "Local", "healthCheckNodePort": 30100});
    check(local("LoadBalancer"), |s| s.health_check_node_port, Some(30100));
    check(local("NodePort"), |s| s.health_check_node_port, None);
    check(json!({"publishNotReadyAddresses": true}), |s| (s.publish_not_ready, s.generation), (true, 3));
}

#[test]
fn another_proxy_s_service_c1_2() {
    let mut object = object(json!({}));
    let labels = [(super::PROXY_NAME_LABEL.to_owned(), String::new())];
    object.metadata.labels = Some(labels.into());
    assert!(service(&object, &mut Vec::new()).unwrap().foreign_proxy);
}

#[test]
fn bad_parts_are_left_out_with_a_warning() {
    let (service, warnings) = parsed(json!({
        "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "010.0.0.1"], "externalIPs": ["x"],
        "ports": [{"port": 0}, {"port": 70000}, {"port": 80, "protocol": "QUIC"}, {"port": 80}]}));
    let service = service.unwrap();
    assert_eq!((service.cluster_ips.len(), service.external_ips.len(), service.ports.len()), (1, 0, 1));
    assert_eq!(warnings.len(), 5);
    assert_eq!(
        warnings[0],
        "service shop/cart: spec.ports.port is not between 1 and 65535; the port is left out"
    );
    assert!(warnings.iter().any(|w| w.contains("\"010.0.0.1\" cannot be parsed")), "{warnings:?}");
}

#[test]
fn what_cannot_be_used_at_all() {
    let (none, warnings) = parsed(json!({"type": "ExternalName"}));
    assert_eq!((none, warnings.len()), (None, 1));
    let nameless: api::Service = serde_json::from_value(json!({"metadata": {}, "spec": {}})).unwrap();
    assert_eq!(service(&nameless, &mut Vec::new()), None);
}
