//! What a Service and a port lead to, row by row.

use super::*;
use crate::test_world::{endpoint, service, snapshot, told};

fn alias(to: &str) -> Exposure {
    Exposure::ExternalName(to.into())
}

fn world() -> Snapshot {
    let named = |hostname: &str, address: &str| Endpoint {
        hostname: Some(hostname.into()),
        ..endpoint(address, 8080, "ready")
    };
    snapshot(vec![
        (
            service("web", Exposure::ClusterIp, &["http:80", "dns:53/UDP"]),
            "http",
            vec![
                endpoint("10.244.0.5", 8080, "ready"),
                endpoint("10.244.0.6", 8080, "ready"),
                endpoint("10.244.0.7", 8080, "unready"),
                endpoint("10.244.0.8", 8080, "draining"),
            ],
        ),
        (service("none", Exposure::ClusterIp, &[":80"]), "", vec![endpoint("10.244.0.9", 80, "unready")]),
        (
            service("ending", Exposure::ClusterIp, &[":80"]),
            "",
            vec![endpoint("10.244.0.10", 80, "draining"), endpoint("10.244.0.11", 80, "gone")],
        ),
        (
            service("set", Exposure::Headless, &["web:80"]),
            "web",
            vec![named("set-0", "10.244.0.20"), named("set-1", "10.244.0.21")],
        ),
        (service("bare", Exposure::Headless, &[]), "", vec![endpoint("10.244.0.30", 0, "ready")]),
        (
            service("other/web", Exposure::ClusterIp, &[":80"]),
            "",
            vec![endpoint("10.244.1.1", 9090, "ready")],
        ),
        (service("there", alias("web.other.svc.cluster.local"), &["http:80"]), "", vec![]),
        (service("dotted", alias("Web.other.SVC.Cluster.Local."), &[":80"]), "", vec![]),
        (service("short", alias("web.other.svc"), &[]), "", vec![]),
        (service("one-pod", alias("set-1.set.shop.svc.cluster.local"), &[]), "", vec![]),
        (service("no-pod", alias("set-9.set.shop.svc.cluster.local"), &[]), "", vec![]),
        (service("twice", alias("there.shop.svc.cluster.local"), &[":80"]), "", vec![]),
        (service("circle", alias("circle.shop.svc.cluster.local"), &[":80"]), "", vec![]),
        (service("dangling", alias("missing.other.svc.cluster.local"), &[":80"]), "", vec![]),
        (service("outside", alias("my.database.Example.com"), &["sql:5432"]), "", vec![]),
        (service("address", alias("192.0.2.1"), &[":80"]), "", vec![]),
        (service("empty", alias("."), &[":80"]), "", vec![]),
    ])
}

fn check(name: &str, port: &str, expected: &str) {
    let port = port.parse().map_or_else(|_| PortRef::Name(port.into()), PortRef::Number);
    let reference = BackendRef::Service { service: ServiceName::new("shop", name), port };
    assert_eq!(told(&resolve(&world(), "cluster.local", &reference).0), expected, "{reference}");
}

/// G2.10, G2.12, C2.1.
#[test]
fn services_lead_to_their_ready_endpoints() {
    check("web", "80", "10.244.0.5:8080 10.244.0.6:8080");
    check("web", "http", "10.244.0.5:8080 10.244.0.6:8080");
    check("web", "8080", "the service has no such TCP port");
    check("web", "dns", "the service has no such TCP port");
    check("web", "53", "the service has no such TCP port");
    check("none", "80", "the service has no ready endpoint");
    check("ending", "80", "10.244.0.10:80");
    check("missing", "80", "there is no such service");
    check("set", "web", "10.244.0.20:8080 10.244.0.21:8080");
    check("bare", "8081", "10.244.0.30:8081");
    check("bare", "web", "the service has no such TCP port");
}

/// G2.13, and the way of an Ingress to another namespace's Service through an ExternalName.
#[test]
fn external_names_are_followed() {
    check("there", "80", "10.244.1.1:9090");
    check("there", "http", "10.244.1.1:9090");
    check("dotted", "80", "10.244.1.1:9090");
    check("short", "80", "10.244.1.1:9090");
    check("twice", "80", "10.244.1.1:9090");
    check("one-pod", "80", "10.244.0.21:8080");
    check("no-pod", "80", "the service has no ready endpoint");
    check("circle", "80", "its external names lead in a circle or too far");
    check("dangling", "80", "there is no such service");
    check("outside", "sql", "my.database.example.com:5432");
    check("outside", "6432", "my.database.example.com:6432");
    check("outside", "http", "the service has no such TCP port");
    check("address", "80", "its external name is no host name");
    check("empty", "80", "its external name is no host name");
}

#[test]
fn what_is_no_service_port_is_unusable() {
    let parse = |json: serde_json::Value| BackendRef::parse("shop", &serde_json::from_value(json).unwrap());
    let port = |json: serde_json::Value| parse(serde_json::json!({"service": {"name": "web", "port": json}}));
    let web = |port| BackendRef::Service { service: ServiceName::new("shop", "web"), port };
    assert_eq!(port(serde_json::json!({"number": 80})), web(PortRef::Number(80)));
    assert_eq!(port(serde_json::json!({"name": "http"})), web(PortRef::Name("http".into())));
    assert_eq!(port(serde_json::json!({"number": 0})), BackendRef::Unusable);
    assert_eq!(port(serde_json::json!({"number": 70000})), BackendRef::Unusable);
    assert_eq!(port(serde_json::json!({})), BackendRef::Unusable);
    assert_eq!(parse(serde_json::json!({"resource": {"kind": "Bucket", "name": "b"}})), BackendRef::Unusable);
    let (target, _) = resolve(&Snapshot::default(), "cluster.local", &BackendRef::Unusable);
    assert_eq!(told(&target), "only ports of services are served");
}

/// A2.14, KEP-3726: the port that endpoints stand behind decides, and the alias only where that says nothing.
#[test]
fn the_port_says_what_is_spoken() {
    let with = |service: Arc<Service>, protocol: &str| {
        let mut service = Arc::unwrap_or_clone(service);
        service.ports[0].app_protocol = (!protocol.is_empty()).then(|| protocol.into());
        Arc::new(service)
    };
    let check = |alias_says: &str, service_says: &str, expected: AppProtocol| {
        let there = with(service("web", Exposure::ClusterIp, &[":80"]), service_says);
        let here = with(service("alias", alias("web.shop.svc"), &[":80"]), alias_says);
        let snapshot = snapshot(vec![(there, "", vec![]), (here, "", vec![])]);
        let service = ServiceName::new("shop", "alias");
        let reference = BackendRef::Service { service, port: PortRef::Number(80) };
        let (_, protocol) = resolve(&snapshot, "cluster.local", &reference);
        assert_eq!(protocol, expected, "{alias_says} {service_says}");
    };
    for (text, expected) in [
        ("", AppProtocol::Http),
        ("http", AppProtocol::Http),
        ("kubernetes.io/ws", AppProtocol::Http),
        ("example.com/own", AppProtocol::Http),
        ("kubernetes.io/h2c", AppProtocol::H2c),
        ("https", AppProtocol::Https),
        ("HTTPS", AppProtocol::Https),
        ("kubernetes.io/wss", AppProtocol::Https),
    ] {
        check("", text, expected);
        check(text, "", expected);
    }
    check("https", "kubernetes.io/h2c", AppProtocol::H2c);
    check("https", "http", AppProtocol::Http);
}
