//! The pod network in a real kernel: a network namespace plays the node, others the pods, and real packets decide.
//!
//! Every namespace is made here, has no uplink to the machine, and goes when its test ends, also when it fails.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kelson_model::Cidr;
use kelson_network::{NetworkConfig, NetworkError, PodIp, PodNetwork, netns};

const PATIENCE: Duration = Duration::from_secs(5);

/// A node: its namespace, its pods' namespaces and its data directory, all beneath one directory.
struct Node {
    directory: PathBuf,
}

impl Node {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/run/kelson-network-test-{}-{count}", std::process::id()));
        let node = Self { directory };
        netns::create(&node.path("node")).expect("tests need root");
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes a pod's namespace.
    fn pod(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        netns::create(&path).unwrap();
        path
    }

    fn config(&self) -> NetworkConfig {
        let range = |text| Cidr::parse(text).unwrap();
        NetworkConfig::new(self.path("data"), range("10.244.0.0/16"), range("10.96.0.0/16"))
    }

    /// Runs `work` inside the node, on a runtime of its own.
    fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let inside = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        };
        netns::enter(&self.path("node"), inside).unwrap()
    }

    /// What a program prints that runs inside the node.
    fn output(&self, program: &str, arguments: &[&str]) -> String {
        let run = || Command::new(program).args(arguments).output().unwrap();
        let output = netns::enter(&self.path("node"), run).unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if netns::is_namespace(&entry.path()) {
                let _ = netns::remove(&entry.path());
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Answers one TCP connection and one datagram to `to` inside `pod` with the peer's address. Where `to` is translated on
/// its way, it is no address of the pod's, and any address of the pod's is served.
fn serve(pod: &Path, to: SocketAddr) -> std::thread::JoinHandle<()> {
    let any = SocketAddr::from(([0, 0, 0, 0], to.port()));
    let sockets = || {
        let local = if UdpSocket::bind(to).is_ok() { to } else { any };
        (TcpListener::bind(local).unwrap(), UdpSocket::bind(local).unwrap())
    };
    let (tcp, udp) = netns::enter(pod, sockets).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::spawn(move || {
        let (mut stream, peer) = tcp.accept().unwrap();
        stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
        drop(stream);
        let mut buffer = [0; 64];
        let (_, peer) = udp.recv_from(&mut buffer).unwrap();
        udp.send_to(peer.ip().to_string().as_bytes(), peer).unwrap();
    })
}

/// The source address a server at `to` sees, by TCP and by UDP, of a client inside `from`.
fn seen_by(from: &Path, to: SocketAddr) -> (String, String) {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
        let mut tcp = String::new();
        stream.read_to_string(&mut tcp).unwrap();
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        socket.send(b"?").unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        (tcp, String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    netns::enter(from, ask).unwrap()
}

fn check_reaches(from: &Path, server: &Path, to: SocketAddr, expected_source: IpAddr) {
    let serving = serve(server, to);
    let expected = expected_source.to_string();
    assert_eq!(seen_by(from, to), (expected.clone(), expected), "from {} to {to}", from.display());
    serving.join().unwrap();
}

async fn attach(network: &PodNetwork, netns: &Path) -> PodIp {
    network.attach(netns.file_name().unwrap().to_str().unwrap(), netns).await.unwrap()
}

#[test]
fn pods_and_node_reach_each_other() {
    let node = Node::new();
    let (a, b) = (node.pod("a"), node.pod("b"));
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        let (ip_a, ip_b) = (attach(&network, &a).await, attach(&network, &b).await);
        assert_eq!(ip_a.address.to_string(), "10.244.0.2");
        assert_eq!(network.gateway().to_string(), "10.244.0.1");
        check_reaches(&a, &b, (ip_b.address, 8080).into(), ip_a.address);
        check_reaches(&b, &a, (ip_a.address, 8080).into(), ip_b.address);
        check_reaches(&node.path("node"), &a, (ip_a.address, 8081).into(), network.gateway());
        check_reaches(&b, &node.path("node"), (network.gateway(), 8082).into(), ip_b.address);
        check_reaches(&a, &a, ([127, 0, 0, 1], 8083).into(), [127, 0, 0, 1].into());
    });
}

/// What a proxy does to a ClusterIP, so that both directions of the translated connection must pass the node, and a pod
/// that reaches itself must get its own packets back; whether or not the kernel filters bridged frames.
#[test]
fn translated_connections_work_hairpin_included() {
    for bridged_frames_filtered in ["0", "1"] {
        let node = Node::new();
        let (a, b) = (node.pod("a"), node.pod("b"));
        node.run(async || {
            let network = PodNetwork::open(node.config()).await.unwrap();
            let filter = "/proc/sys/net/bridge/bridge-nf-call-iptables";
            if Path::new(filter).exists() {
                fs::write(filter, bridged_frames_filtered).unwrap();
            }
            let (ip_a, ip_b) = (attach(&network, &a).await, attach(&network, &b).await);
            fs::create_dir_all(node.path("data")).unwrap();
            let rules = node.path("data").join("rules");
            fs::write(&rules, translation(ip_a.address, ip_b.address)).unwrap();
            node.output("nft", &["-f", rules.to_str().unwrap()]);
            let (to_a, to_b) = ([10, 96, 0, 50], [10, 96, 0, 51]);
            check_reaches(&a, &b, (to_b, 8080).into(), ip_a.address);
            check_reaches(&a, &a, (to_a, 8081).into(), network.gateway());
            check_reaches(&node.path("node"), &b, (to_b, 8082).into(), network.gateway());
        });
    }
}

/// What a proxy would load: 10.96.0.50 is `a`, 10.96.0.51 is `b`.
fn translation(a: IpAddr, b: IpAddr) -> String {
    format!(
        "table ip t {{
            chain pre {{
                type nat hook prerouting priority -100;
                ip daddr 10.96.0.50 dnat to {a}
                ip daddr 10.96.0.51 dnat to {b}
            }}
            chain out {{
                type nat hook output priority -100;
                ip daddr 10.96.0.51 dnat to {b}
            }}
            chain post {{
                type nat hook postrouting priority 100;
                ip saddr {a} ip daddr {a} masquerade
            }}
        }}"
    )
}

