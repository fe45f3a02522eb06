//! Queries and their answers, by rows of the specification; every reply is decoded by hickory, an independent reader.

use std::sync::Arc;

use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query as HickoryQuery};
use hickory_proto::rr::{DNSClass, Name as HickoryName, Record, RecordType};
use kelson_model::{Cidr, Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};

use super::{Outcome, Transport};
use crate::{Compiler, Known, Name, Zone, ZoneConfig};

fn service(name: &str, exposure: Exposure, ips: &[&str], ports: &[(&str, Protocol, u16)]) -> Arc<Service> {
    let port = |(name, protocol, port): &(&str, Protocol, u16)| ServicePort {
        name: (*name).into(),
        protocol: *protocol,
        port: *port,
        node_port: None,
        app_protocol: None,
    };
    Arc::new(Service {
        ports: ports.iter().map(port).collect(),
        cluster_ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..Service::new(ServiceName::new("shop", name), exposure)
    })
}

fn endpoint(address: &str, port: u16, ready: bool, hostname: Option<&str>) -> Endpoint {
    Endpoint {
        ready,
        serving: ready,
        hostname: hostname.map(Into::into),
        ..Endpoint::new(address.parse().unwrap(), port)
    }
}

/// The world all rows are asked about.
fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot { generation: 7, synced: true, ..Snapshot::default() };
    snapshot.namespaces = ["shop", "empty"].into_iter().map(std::sync::Arc::<str>::from).collect();
    let web_ports = [("http", Protocol::Tcp, 80), ("dns", Protocol::Udp, 53)];
    let external = |target: &str| Exposure::ExternalName(target.into());
    for service in [
        service("web", Exposure::ClusterIp, &["10.96.0.1", "fd00:96::1"], &web_ports),
        service("idle", Exposure::ClusterIp, &["10.96.0.2"], &[("", Protocol::Tcp, 80)]),
        service("db", Exposure::Headless, &[], &[("pg", Protocol::Tcp, 5432)]),
        service("none", Exposure::Headless, &[], &[("pg", Protocol::Tcp, 5432)]),
        service("bare", Exposure::Headless, &[], &[]),
        service("out", external("db.Example.org"), &[], &[]),
        service("in", external("web.shop.svc.cluster.local."), &[], &[]),
        service("lost", external("gone.shop.svc.cluster.local"), &[], &[]),
        service("ip", external("192.0.2.1"), &[], &[]),
        service("loop", external("loop.shop.svc.cluster.local"), &[], &[]),
    ] {
        snapshot.services.insert(service.name.clone(), service);
    }
    let mut put = |name: &str, port: &str, list: Vec<Endpoint>| {
        snapshot.endpoints.insert(ServiceName::new("shop", name).port(port), list.into());
    };
    put("web", "http", vec![endpoint("10.244.0.7", 8080, true, None)]);
    put("idle", "", vec![endpoint("10.244.0.9", 8080, false, None)]);
    let members = [
        endpoint("10.244.0.5", 15432, true, Some("db-0")),
        endpoint("10.244.0.6", 15432, true, None),
        endpoint("10.244.0.8", 15432, false, Some("db-2")),
        endpoint("fd00:244::5", 15432, true, None),
    ];
    put("db", "pg", members.to_vec());
    put("none", "pg", vec![endpoint("10.244.0.10", 1, false, None)]);
    put("bare", "", vec![endpoint("10.244.0.11", 0, true, None)]);
    snapshot
}

fn zone_of(snapshot: &Snapshot) -> Arc<Zone> {
    let ranges = ["10.96.0.0/16", "10.244.0.0/16"].map(|text| Cidr::parse(text).unwrap());
    let config = ZoneConfig {
        server_addresses: vec![[10, 96, 0, 10].into()],
        ranges: ranges.into(),
        hash_seed: 42,
        ..ZoneConfig::new("cluster.local")
    };
    Compiler::new(config).unwrap().compile(snapshot)
}

fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(HickoryQuery::query(HickoryName::from_ascii(name).unwrap(), rtype));
    message
}

fn outcome(zone: &Zone, message: &Message, transport: Transport, random: u64) -> (Outcome, Vec<u8>) {
    let mut out = vec![0xee; 65_535];
    let outcome = zone.answer(&message.to_vec().unwrap(), transport, random, &mut out);
    let length = match &outcome {
        Outcome::Reply(reply) | Outcome::Chase { reply, .. } => reply.length,
        _ => 0,
    };
    out.truncate(length);
    (outcome, out)
}

