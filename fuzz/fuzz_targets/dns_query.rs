//! Any packet, over UDP and TCP, against a small zone: no panic, no reply longer than allowed, never a reply to a reply.

#![no_main]

use std::sync::{Arc, LazyLock};

use kelson_model::{Exposure, Service, ServiceName, Snapshot};
use kelson_zones::{Compiler, Outcome, Transport, UDP_REPLY_MAX, Zone, ZoneConfig};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|packet: &[u8]| {
    let mut out = [0; 65_535];
    for transport in [Transport::Udp, Transport::Tcp] {
        let outcome = ZONE.answer(packet, transport, packet.len() as u64, &mut out);
        if let Outcome::Reply(reply) | Outcome::Chase { reply, .. } = outcome {
            assert!(transport == Transport::Tcp || reply.length <= UDP_REPLY_MAX);
            assert_eq!(out[..2], packet[..2]);
            assert_eq!(packet[2] & 0x80, 0);
        }
    }
});