#[test]
fn ranges_never_take_the_default_route() {
    let node = Node::new();
    let outside = node.pod("outside");
    node.output("sysctl", &["-w", "net.ipv6.conf.default.disable_ipv6=1"]);
    node.output("ip", &["link", "add", "uplink", "mtu", "1400", "type", "veth", "peer", "name", "far"]);
    node.output("ip", &["link", "set", "far", "netns", outside.to_str().unwrap()]);
    node.output("ip", &["address", "add", "192.0.2.1/24", "dev", "uplink"]);
    node.output("ip", &["link", "set", "uplink", "up"]);
    node.output("ip", &["route", "add", "default", "via", "192.0.2.2"]);
    node.output(
        "ip",
        &["neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "uplink", "nud", "permanent"],
    );
    netns::enter(&outside, || Command::new("ip").args(["link", "set", "far", "up"]).status().unwrap())
        .unwrap();
    let a = node.pod("a");
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        assert_eq!(network.mtu(), 1400, "the uplink's packet size");
        attach(&network, &a).await;
    });
    let sent = |from: &Path, to: &str| {
        let send = || UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", (to, 9)).map(drop);
        let before = transmitted(&node, "uplink");
        let _ = netns::enter(from, send).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        transmitted(&node, "uplink") - before
    };
    let inside = node.path("node");
    assert_eq!(sent(&inside, "198.51.100.1"), 1, "anything else does take it");
    for to in ["10.96.77.7", "10.244.200.9"] {
        assert_eq!((sent(&inside, to), sent(&a, to)), (0, 0), "{to}");
    }
}

/// Packets a link of the node has sent.
fn transmitted(node: &Node, link: &str) -> u64 {
    let table = netns::enter(&node.path("node"), || fs::read_to_string("/proc/thread-self/net/dev"))
        .unwrap()
        .unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{link}:"))).unwrap();
    line.split_whitespace().nth(9).unwrap().parse().unwrap()
}

#[test]
fn addresses_are_unique_when_many_attach_at_once() {
    const PODS: usize = 24;
    let node = Node::new();
    let pods: Vec<_> = (0..PODS).map(|i| node.pod(&format!("p{i}"))).collect();
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        let started = Instant::now();
        let ips = futures_util::future::join_all(pods.iter().map(|pod| attach(&network, pod))).await;
        println!("{PODS} pods attached in {:?}", started.elapsed());
        let addresses: BTreeSet<_> = ips.iter().map(|ip| ip.address).collect();
        let links: BTreeSet<_> = ips.iter().map(|ip| ip.link.clone()).collect();
        assert_eq!((addresses.len(), links.len()), (PODS, PODS));
    });
}

#[test]
fn a_restart_adopts_what_is_there() {
    let node = Node::new();
    let (a, b) = (node.pod("a"), node.pod("b"));
    let before = node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        let ip = attach(&network, &a).await;
        attach(&network, &b).await;
        network.detach("b").await.unwrap();
        ip
    });
    let index = |node: &Node| node.output("ip", &["-o", "link", "show", &before.link]);
    let link_before = index(&node);
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        assert_eq!(network.list().await, std::slice::from_ref(&before));
        assert_eq!(attach(&network, &a).await, before, "the same pod, the same address");
        assert_eq!(index(&node), link_before, "the link was not touched");
        let again = attach(&network, &b).await;
        assert_eq!(again.address.to_string(), "10.244.0.4", "a freed address is not reused at once");
        check_reaches(&a, &b, (again.address, 8080).into(), before.address);
    });
}