/// Asks over TCP and decodes the reply, which must repeat the query's number and question.
fn ask(name: &str, rtype: RecordType) -> Message {
    let message = query(name, rtype);
    let (_, out) = outcome(&zone_of(&snapshot()), &message, Transport::Tcp, 0);
    let reply = Message::from_vec(&out).unwrap_or_else(|error| panic!("{name} {rtype}: {error}: {out:02x?}"));
    assert_eq!(reply.metadata.id, 0x1234);
    assert_eq!(reply.queries, message.queries, "{name} {rtype}");
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert!(reply.metadata.recursion_desired && reply.metadata.recursion_available);
    reply
}

fn shown(record: &Record) -> String {
    assert_eq!(record.dns_class, DNSClass::IN);
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}

/// Asks and compares `CODE` and the answers, in any order.
fn check(name: &str, rtype: RecordType, code: &str, answers: &[&str]) {
    let reply = ask(name, rtype);
    let mut got: Vec<_> = reply.answers.iter().map(shown).collect();
    got.sort();
    let mut expected: Vec<_> = answers.iter().map(|text| (*text).to_owned()).collect();
    expected.sort();
    let got_code = format!("{:?}", reply.metadata.response_code);
    assert_eq!((got_code.as_str(), &got), (code, &expected), "{name} {rtype}");
    let authorities: Vec<_> = reply.authorities.iter().map(shown).collect();
    let soa = "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5";
    let is_negative = answers.is_empty() && matches!(code, "NoError" | "NXDomain");
    assert_eq!(authorities, if is_negative { vec![soa] } else { vec![] }, "D2.11: {name} {rtype}");
    assert_eq!(reply.metadata.authoritative, matches!(code, "NoError" | "NXDomain"), "D2.11: {name} {rtype}");
}

use RecordType::{A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};

#[test]
fn d1_1_version() {
    check("dns-version.cluster.local.", TXT, "NoError", &["dns-version.cluster.local. 28800 TXT 1.1.0"]);
}

#[test]
fn d1_2_cluster_ips_whatever_the_endpoints() {
    check("web.shop.svc.cluster.local.", A, "NoError", &["web.shop.svc.cluster.local. 30 A 10.96.0.1"]);
    check(
        "web.shop.svc.cluster.local.",
        AAAA,
        "NoError",
        &["web.shop.svc.cluster.local. 30 AAAA fd00:96::1"],
    );
    check("idle.shop.svc.cluster.local.", A, "NoError", &["idle.shop.svc.cluster.local. 30 A 10.96.0.2"]);
}

#[test]
fn d1_3_srv_of_named_ports() {
    let srv = "_http._tcp.web.shop.svc.cluster.local. 30 SRV 0 100 80 web.shop.svc.cluster.local.";
    check("_http._tcp.web.shop.svc.cluster.local.", SRV, "NoError", &[srv]);
    let reply = ask("_dns._udp.web.shop.svc.cluster.local.", SRV);
    let extra: Vec<_> = reply.additionals.iter().map(shown).collect();
    assert_eq!(
        extra,
        ["web.shop.svc.cluster.local. 30 A 10.96.0.1", "web.shop.svc.cluster.local. 30 AAAA fd00:96::1",]
    );
    let all = [
        "web.shop.svc.cluster.local. 30 SRV 0 50 53 web.shop.svc.cluster.local.",
        "web.shop.svc.cluster.local. 30 SRV 0 50 80 web.shop.svc.cluster.local.",
    ];
    check("web.shop.svc.cluster.local.", SRV, "NoError", &all);
}

#[test]
fn d1_4_and_d1_8_and_d1_13_reverse() {
    check(
        "1.0.96.10.in-addr.arpa.",
        PTR,
        "NoError",
        &["1.0.96.10.in-addr.arpa. 30 PTR web.shop.svc.cluster.local."],
    );
    let db = "5.0.244.10.in-addr.arpa. 30 PTR db-0.db.shop.svc.cluster.local.";
    check("5.0.244.10.in-addr.arpa.", PTR, "NoError", &[db]);
    let web = "7.0.244.10.in-addr.arpa. 30 PTR 10-244-0-7.web.shop.svc.cluster.local.";
    check("7.0.244.10.in-addr.arpa.", PTR, "NoError", &[web]);
    let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa.";
    check(v6, PTR, "NoError", &[&format!("{v6} 30 PTR web.shop.svc.cluster.local.")]);
}

