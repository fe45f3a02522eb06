//! A node with a default route: nothing meant for a Service or a pod ever leaves by it, programmed or not, kelson running
//! or dead. What leaves is counted where it would arrive, on the other end of the wire.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::clusterip;
use crate::harness::{Cluster, image};

/// Addresses nobody holds, at the edges and in the middle of both ranges.
const UNCLAIMED: [&str; 6] =
    ["10.96.0.2", "10.96.55.55", "10.96.255.254", "10.244.0.200", "10.244.77.7", "10.244.255.254"];
/// Outside both ranges (RFC 5737): this one does leave.
const FOREIGN: &str = "198.51.100.1";

#[test]
fn nothing_for_services_or_pods_leaves_by_the_default_route() {
    let mut cluster = Cluster::prepare("uplink", &[]);
    let mut wire = Wire::attach(&cluster);
    image::import(&cluster, "katacoda/docker-http-server:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    clusterip::apply(&cluster);
    let pod = clusterip::running(&cluster, 2).pop_first().expect("two pods");
    cluster.kubectl("create service clusterip nobody --tcp=80:80");
    let nobody = cluster.kubectl("get svc nobody -o jsonpath='{.spec.clusterIP}'").text;

    let targets: Vec<&str> = UNCLAIMED.into_iter().chain([nobody.as_str()]).collect();
    for target in &targets {
        cluster.try_kubectl(&format!("exec {pod} -- sh -c '{}'", knock(target)));
    }
    knock_from_the_node(&cluster, &targets);
    cluster.kill();
    knock_from_the_node(&cluster, &targets);
    // What a pod sends while kelson is dead: from its network namespace, as exec needs a server.
    let place = format!("$(find {} -path '*/netns/*' | head -n 1)", cluster.data_dir().display());
    for target in &targets {
        cluster.shell(&format!("nsenter --net={place} -- sh -c '{}'", knock(target)));
    }
    assert_eq!(wire.seen(), Vec::<Ipv4Addr>::new(), "left by the default route");

    cluster.shell(&knock(FOREIGN));
    let foreign: Ipv4Addr = FOREIGN.parse().expect("an address");
    assert!(wire.seen().contains(&foreign), "the wire is watched");
}

fn knock_from_the_node(cluster: &Cluster, targets: &[&str]) {
    for target in targets {
        cluster.shell(&knock(target));
    }
}

/// A connection, a datagram and an echo request, none of which waits for an answer for long.
fn knock(target: &str) -> String {
    format!(
        "busybox timeout 1 busybox nc -w 1 {target} 80 </dev/null; \
         echo x | busybox timeout 1 busybox nc -u -w 1 {target} 53; \
         busybox timeout 1 busybox ping -c 1 -W 1 {target}"
    )
}

/// The far end of the node's only uplink.
struct Wire {
    namespace: String,
    tap: File,
}

impl Wire {
    /// Gives the cluster's node an address, a neighbour, and a default route by way of it.
    fn attach(cluster: &Cluster) -> Self {
        let namespace = format!("kelson-wire-{}", std::process::id());
        ip(&["netns", "add", &namespace]);
        let node = cluster.node();
        ip(&["-n", node, "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", &namespace]);
        ip(&["-n", &namespace, "addr", "add", "192.0.2.1/24", "dev", "far"]);
        ip(&["-n", &namespace, "link", "set", "far", "up"]);
        ip(&["-n", node, "addr", "add", "192.0.2.2/24", "dev", "eth0"]);
        ip(&["-n", node, "link", "set", "eth0", "up"]);
        ip(&["-n", node, "route", "add", "default", "via", "192.0.2.1"]);
        let tap = tap_in(&namespace);
        Self { namespace, tap }
    }

    /// Where the packets heard so far were going, or whom they asked for; the neighbours' own talk left out.
    fn seen(&mut self) -> Vec<Ipv4Addr> {
        let mut frame = [0; 2048];
        let mut seen = Vec::new();
        while let Ok(length) = self.tap.read(&mut frame) {
            seen.extend(
                destination(&frame[..length]).filter(|to| !to.is_multicast() && to.octets()[0] != 192),
            );
        }
        seen
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

/// A socket that hears every frame of a namespace; opened on a thread of its own, which alone goes there.
fn tap_in(namespace: &str) -> File {
    let place = File::open(format!("/run/netns/{namespace}")).expect("the namespace is there");
    let open = move || {
        setns(place, CloneFlags::CLONE_NEWNET).expect("root may enter it");
        let (kind, flags) = (SockType::Raw, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC);
        let tap = socket(AddressFamily::Packet, kind, flags, SockProtocol::EthAll);
        File::from(tap.expect("root may listen"))
    };
    std::thread::spawn(open).join().expect("the tap opens")
}

/// The IPv4 address a frame is for: a packet's destination, or the one an ARP request asks about.
fn destination(frame: &[u8]) -> Option<Ipv4Addr> {
    let at = match frame.get(12..14)? {
        [0x08, 0x00] => 14 + 16,
        [0x08, 0x06] => 14 + 24,
        _ => return None,
    };
    let bytes: [u8; 4] = frame.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip is installed");
    assert!(status.success(), "ip {arguments:?} failed");
}
