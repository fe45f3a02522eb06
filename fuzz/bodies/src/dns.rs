//! DNS packets: queries from anybody who reaches the server, replies from whoever the node asks.

use std::sync::{Arc, LazyLock};

use kelson_model::{Exposure, Service, ServiceName, Snapshot};
use kelson_zones::{Compiler, Outcome, Transport, UDP_REPLY_MAX, Zone, ZoneConfig};

fn service(name: &str, exposure: Exposure) -> Arc<Service> {
    Arc::new(Service {
        name: ServiceName::new("a", name),
        exposure,
        ports: Vec::new(),
        cluster_ips: vec![[10, 96, 0, 1].into()],
        external_ips: Vec::new(),
        load_balancer_ips: Vec::new(),
        source_ranges: Vec::new(),
        affinity: None,
        internal_policy: Default::default(),
        external_policy: Default::default(),
        health_check_node_port: None,
        publish_not_ready: false,
        generation: 0,
        foreign_proxy: false,
    })
}

static ZONE: LazyLock<Arc<Zone>> = LazyLock::new(|| {
    let mut snapshot = Snapshot { generation: 1, synced: true, ..Snapshot::default() };
    snapshot.namespaces.insert("a".into());
    for service in [
        service("b", Exposure::ClusterIp),
        service("c", Exposure::ExternalName("b.a.svc.k".into())),
        service("d", Exposure::ExternalName("example.org".into())),
    ] {
        snapshot.services.insert(service.name.clone(), service);
    }
    Compiler::new(ZoneConfig::new("k")).expect("k is a domain").compile(&snapshot)
});

/// A query over UDP and TCP: no reply longer than allowed, never a reply to a reply.
pub fn query(packet: &[u8]) {
    let mut out = [0; 65_535];
    for transport in [Transport::Udp, Transport::Tcp] {
        let outcome = ZONE.answer(packet, transport, packet.len() as u64, &mut out);
        if let Outcome::Reply(reply) | Outcome::Chase { reply, .. } = outcome {
            assert!(transport == Transport::Tcp || reply.length <= UDP_REPLY_MAX);
            assert_eq!(out[..2], packet[..2]);
            assert_eq!(packet[2] & 0x80, 0);
        }
    }
}

/// `a.org`, of type A: as a client asks it, without and with EDNS.
const QUERIES: [&[u8]; 2] = [
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x03oRg\0\0\x01\0\x01",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01A\x03oRg\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0",
];

/// What another name server answers, from the flags on; and the same bytes as a `resolv.conf`.
pub fn reply(bytes: &[u8]) {
    QUERIES.iter().for_each(|query| kelson_dns::fuzz::reply(query, bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        kelson_dns::fuzz::resolv_conf(text);
    }
}