#[test]
fn d1_5_headless_has_ready_endpoints() {
    let name = "db.shop.svc.cluster.local.";
    check(name, A, "NoError", &[&format!("{name} 30 A 10.244.0.5"), &format!("{name} 30 A 10.244.0.6")]);
    check(name, AAAA, "NoError", &[&format!("{name} 30 AAAA fd00:244::5")]);
    check("none.shop.svc.cluster.local.", A, "NXDomain", &[]);
}

#[test]
fn d1_6_endpoint_names() {
    let check_a = |name: &str, address: &str| check(name, A, "NoError", &[&format!("{name} 30 A {address}")]);
    check_a("db-0.db.shop.svc.cluster.local.", "10.244.0.5");
    check_a("10-244-0-6.db.shop.svc.cluster.local.", "10.244.0.6");
    check_a("10-244-0-7.web.shop.svc.cluster.local.", "10.244.0.7");
    let v6 = "fd00-244--5.db.shop.svc.cluster.local.";
    check(v6, AAAA, "NoError", &[&format!("{v6} 30 AAAA fd00:244::5")]);
    check("db-2.db.shop.svc.cluster.local.", A, "NXDomain", &[]);
}

#[test]
fn d1_7_headless_srv_has_target_ports() {
    let name = "_pg._tcp.db.shop.svc.cluster.local.";
    let targets = ["db-0", "10-244-0-6", "fd00-244--5"];
    let expected = targets.map(|host| format!("{name} 30 SRV 0 33 15432 {host}.db.shop.svc.cluster.local."));
    check(name, SRV, "NoError", &expected.each_ref().map(String::as_str));
    let mut extra: Vec<_> = ask(name, SRV).additionals.iter().map(shown).collect();
    extra.sort();
    assert_eq!(
        extra,
        [
            "10-244-0-6.db.shop.svc.cluster.local. 30 A 10.244.0.6",
            "db-0.db.shop.svc.cluster.local. 30 A 10.244.0.5",
            "fd00-244--5.db.shop.svc.cluster.local. 30 AAAA fd00:244::5",
        ]
    );
}

#[test]
fn d1_9_external_names() {
    let alias = "out.shop.svc.cluster.local. 30 CNAME db.example.org.";
    check("out.shop.svc.cluster.local.", CNAME, "NoError", &[alias]);
    check("out.shop.svc.cluster.local.", A, "NoError", &[alias]);
    check("out.shop.svc.cluster.local.", SRV, "NoError", &[]);
    let (outcome, _) =
        outcome(&zone_of(&snapshot()), &query("out.shop.svc.cluster.local.", A), Transport::Udp, 0);
    assert!(
        matches!(&outcome, Outcome::Chase { target, .. } if Some(target) == Name::parse("db.example.org").as_ref())
    );
    let inside = "in.shop.svc.cluster.local. 30 CNAME web.shop.svc.cluster.local.";
    check(
        "in.shop.svc.cluster.local.",
        A,
        "NoError",
        &[inside, "web.shop.svc.cluster.local. 30 A 10.96.0.1"],
    );
    let reply = ask("lost.shop.svc.cluster.local.", A);
    assert_eq!(
        (reply.answers.len(), format!("{:?}", reply.metadata.response_code)),
        (1, "NXDomain".to_owned())
    );
    let reply = ask("loop.shop.svc.cluster.local.", A);
    assert_eq!(format!("{:?}", reply.metadata.response_code), "ServFail");
}

#[test]
fn d1_10_pod_names_insecure() {
    let name = "10-1-2-3.shop.pod.cluster.local.";
    check(name, A, "NoError", &[&format!("{name} 30 A 10.1.2.3")]);
    check(name, AAAA, "NoError", &[]);
    let v6 = "fd00--9.shop.pod.cluster.local.";
    check(v6, AAAA, "NoError", &[&format!("{v6} 30 AAAA fd00::9")]);
    check("10-1-2-3.nowhere.pod.cluster.local.", A, "NXDomain", &[]);
    check("web.shop.pod.cluster.local.", A, "NXDomain", &[]);
    check("x.10-1-2-3.shop.pod.cluster.local.", A, "NXDomain", &[]);
}

#[test]
fn d1_12_the_reply_keeps_the_query_s_case() {
    let reply = ask("WEB.shop.SVC.Cluster.Local.", A);
    assert_eq!(reply.answers[0].name.to_string(), "WEB.shop.SVC.Cluster.Local.");
    assert_eq!(reply.answers[0].data.to_string(), "10.96.0.1");
}

