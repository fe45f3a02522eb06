//! A small network of namespaces: a node with a pod bridge, its pods, and an outside client; no uplink anywhere.
//!
//! Laid as `kelson-network` lays it: pods have /32 addresses behind the node, so both directions of every connection are
//! routed there. The node's default route leads to the client, where anything that strays would be seen.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The pod bridge.
pub const BRIDGE: &str = "kelson0";
/// The bridge's address.
pub const GATEWAY: &str = "10.244.0.1";
/// The node's address outside.
pub const NODE: &str = "192.168.50.1";
/// The client's.
pub const CLIENT: &str = "192.168.50.2";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The namespaces of one test, removed when it ends, however it ends.
pub struct Net {
    prefix: String,
    made: Vec<String>,
}

impl Net {
    /// A node with pods `1..=pods` at 10.244.0.11 and on, and a client.
    pub fn new(pods: u8) -> Self {
        let prefix = format!("kpx{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut net = Self { prefix, made: Vec::new() };
        net.add("node");
        net.add("client");
        net.wire();
        for n in 1..=pods {
            net.add_pod(n);
        }
        net
    }

    /// Runs `work` on a thread inside the namespace called `name`.
    pub fn inside<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.full(name));
        let run = || {
            enter(&path);
            work()
        };
        std::thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    /// The namespace's full name.
    pub fn full(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Runs `ip` in the namespace called `name`.
    pub fn ip(&self, name: &str, arguments: &str) {
        sh("ip", &format!("-n {} {arguments}", self.full(name)));
    }

    /// IPv6 beside IPv4, laid the same way, for the first two pods.
    pub fn add_ipv6(&self) {
        self.inside("node", || std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap());
        self.ip("node", &format!("-6 addr add fd00:244::1/128 dev {BRIDGE} nodad"));
        self.ip("node", &format!("-6 route add fd00:244::/64 dev {BRIDGE}"));
        self.ip("node", &format!("-6 route add fd00:96::/112 dev {BRIDGE}"));
        for n in [1, 2] {
            let pod = format!("pod{n}");
            self.ip(&pod, &format!("-6 addr add {}/128 dev eth0 nodad", pod_ip6(n)));
            self.ip(&pod, "-6 route add fd00:244::1 dev eth0");
            self.ip(&pod, "-6 route add default via fd00:244::1");
        }
    }

    fn add(&mut self, name: &str) {
        let full = self.full(name);
        sh("ip", &format!("netns add {full}"));
        self.made.push(full);
        // IPv6 addresses count at once: nobody else can have them.
        self.inside(name, || std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap());
        self.ip(name, "link set lo up");
    }

    fn wire(&self) {
        let client = self.full("client");
        self.ip("node", &format!("link add eth0 type veth peer name eth0 netns {client}"));
        self.ip("node", &format!("addr add {NODE}/24 dev eth0"));
        self.ip("client", &format!("addr add {CLIENT}/24 dev eth0"));
        self.ip("node", "link set eth0 up");
        self.ip("client", "link set eth0 up");
        self.ip("node", &format!("route add default via {CLIENT}"));
        self.ip("client", &format!("route add default via {NODE}"));
        self.ip("node", &format!("link add {BRIDGE} type bridge"));
        self.ip("node", &format!("addr add {GATEWAY}/32 dev {BRIDGE}"));
        self.ip("node", &format!("link set {BRIDGE} up"));
        self.ip("node", &format!("route add 10.244.0.0/16 dev {BRIDGE} src {GATEWAY}"));
        self.ip("node", &format!("route add 10.96.0.0/16 dev {BRIDGE} src {GATEWAY}"));
        self.inside("node", || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            // Linux sends six ICMP errors a peer at once and then one a second; tests ask faster.
            std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").unwrap();
            std::fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").unwrap();
        });
    }

    fn add_pod(&mut self, n: u8) {
        let name = format!("pod{n}");
        self.add(&name);
        let full = self.full(&name);
        self.ip("node", &format!("link add veth{n} type veth peer name eth0 netns {full}"));
        self.ip("node", &format!("link set veth{n} master {BRIDGE} up"));
        // Where the kernel filters bridged frames (br_netfilter), translated ones may go back out of the same port.
        self.ip("node", &format!("link set veth{n} type bridge_slave hairpin on"));
        self.ip(&name, &format!("addr add {}/32 dev eth0", pod_ip(n)));
        self.ip(&name, "link set eth0 up");
        self.ip(&name, &format!("route add {GATEWAY} dev eth0"));
        self.ip(&name, &format!("route add default via {GATEWAY}"));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.made {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// The address of pod `n`.
pub fn pod_ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 0, 10 + n)
}

/// The IPv6 address of pod `n`.
pub fn pod_ip6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, 0x10 + u16::from(n))
}

/// Moves this thread into the network namespace at `path`.
pub fn enter(path: &str) {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: setns(2) takes a descriptor, which lives until the call returns.
    let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "entering a network namespace takes root: {}", std::io::Error::last_os_error());
}

fn sh(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors} (these tests take root and iproute2)");
}