#[test]
fn open_repairs_what_others_broke() {
    let node = Node::new();
    let a = node.pod("a");
    let ip = node.run(async || attach(&PodNetwork::open(node.config()).await.unwrap(), &a).await);
    node.output("ip", &["link", "delete", "kelson0"]);
    node.output("ip", &["link", "add", "kp0000000000000", "type", "veth", "peer", "name", "stray"]);
    node.run(async || drop(PodNetwork::open(node.config()).await.unwrap()));
    node.output("ip", &["link", "set", "kp0000000000000", "master", "kelson0"]);
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        assert!(!node.output("ip", &["-o", "link"]).contains("kp0000000000000"), "a link nobody holds");
        check_reaches(&node.path("node"), &a, (ip.address, 8080).into(), network.gateway());
        netns::remove(&a).unwrap();
        netns::create(&a).unwrap();
        assert_eq!(attach(&network, &a).await.address, ip.address, "a new namespace for the same pod");
        check_reaches(&node.path("node"), &a, (ip.address, 8081).into(), network.gateway());
    });
}

#[test]
fn an_assigned_address_is_served_and_survives() {
    let node = Node::new();
    let a = node.pod("a");
    let dns = IpAddr::from([10, 96, 0, 10]);
    let ip = node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        network.assign(dns).await.unwrap();
        network.assign(dns).await.unwrap();
        attach(&network, &a).await
    });
    check_reaches(&a, &node.path("node"), (dns, 5353).into(), ip.address);
    check_reaches(&node.path("node"), &node.path("node"), (dns, 5353).into(), dns);
    let refused = netns::enter(&a, || TcpStream::connect_timeout(&(dns, 53).into(), PATIENCE)).unwrap();
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused, "nobody serves it");
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        network.unassign(dns).await.unwrap();
        network.unassign(dns).await.unwrap();
    });
    assert!(!node.output("ip", &["-o", "address"]).contains("10.96.0.10"));
}

#[test]
fn destroy_leaves_nothing() {
    let node = Node::new();
    let a = node.pod("a");
    let settings = || node.output("sysctl", &["net.ipv4.ip_forward", "net.ipv4.conf.all.send_redirects"]);
    let (links_before, settings_before) = (node.output("ip", &["-o", "link"]), settings());
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        attach(&network, &a).await;
        network.assign([10, 96, 0, 10].into()).await.unwrap();
    });
    assert_ne!(settings(), settings_before);
    node.run(async || PodNetwork::destroy(&node.config()).await.unwrap());
    assert_eq!(node.output("ip", &["-o", "link"]), links_before);
    assert_eq!(node.output("ip", &["route"]), "");
    assert_eq!(settings(), settings_before);
    assert!(!node.path("data").join("network").exists());
    node.run(async || PodNetwork::destroy(&node.config()).await.expect("nothing there is fine"));
}

#[test]
fn a_failed_attach_holds_nothing_and_says_why() {
    let node = Node::new();
    node.run(async || {
        let network = PodNetwork::open(node.config()).await.unwrap();
        let missing = node.path("missing");
        let error = network.attach("uid", &missing).await.unwrap_err();
        assert!(matches!(error, NetworkError::Namespace { .. }), "{error:?}");
        assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
        assert_eq!(network.list().await, []);
        network.detach("uid").await.expect("a pod that holds nothing is fine");
    });
}

#[test]
fn bad_configuration_is_named() {
    let node = Node::new();
    let check = |change: fn(&mut NetworkConfig), expected: &str| {
        let mut config = node.config();
        change(&mut config);
        let error = node.run(async || PodNetwork::open(config).await.unwrap_err());
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(|c| c.bridge = "a-name-too-long-for-a-link".into(), "an interface name has 1 to 15 bytes");
    check(|c| c.pod_cidr = Cidr::parse("fd00::/64").unwrap(), "pod_cidr \"fd00::/64\" cannot be used");
    check(|c| c.service_cidr = Cidr::parse("10.244.3.0/24").unwrap(), "it overlaps the pods' range");
    check(|c| c.bridge = "lo".into(), "link lo exists and is no bridge");
}

#[test]
fn a_changed_range_with_pods_is_refused() {
    let node = Node::new();
    let a = node.pod("a");
    let small = NetworkConfig { pod_cidr: Cidr::parse("10.77.0.0/29").unwrap(), ..node.config() };
    node.run(async || drop(attach(&PodNetwork::open(node.config()).await.unwrap(), &a).await));
    let error = node.run(async || PodNetwork::open(small.clone()).await.unwrap_err());
    assert!(error.to_string().starts_with("1 pods hold addresses of 10.244.0.0/16"), "{error}");
    node.run(async || PodNetwork::destroy(&node.config()).await.unwrap());
    node.run(async || {
        let network = PodNetwork::open(small).await.unwrap();
        for i in 0..5 {
            network.attach(&format!("p{i}"), &node.pod(&format!("p{i}"))).await.unwrap();
        }
        let error = network.attach("p5", &node.pod("p5")).await.unwrap_err();
        assert!(error.to_string().contains("all 5 addresses of 10.77.0.0/29 are held"), "{error}");
    });
}

#[test]
fn namespaces_are_kept_and_removed() {
    let node = Node::new();
    let path = node.pod("n");
    let id = || netns::enter(&path, || fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap();
    let first = id();
    netns::create(&path).unwrap();
    assert_eq!(id(), first, "one that is there is kept");
    netns::remove(&path).unwrap();
    netns::remove(&path).unwrap();
    assert!(!path.exists());
    assert!(matches!(netns::enter(&path, || ()), Err(NetworkError::Namespace { .. })));
}