#[test]
fn d1_14_answers_rotate() {
    let zone = zone_of(&snapshot());
    let first = |random| {
        let (_, out) = outcome(&zone, &query("db.shop.svc.cluster.local.", A), Transport::Udp, random);
        Message::from_vec(&out).unwrap().answers[0].data.to_string()
    };
    assert_eq!(
        (first(0), first(1), first(2)),
        ("10.244.0.5".into(), "10.244.0.6".into(), "10.244.0.5".into())
    );
}

#[test]
fn d1_15_headless_without_ports() {
    check("bare.shop.svc.cluster.local.", A, "NoError", &["bare.shop.svc.cluster.local. 30 A 10.244.0.11"]);
    check("bare.shop.svc.cluster.local.", SRV, "NoError", &[]);
}

#[test]
fn d2_1_the_zone_s_own_names() {
    for name in ["cluster.local.", "svc.cluster.local.", "pod.cluster.local."] {
        check(name, A, "NoError", &[]);
    }
    let soa = "cluster.local. 30 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5";
    check("cluster.local.", SOA, "NoError", &[soa]);
    check("cluster.local.", NS, "NoError", &["cluster.local. 30 NS ns.dns.cluster.local."]);
    check("ns.dns.cluster.local.", A, "NoError", &["ns.dns.cluster.local. 30 A 10.96.0.10"]);
}

#[test]
fn d2_2_namespaces() {
    check("empty.svc.cluster.local.", A, "NoError", &[]);
    check("shop.pod.cluster.local.", A, "NoError", &[]);
    check("nowhere.svc.cluster.local.", A, "NXDomain", &[]);
}

#[test]
fn d2_3_absent_types() {
    check("idle.shop.svc.cluster.local.", AAAA, "NoError", &[]);
    for rtype in [MX, TXT, NS, SOA, CNAME, PTR] {
        check("web.shop.svc.cluster.local.", rtype, "NoError", &[]);
    }
    check("nowhere.shop.svc.cluster.local.", MX, "NXDomain", &[]);
}

#[test]
fn d2_4_and_d2_5_unknown_names() {
    for name in [
        "nowhere.shop.svc.cluster.local.",
        "_nope._tcp.web.shop.svc.cluster.local.",
        "_http._udp.web.shop.svc.cluster.local.",
        "_tcp.web.shop.svc.cluster.local.",
        "a.b.c.web.shop.svc.cluster.local.",
        "example.org.shop.svc.cluster.local.",
        "web.shop.cluster.local.",
        "other.cluster.local.",
    ] {
        check(name, A, "NXDomain", &[]);
        check(name, SRV, "NXDomain", &[]);
    }
}

#[test]
fn d2_7_external_name_of_an_address_or_beneath() {
    check("ip.shop.svc.cluster.local.", A, "NXDomain", &[]);
    check("x.out.shop.svc.cluster.local.", A, "NXDomain", &[]);
}

#[test]
fn d2_8_not_synced_yet() {
    let zone = zone_of(&Snapshot::default());
    for name in ["web.shop.svc.cluster.local.", "cluster.local.", "1.0.96.10.in-addr.arpa."] {
        let (_, out) = outcome(&zone, &query(name, A), Transport::Udp, 0);
        assert_eq!(
            format!("{:?}", Message::from_vec(&out).unwrap().metadata.response_code),
            "ServFail",
            "{name}"
        );
    }
    assert_eq!(outcome(&zone, &query("example.org.", A), Transport::Udp, 0).0, Outcome::Forward);
}

