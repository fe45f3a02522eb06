//! The kernel and `trace` agree, flow by flow, with real packets: never is the text of a rule looked at.
//!
//! Every test makes its own network namespaces, which takes root and iproute2; without them it fails.

mod cluster;
mod host_ports;
mod net;
mod policies;
mod services;
mod sockets;
mod traffic;
mod updates;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kelson_model::{Flow, NodeView, Origin, Protocol, Snapshot, Verdict};
use kelson_proxy::{Config, Nftables};
use kelson_tables::{Compiler, Tables, trace};

use net::{CLIENT, GATEWAY, Net, pod_ip};
use traffic::{Outcome, PORT};

/// A network with the proxy's tables in its node, and what they should do.
struct Proxied {
    net: Net,
    node: NodeView,
    kernel: Nftables,
    compiler: Compiler,
    tables: Arc<Tables>,
}

impl Proxied {
    /// Pods with servers, all tables empty.
    fn new(pods: u8) -> Self {
        let net = Net::new(pods);
        for n in 1..=pods {
            net.serve(&format!("pod{n}"), "0.0.0.0");
        }
        let kernel = net.inside("node", Nftables::open).unwrap();
        let compiler = Compiler::new(Config::default().options());
        Self { net, node: cluster::node(), kernel, compiler, tables: Arc::default() }
    }

    fn program(&mut self, snapshot: &Snapshot) {
        self.tables = self.compiler.compile(snapshot, &self.node);
        self.kernel.apply(&self.tables).unwrap();
    }

    /// Sends the flow and compares what happens with what the tables say.
    fn agree(&self, from: &str, protocol: Protocol, to: &str) -> Verdict {
        let to: SocketAddr = to.parse().unwrap();
        let flow = self.flow(from, protocol, to);
        let verdict = trace(&self.tables, &flow);
        let outcome = self.net.ask(from, protocol, to);
        let agreed = match (&verdict, &outcome) {
            (Verdict::Forward(backends), Outcome::Answered { server, peer }) => {
                backends.iter().any(|(backend, rewritten)| {
                    self.name_of(*backend) == *server && (*peer != flow.source) == *rewritten
                })
            }
            (Verdict::Reject | Verdict::Drop, Outcome::Stopped) => {
                (from, protocol) == ("node", Protocol::Udp)
            }
            (Verdict::Reject, outcome) => *outcome == Outcome::Refused,
            (Verdict::Drop, outcome) => *outcome == Outcome::Silence,
            _ => false,
        };
        assert!(agreed, "{from} to {to}/{protocol}: the tables say {verdict:?}, the kernel {outcome:?}");
        verdict
    }

    /// From every origin, by TCP and UDP.
    fn agree_everywhere(&self, to: &str) {
        for from in ["client", "node", "pod1"] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                self.agree(from, protocol, to);
            }
        }
    }

    /// Whether the tables leave the flow alone, so that what happens to it is none of their business.
    fn would_pass(&self, from: &str, protocol: Protocol, to: &str) -> bool {
        trace(&self.tables, &self.flow(from, protocol, to.parse().unwrap())) == Verdict::Pass
    }

    fn flow(&self, from: &str, protocol: Protocol, to: SocketAddr) -> Flow {
        let (origin, source) = match from {
            "client" => (Origin::External, cluster::ip(CLIENT)),
            // What the node's routing picks: the bridge's address towards Services and pods, else the one outside.
            "node" if self.node.addresses.contains(&to.ip()) => (Origin::Node, to.ip()),
            "node" if cluster::node().service_cidrs[0].contains(to.ip()) => {
                (Origin::Node, cluster::ip(GATEWAY))
            }
            "node" => (Origin::Node, self.node.addresses[0]),
            pod => (Origin::Pod, IpAddr::V4(pod_ip(pod.trim_start_matches("pod").parse().unwrap()))),
        };
        Flow { origin, source, destination: to.ip(), protocol, port: to.port() }
    }

    fn name_of(&self, backend: SocketAddr) -> String {
        assert_eq!(backend.port(), PORT);
        match backend.ip() {
            IpAddr::V4(v4) if v4.octets()[..3] == [10, 244, 0] => format!("pod{}", v4.octets()[3] - 10),
            other if other == cluster::ip(net::NODE) => "node".into(),
            other if other == cluster::ip(CLIENT) => "client".into(),
            other => panic!("nobody serves at {other}"),
        }
    }
}
