//! What each kind of Service does, from every origin.

use std::collections::BTreeMap;

use kelson_model::{Affinity, Cidr, Protocol, Snapshot, Verdict};

use crate::Proxied;
use crate::cluster::{endpoint, endpoint_at, ip, put, service};
use crate::net::{CLIENT, GATEWAY, NODE, pod_ip6};
use crate::traffic::Outcome;

/// C4.1, C4.2, C4.5: ClusterIP from pods (the hairpin among them), the node and outside, TCP and UDP.
#[test]
fn cluster_ip() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1), endpoint(2)]);
    it.program(&snapshot);
    for _ in 0..6 {
        it.agree_everywhere("10.96.0.10:80");
    }
    assert!(
        matches!(it.agree("client", Protocol::Tcp, "10.96.0.10:80"), Verdict::Forward(b) if b.len() == 2)
    );
}

/// The same where the kernel does not filter bridged frames: the way of a packet is the same, since all is routed.
#[test]
fn cluster_ip_without_bridge_filtering() {
    let mut it = Proxied::new(2);
    let path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    it.net.inside("node", || {
        // Without the module there is nothing to turn off.
        if std::fs::exists(path).unwrap() {
            std::fs::write(path, "0").unwrap();
        }
    });
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1), endpoint(2)]);
    it.program(&snapshot);
    for _ in 0..6 {
        it.agree_everywhere("10.96.0.10:80");
    }
}

/// C10.8: a pod in the node's own network is an endpoint like any other.
#[test]
fn endpoint_on_the_node_itself() {
    let mut it = Proxied::new(1);
    it.net.serve("node", NODE);
    let mut snapshot = Snapshot::default();
    let mut host = service("host", "10.96.0.14");
    host.ports.iter_mut().for_each(|port| port.node_port = Some(30014));
    put(&mut snapshot, &host, &[endpoint_at(ip(NODE))]);
    it.program(&snapshot);
    for to in ["10.96.0.14:80", &format!("{NODE}:30014")] {
        for from in ["client", "pod1"] {
            it.agree(from, Protocol::Tcp, to);
            it.agree(from, Protocol::Udp, to);
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let outcome = it.net.ask("node", protocol, to.parse().unwrap());
            assert!(matches!(&outcome, Outcome::Answered { server, .. } if server == "node"), "{outcome:?}");
        }
    }
}

/// Cluster DNS: an endpoint on the pod bridge's own address, for pods and for the node.
#[test]
fn endpoint_on_the_pod_bridge() {
    let mut it = Proxied::new(1);
    it.net.serve("node", GATEWAY);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("dns", "10.96.0.10"), &[endpoint_at(ip(GATEWAY))]);
    it.program(&snapshot);
    for from in ["pod1", "node", "client"] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let outcome = it.net.ask(from, protocol, "10.96.0.10:80".parse().unwrap());
            assert!(
                matches!(&outcome, Outcome::Answered { server, .. } if server == "node"),
                "{from}: {outcome:?}"
            );
        }
    }
}

/// What pods send beyond the pod network bears the node's address; between pods nothing is rewritten.
#[test]
fn pods_leave_under_the_nodes_address() {
    let mut it = Proxied::new(2);
    it.net.serve("client", CLIENT);
    it.program(&Snapshot::default());
    let seen = |it: &Proxied, from: &str, to: &str| match it.net.ask(from, Protocol::Tcp, to.parse().unwrap())
    {
        Outcome::Answered { peer, .. } => peer.to_string(),
        other => panic!("{from} to {to}: {other:?}"),
    };
    assert_eq!(seen(&it, "pod1", &format!("{CLIENT}:8080")), NODE);
    assert_eq!(seen(&it, "pod1", "10.244.0.12:8080"), "10.244.0.11");
    assert_eq!(seen(&it, "client", "10.244.0.12:8080"), CLIENT);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("away", "10.96.0.15"), &[endpoint_at(ip(CLIENT))]);
    it.program(&snapshot);
    it.agree("pod1", Protocol::Tcp, "10.96.0.15:80");
    assert_eq!(seen(&it, "pod1", "10.96.0.15:80"), NODE);
}