#[test]
fn d2_9_transfers_and_any_are_refused() {
    for rtype in [RecordType::AXFR, RecordType::IXFR, RecordType::ANY] {
        check("cluster.local.", rtype, "Refused", &[]);
        check("web.shop.svc.cluster.local.", rtype, "Refused", &[]);
    }
    let mut chaos = query("version.bind.", TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let (_, out) = outcome(&zone_of(&snapshot()), &chaos, Transport::Udp, 0);
    assert_eq!(format!("{:?}", Message::from_vec(&out).unwrap().metadata.response_code), "Refused");
}

#[test]
fn d2_10_unknown_reverse_names() {
    let reply = ask("77.0.96.10.in-addr.arpa.", PTR);
    assert_eq!(format!("{:?}", reply.metadata.response_code), "NXDomain", "in a range of ours");
    assert_eq!(reply.authorities.len(), 1);
    let zone = zone_of(&snapshot());
    for name in ["1.2.0.192.in-addr.arpa.", "in-addr.arpa.", "example.org.", "local.", "xcluster.local.", "."]
    {
        assert_eq!(outcome(&zone, &query(name, PTR), Transport::Udp, 0).0, Outcome::Forward, "{name}");
    }
}

/// A headless Service of 200 endpoints, asked about over `transport`, by a client that takes `edns` bytes.
fn large(transport: Transport, edns: Option<u16>) -> (Message, usize) {
    let mut snapshot = snapshot();
    let list =
        (1..=200).map(|last| endpoint(&format!("10.244.9.{last}"), 80, true, None)).collect::<Vec<_>>();
    snapshot.endpoints.insert(ServiceName::new("shop", "db").port("pg"), list.into());
    let mut message = query("db.shop.svc.cluster.local.", A);
    if let Some(size) = edns {
        let mut record = HickoryEdns::new();
        record.set_max_payload(size);
        message.edns = Some(record);
    }
    let (_, out) = outcome(&zone_of(&snapshot), &message, transport, 0);
    (Message::from_vec(&out).unwrap(), out.len())
}

#[test]
fn d1_14_large_answers_are_cut_over_udp_alone() {
    let fits = |limit: usize| (limit - 12 - 31) / 16;
    for (edns, limit) in [(None, 512), (Some(100), 512), (Some(900), 900), (Some(4096), crate::UDP_REPLY_MAX)]
    {
        let (reply, length) = large(Transport::Udp, edns);
        assert!(reply.metadata.truncation && length <= limit, "{edns:?} {length}");
        let opt = if edns.is_some() { 11 } else { 0 };
        assert_eq!(reply.answers.len(), fits(limit - opt), "{edns:?}");
        assert_eq!(reply.edns.is_some(), edns.is_some());
    }
    let (reply, _) = large(Transport::Tcp, None);
    assert_eq!((reply.metadata.truncation, reply.answers.len()), (false, 200));
}

#[test]
fn edns_versions_we_do_not_know() {
    let mut message = query("web.shop.svc.cluster.local.", A);
    let mut record = HickoryEdns::new();
    record.set_version(1);
    message.edns = Some(record);
    let (_, out) = outcome(&zone_of(&snapshot()), &message, Transport::Udp, 0);
    let reply = Message::from_vec(&out).unwrap();
    assert_eq!((u16::from(reply.metadata.response_code), reply.answers.len()), (16, 0), "BADVERS");
}

#[test]
fn no_packet_makes_it_panic() {
    let zone = zone_of(&snapshot());
    let seeds = [
        "web.shop.svc.cluster.local.",
        "in.shop.svc.cluster.local.",
        "10-1-2-3.shop.pod.cluster.local.",
        "_pg._tcp.db.shop.svc.cluster.local.",
        "5.0.244.10.in-addr.arpa.",
        "example.org.",
    ];
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % bound as u64).unwrap()
    };
    let mut out = vec![0; 65_535];
    for round in 0..200_000 {
        let mut packet = query(seeds[below(seeds.len())], [A, SRV, PTR, AAAA][below(4)]).to_vec().unwrap();
        for _ in 0..below(6) {
            let at = below(packet.len());
            packet[at] = u8::try_from(below(256)).unwrap();
        }
        packet.truncate(packet.len() - below(packet.len()).min(if round % 2 == 0 { 0 } else { 40 }));
        packet.extend((0..below(24)).map(|_| u8::try_from(below(256)).unwrap()));
        let transport = [Transport::Udp, Transport::Tcp][below(2)];
        let room = if below(8) == 0 { below(600) } else { out.len() };
        if let Outcome::Reply(reply) = zone.answer(&packet, transport, round, &mut out[..room]) {
            assert!(reply.length <= room);
            assert_eq!(out[..2], packet[..2]);
        }
    }
}

#[test]
fn the_same_as_values() {
    let zone = zone_of(&snapshot());
    let known = |name: &str| zone.known(name);
    assert_eq!(
        known("web.shop.svc.cluster.local"),
        Known::Addresses(vec!["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()])
    );
    assert_eq!(
        known("10-1-2-3.shop.pod.cluster.local."),
        Known::Addresses(vec!["10.1.2.3".parse().unwrap()])
    );
    assert!(matches!(known("out.shop.svc.cluster.local"), Known::Alias(_)));
    assert_eq!(known("shop.svc.cluster.local"), Known::Empty);
    assert_eq!(known("nowhere.shop.svc.cluster.local"), Known::Missing);
    assert_eq!(known("example.org"), Known::Foreign);
}
