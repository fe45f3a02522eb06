//! What becomes of flows to host ports, and who is served when several ask for one.

use std::sync::Arc;

use kelson_model::{Flow, HostPort, NodeView, Origin, PodRef, Protocol, Snapshot, Verdict};

use crate::fixture::{Random, endpoint, ip, node, service, snapshot};
use crate::{Compiler, Options, Tables, Warning, compile, diff, trace};

/// `pod` at 10.244.0.N, port 8080, behind `port` of the node.
fn host_port(pod: &str, n: u8, address: Option<&str>, port: u16) -> HostPort {
    HostPort {
        pod: PodRef { namespace: "default".into(), name: pod.into() },
        address: address.map(ip),
        protocol: Protocol::Tcp,
        port,
        backend: format!("10.244.0.{n}:8080").parse().unwrap(),
    }
}

fn view(ports: &[HostPort]) -> NodeView {
    NodeView { addresses: vec![ip("192.0.2.1"), ip("192.0.2.2")], host_ports: ports.into(), ..node() }
}

fn tables(ports: &[HostPort]) -> (Arc<Tables>, Vec<Warning>) {
    compile(&Snapshot::default(), &view(ports), &Options { masquerade_pods: true, ..Options::default() })
}

#[track_caller]
fn check(tables: &Tables, (origin, source): (Origin, &str), to: &str, expected: &str) {
    let to: std::net::SocketAddr = to.parse().unwrap();
    let protocol = Protocol::Tcp;
    let flow = Flow { origin, source: ip(source), destination: to.ip(), protocol, port: to.port() };
    let found = match trace(tables, &flow) {
        Verdict::Forward(backends) => backends
            .iter()
            .map(|(backend, rewritten)| format!("{backend}{}", if *rewritten { "+" } else { "-" }))
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    };
    assert_eq!(found, expected);
}

const CLIENT: (Origin, &str) = (Origin::External, "198.51.100.7");

#[test]
fn every_client_reaches_the_pod_and_only_the_nodes_own_source_is_rewritten() {
    let (tables, warnings) = tables(&[host_port("web", 1, None, 80)]);
    assert_eq!(warnings, []);
    for address in ["192.0.2.1:80", "192.0.2.2:80"] {
        check(&tables, CLIENT, address, "10.244.0.1:8080-");
        check(&tables, (Origin::Node, "192.0.2.1"), address, "10.244.0.1:8080+");
        check(&tables, (Origin::Pod, "10.244.0.9"), address, "10.244.0.1:8080-");
        check(&tables, (Origin::Pod, "10.244.0.1"), address, "10.244.0.1:8080+");
    }
    check(&tables, CLIENT, "192.0.2.1:81", "Pass");
    check(&tables, CLIENT, "198.51.100.1:80", "Pass");
}

#[test]
fn a_host_address_narrows_it_to_that_address() {
    let ports = [
        host_port("web", 1, Some("192.0.2.2"), 80),
        host_port("other", 2, Some("192.0.2.1"), 80),
        host_port("local", 3, Some("127.0.0.1"), 80),
    ];
    let (tables, warnings) = tables(&ports);
    check(&tables, CLIENT, "192.0.2.2:80", "10.244.0.1:8080-");
    check(&tables, CLIENT, "192.0.2.1:80", "10.244.0.2:8080-");
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "host port 127.0.0.1:80 of pod default/local is not served: other machines and pods cannot reach this node at that address"
        ]
    );
}

#[test]
fn a_service_comes_before_a_pod_and_the_pod_takes_over_when_it_goes() {
    let mut web = service("web", "10.96.0.1");
    web.ports[0].node_port = Some(30_000);
    let both = snapshot(&[(web, vec![endpoint("10.244.0.7")])]);
    let view = view(&[host_port("a", 1, None, 30_000), host_port("b", 2, None, 30_000)]);
    let mut compiler = Compiler::new(Options::default());
    let tables = compiler.compile(&both, &view);
    check(&tables, CLIENT, "192.0.2.1:30000", "10.244.0.7:8080+");
    assert_eq!(compiler.warnings().len(), 2);
    let tables = compiler.compile(&Snapshot::default(), &view);
    check(&tables, CLIENT, "192.0.2.1:30000", "10.244.0.1:8080-");
    assert_eq!(
        compiler.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "host port default/pod b:* 30000/tcp is not served at node port 30000/tcp: default/pod a:* 30000/tcp holds it"
        ]
    );
}

#[test]
fn a_port_that_comes_or_goes_changes_itself_alone() {
    let services = snapshot(&[(service("web", "10.96.0.1"), vec![endpoint("10.244.0.7")])]);
    let mut compiler = Compiler::new(Options::default());
    let before = compiler.compile(&services, &view(&[]));
    let two = [host_port("web", 1, None, 80), host_port("web", 1, None, 81)];
    let with = compiler.compile(&services, &view(&two));
    let changes = diff(&before, &with);
    assert_eq!((changes.node, changes.node_ports.len(), changes.pools.len()), (false, 2, 2));
    assert_eq!((changes.frontends.len(), changes.hairpins.len()), (0, 1));
    let pools: Vec<_> = with.pools.values().map(|pool| pool.identity).collect();
    assert!(pools.windows(2).all(|pair| pair[0] != pair[1]), "{pools:?}");
    let after = compiler.compile(&services, &view(&[]));
    assert_eq!(after, before);
}

#[test]
fn history_never_shows() {
    let mut random = Random(11);
    let mut snapshot = Snapshot::default();
    let mut compiler = Compiler::new(Options::default());
    for _ in 0..300 {
        random.change(&mut snapshot);
        let mut ports: Vec<HostPort> = Vec::new();
        for n in 1..=4 {
            let port = [80, 81, 30_000, 30_001][random.below(4) as usize];
            let address = [None, Some("192.0.2.1"), Some("192.0.2.9")][random.below(3) as usize];
            ports.extend((random.below(2) == 0).then(|| host_port(&format!("p{n}"), n, address, port)));
        }
        let view = view(&ports);
        let tables = compiler.compile(&snapshot, &view);
        let (expected, warnings) = compile(&snapshot, &view, &Options::default());
        assert_eq!((&tables, compiler.warnings()), (&expected, warnings));
    }
}