/// A9: a dual-stack Service answers in both families.
#[test]
fn both_families() {
    let mut it = Proxied::new(2);
    it.net.add_ipv6();
    for n in [1, 2] {
        it.net.serve(&format!("pod{n}"), &format!("[{}]", pod_ip6(n)));
    }
    it.node.service_cidrs.push(Cidr::parse("fd00:96::/112").unwrap());
    it.node.pod_cidrs.push(Cidr::parse("fd00:244::/64").unwrap());
    let mut snapshot = Snapshot::default();
    let mut dual = service("dual", "10.96.0.16");
    dual.cluster_ips.push(ip("fd00:96::16"));
    dual.affinity = Some(Affinity { timeout_seconds: 60 });
    let six = |n| endpoint_at(pod_ip6(n).into());
    put(&mut snapshot, &dual, &[endpoint(1), endpoint(2), six(1), six(2)]);
    let mut empty = service("empty", "10.96.0.17");
    empty.cluster_ips.push(ip("fd00:96::17"));
    put(&mut snapshot, &empty, &[endpoint(1)]);
    it.program(&snapshot);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        it.agree("pod1", protocol, "10.96.0.16:80");
        let ask = |to: &str| it.net.ask("pod1", protocol, to.parse().unwrap());
        let first = ask("[fd00:96::16]:80");
        assert!(matches!(first, Outcome::Answered { .. }), "{first:?}");
        for _ in 0..10 {
            assert_eq!(ask("[fd00:96::16]:80"), first, "affinity");
        }
        assert_eq!(ask("[fd00:96::17]:80"), Outcome::Refused);
        assert_eq!(ask("[fd00:96::99]:80"), Outcome::Refused);
        assert!(matches!(ask("10.96.0.17:80"), Outcome::Answered { .. }));
    }
}

/// C4.5: a pod that reaches only itself sees the node's address as its peer.
#[test]
fn hairpin() {
    let mut it = Proxied::new(1);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("self", "10.96.0.11"), &[endpoint(1)]);
    it.program(&snapshot);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let verdict = it.agree("pod1", protocol, "10.96.0.11:80");
        assert!(matches!(verdict, Verdict::Forward(b) if b[0].1), "the hairpin is masqueraded");
    }
}

/// C2.8: 300 connections over three backends, within bounds a fair draw leaves once in a million runs.
#[test]
fn spread_is_even() {
    let mut it = Proxied::new(4);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2), endpoint(3), endpoint(4)]);
    it.program(&snapshot);
    for from in ["node", "pod1"] {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for outcome in it.net.ask_many(from, Protocol::Tcp, "10.96.0.10:80".parse().unwrap(), 300) {
            let Outcome::Answered { server, .. } = outcome else { panic!("{from}: {outcome:?}") };
            *seen.entry(server).or_default() += 1;
        }
        let chi_square: f64 = seen.values().map(|n| (f64::from(*n) - 100.0).powi(2) / 100.0).sum();
        assert!(seen.len() == 3 && chi_square < 27.6, "{from}: {seen:?}");
    }
}

/// C3.1, C3.4: nothing behind the Service, a port nobody defined, an address nobody holds: refused at once.
#[test]
fn nothing_to_reach_is_refused() {
    let mut it = Proxied::new(1);
    let mut snapshot = Snapshot::default();
    let mut empty = service("empty", "10.96.0.12");
    empty.external_ips = vec![ip("203.0.113.9")];
    for port in &mut empty.ports {
        port.node_port = Some(30090);
    }
    put(&mut snapshot, &empty, &[]);
    put(&mut snapshot, &service("web", "10.96.0.13"), &[endpoint(1)]);
    it.program(&snapshot);
    for to in ["10.96.0.12:80", "10.96.0.13:81", "10.96.77.77:80", "203.0.113.9:80", &format!("{NODE}:30090")]
    {
        it.agree_everywhere(to);
        assert_eq!(it.agree("pod1", Protocol::Tcp, to), Verdict::Reject, "{to}");
    }
}

/// C4.3, C5.5: NodePorts from outside, from the node and from pods; C5.3: not subject to source ranges.
#[test]
fn node_port() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    let mut web = service("web", "10.96.0.10");
    web.ports[0].node_port = Some(30080);
    web.ports[1].node_port = Some(30080);
    web.load_balancer_ips = vec![ip("203.0.113.1")];
    web.source_ranges = vec![Cidr::parse("198.51.100.0/24").unwrap()];
    put(&mut snapshot, &web, &[endpoint(1), endpoint(2)]);
    it.program(&snapshot);
    for _ in 0..4 {
        it.agree_everywhere(&format!("{NODE}:30080"));
    }
    assert!(matches!(it.agree("client", Protocol::Tcp, &format!("{NODE}:30080")), Verdict::Forward(_)));
}

/// C10.2, C10.3, C6.1, C6.4: externalIPs and balancer addresses; those restricted are silent for the others.
#[test]
fn external_addresses_and_source_ranges() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    let mut open = service("open", "10.96.0.20");
    open.external_ips = vec![ip("203.0.113.1")];
    open.load_balancer_ips = vec![ip("203.0.113.2")];
    put(&mut snapshot, &open, &[endpoint(1), endpoint(2)]);
    let mut narrow = service("narrow", "10.96.0.21");
    narrow.load_balancer_ips = vec![ip("203.0.113.3")];
    narrow.source_ranges =
        vec![Cidr::parse("192.168.50.0/24").unwrap(), Cidr::parse("192.168.50.2/32").unwrap()];
    put(&mut snapshot, &narrow, &[endpoint(1)]);
    let mut shut = service("shut", "10.96.0.22");
    shut.load_balancer_ips = vec![ip("203.0.113.4")];
    shut.source_ranges = vec![Cidr::parse("198.51.100.0/24").unwrap()];
    put(&mut snapshot, &shut, &[endpoint(1)]);
    it.program(&snapshot);
    for to in ["203.0.113.1:80", "203.0.113.2:80", "203.0.113.3:80", "203.0.113.4:80"] {
        it.agree_everywhere(to);
    }
    assert!(matches!(it.agree("client", Protocol::Tcp, "203.0.113.3:80"), Verdict::Forward(_)));
    assert_eq!(it.agree("pod1", Protocol::Tcp, "203.0.113.3:80"), Verdict::Drop);
    assert_eq!(it.agree("client", Protocol::Tcp, "203.0.113.4:80"), Verdict::Drop);

    // The ranges change: who was let in is not, who was not is.
    narrow.source_ranges = vec![Cidr::parse("10.244.0.0/16").unwrap()];
    put(&mut snapshot, &narrow, &[endpoint(1)]);
    it.program(&snapshot);
    assert_eq!(it.agree("client", Protocol::Tcp, "203.0.113.3:80"), Verdict::Drop);
    assert!(matches!(it.agree("pod1", Protocol::Tcp, "203.0.113.3:80"), Verdict::Forward(_)));
}

/// C7.1–C7.5: a client keeps its backend at every address of the port, forgets it after the time-out, and is not held
/// to a backend that has gone.
#[test]
fn affinity() {
    let mut it = Proxied::new(4);
    let mut snapshot = Snapshot::default();
    let mut sticky = service("sticky", "10.96.0.30");
    sticky.external_ips = vec![ip("203.0.113.5")];
    sticky.affinity = Some(Affinity { timeout_seconds: 4 });
    let all: Vec<_> = (1..=4).map(endpoint).collect();
    put(&mut snapshot, &sticky, &all);
    it.program(&snapshot);
    let ask = |it: &Proxied, to: &str, count| -> Vec<String> {
        let outcomes = it.net.ask_many("client", Protocol::Tcp, to.parse().unwrap(), count);
        outcomes
            .into_iter()
            .map(|o| match o {
                Outcome::Answered { server, .. } => server,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let mut first = ask(&it, "10.96.0.30:80", 20);
    first.extend(ask(&it, "203.0.113.5:80", 20));
    assert!(first.iter().all(|server| *server == first[0]), "{first:?}");

    let gone: u8 = first[0].trim_start_matches("pod").parse().unwrap();
    let rest: Vec<_> = (1..=4).filter(|n| *n != gone).map(endpoint).collect();
    put(&mut snapshot, &sticky, &rest);
    it.program(&snapshot);
    let then = ask(&it, "10.96.0.30:80", 20);
    assert!(then.iter().all(|server| *server == then[0] && *server != first[0]), "{first:?} {then:?}");

    // Twelve draws after twelve time-outs would all agree once in 3^11 runs; renewed ones always do.
    put(&mut snapshot, &sticky, &all);
    it.program(&snapshot);
    let renewed: Vec<String> = (0..4)
        .map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            ask(&it, "10.96.0.30:80", 1).remove(0)
        })
        .collect();
    assert!(renewed.iter().all(|server| *server == then[0]), "{then:?} {renewed:?}");

    let mut drawn = std::collections::BTreeSet::new();
    sticky.affinity = Some(Affinity { timeout_seconds: 1 });
    put(&mut snapshot, &sticky, &all);
    it.program(&snapshot);
    for _ in 0..12 {
        drawn.extend(ask(&it, "10.96.0.30:80", 1));
        if drawn.len() > 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2300));
    }
    assert!(drawn.len() > 1, "the time-out forgets: {drawn:?}");

    sticky.affinity = None;
    put(&mut snapshot, &sticky, &all);
    it.program(&snapshot);
    let free: std::collections::BTreeSet<String> = ask(&it, "10.96.0.30:80", 40).into_iter().collect();
    assert!(free.len() > 1, "C7.8: without affinity clients are spread: {free:?}");
}
