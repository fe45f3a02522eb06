//! Balancer addresses in a real kernel: a network namespace plays the node, another the client, a veth the network
//! between them; the client's own ARP decides.
//!
//! Every namespace is made here, has no uplink to the machine, and goes when its test ends, also when it fails.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kelson_lb::{Config, LoadBalancer};
use kelson_model::{Cidr, Exposure, Service, ServiceName, Snapshot};
use kelson_network::{Follower, netns};
use kelson_process::Shutdown;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(8);
/// A hardware address nobody has.
const WRONG: &str = "02:00:00:00:00:99";

/// A node and a client, joined by veths.
struct World {
    directory: PathBuf,
}

impl World {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/run/kelson-lb-test-{}-{count}", std::process::id()));
        let world = Self { directory };
        netns::create(&world.path("node")).expect("tests need root");
        netns::create(&world.path("client")).expect("tests need root");
        world.join("uplink", "c0");
        world.on("node", "ip addr add 192.0.2.1/24 dev uplink");
        world.on("client", "ip addr add 192.0.2.9/24 dev c0");
        world.on("client", "ip route add 10.10.0.0/26 dev c0");
        world
    }

    /// A veth from the node to the client, both ends up.
    fn join(&self, node: &str, client: &str) {
        let to = self.path("client").display().to_string();
        self.on("node", &format!("ip link add {node} type veth peer name {client} netns {to}"));
        self.on("node", &format!("ip link set {node} up"));
        self.on("client", &format!("ip link set {client} up"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs a line in one of the namespaces; what it prints, however it ends.
    fn try_on(&self, name: &str, line: &str) -> (bool, String) {
        run_in(&self.path(name), line)
    }

    fn on(&self, name: &str, line: &str) -> String {
        let (succeeded, text) = self.try_on(name, line);
        assert!(succeeded, "{name}: {line}: {text}");
        text
    }

    /// The hardware address of one of the node's links.
    fn hardware(&self, link: &str) -> String {
        let text = self.on("node", &format!("ip -brief link show dev {link}"));
        text.split_whitespace().nth(2).expect("a hardware address").to_owned()
    }

    /// What the client's cache says of an address, after it asked.
    fn asked(&self, address: &str, link: &str) -> String {
        self.try_on("client", &format!("ip neigh flush dev {link}"));
        self.try_on("client", &format!("busybox ping -c 1 -W 1 -I {link} {address}"));
        self.neighbour(address)
    }

    fn neighbour(&self, address: &str) -> String {
        self.on("client", &format!("ip neigh show {address}"))
    }

    fn until(&self, awaited: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < end, "in vain: {awaited}\n{}", self.on("client", "ip neigh show"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ["node", "client"] {
            let _ = netns::remove(&self.path(name));
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn run_in(namespace: &Path, line: &str) -> (bool, String) {
    let output = netns::enter(namespace, || Command::new("sh").args(["-c", line]).output().unwrap()).unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// A balancer at work inside the node, on a thread of its own.
struct Running {
    snapshots: watch::Sender<Arc<Snapshot>>,
    shutdown: Shutdown,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(world: &World) -> Self {
        let (snapshots, receiver) = watch::channel(Arc::new(Snapshot::default()));
        let shutdown = Shutdown::new();
        let (node, token) = (world.path("node"), shutdown.clone());
        let work = move || netns::enter(&node, || serve(receiver, token)).unwrap();
        Self { snapshots, shutdown, thread: Some(std::thread::spawn(work)) }
    }

    /// Services hold exactly these addresses.
    fn hold(&self, addresses: &[&str]) {
        let service = service(addresses.iter().map(|address| address.parse().unwrap()).collect());
        let services = [(service.name.clone(), Arc::new(service))].into_iter().collect();
        self.snapshots.send_replace(Arc::new(Snapshot { synced: true, services, ..Snapshot::default() }));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

fn serve(snapshots: watch::Receiver<Arc<Snapshot>>, shutdown: Shutdown) {
    let config = Config {
        ranges: vec![Cidr::parse("10.10.0.0/26").unwrap(), Cidr::parse("192.0.2.0/24").unwrap()],
        silent_links: vec!["kelson0".to_owned()],
        only_links: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (follower, links) = Follower::start().await.unwrap();
        let balancer = LoadBalancer::open(config).unwrap();
        tokio::join!(follower.run(), balancer.run(snapshots, links, shutdown));
    });
}

fn service(load_balancer_ips: Vec<IpAddr>) -> Service {
    let name = ServiceName::new("default", "web");
    Service { load_balancer_ips, ..Service::new(name, Exposure::ClusterIp) }
}

#[test]
fn a_client_learns_where_assigned_addresses_are_and_no_others() {
    let world = World::new();
    let balancer = Running::start(&world);
    balancer.hold(&["10.10.0.1", "10.10.0.7", "192.0.2.200", "10.10.0.70"]);
    let hardware = world.hardware("uplink");
    let is_known = |address: &str| world.asked(address, "c0").contains(&hardware);
    world.until("10.10.0.1 is answered for", || is_known("10.10.0.1"));
    assert!(is_known("10.10.0.7"));
    assert!(is_known("192.0.2.200"), "in the client's own subnet");
    assert!(!is_known("10.10.0.3"), "between two that are held, held by nobody");
    world.on("client", "ip route add 10.10.0.64/26 dev c0");
    assert!(!is_known("10.10.0.70"), "held, but in no range of ours");
    balancer.hold(&["10.10.0.7"]);
    world.until("10.10.0.1 is taken back", || !is_known("10.10.0.1"));
    assert!(is_known("10.10.0.7"));
}

#[test]
fn an_address_is_announced_when_it_is_given_and_when_a_link_comes_back() {
    let world = World::new();
    let balancer = Running::start(&world);
    balancer.hold(&[]);
    let hardware = world.hardware("uplink");
    let mislead = || {
        let line = format!("ip neigh replace 10.10.0.1 lladdr {WRONG} nud stale dev c0");
        world.on("client", &line);
    };
    let is_put_right = || world.neighbour("10.10.0.1").contains(&hardware);
    mislead();
    balancer.hold(&["10.10.0.1"]);
    world.until("the client is told of a new address", is_put_right);
    // Long after the last announcement nothing is said any more.
    std::thread::sleep(Duration::from_secs(4));
    mislead();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!is_put_right(), "nothing new, nothing said");
    world.on("client", "ip link set c0 down && ip link set c0 up && ip route add 10.10.0.0/26 dev c0");
    mislead();
    world.until("the client is told when the carrier is back", is_put_right);
    // A link that comes later is spoken on, too.
    world.join("late", "c1");
    world.on("client", &format!("ip neigh replace 10.10.0.1 lladdr {WRONG} nud stale dev c1"));
    let late = world.hardware("late");
    world.until("the client is told on a new link", || world.neighbour("10.10.0.1").contains(&late));
}

/// The pod bridge is not spoken on, nor are links that are a port of another.
#[test]
fn some_links_are_never_spoken_on() {
    let world = World::new();
    world.join("kelson0", "pods");
    world.join("port", "c2");
    world.on("node", "ip link add br0 type bridge && ip link set port master br0 && ip link set br0 up");
    let balancer = Running::start(&world);
    balancer.hold(&["10.10.0.1"]);
    let hardware = world.hardware("uplink");
    world.until("the uplink is spoken on", || world.asked("10.10.0.1", "c0").contains(&hardware));
    for link in ["pods", "c2"] {
        world.on("client", &format!("ip addr add 198.51.100.9/24 dev {link}"));
        world.on("client", &format!("ip route replace 10.10.0.0/26 dev {link}"));
        let expected = (link == "c2").then(|| world.hardware("br0"));
        let said = world.asked("10.10.0.1", link);
        let known = said.split_whitespace().any(|word| Some(word) == expected.as_deref());
        assert_eq!(known, expected.is_some(), "{link}: {said}");
        assert!(!said.contains(&world.hardware("kelson0")), "{said}");
    }
}

/// What the node itself has, the kernel answers for.
#[test]
fn the_nodes_own_addresses_are_left_to_the_kernel() {
    let world = World::new();
    let balancer = Running::start(&world);
    balancer.hold(&["192.0.2.1", "192.0.2.2"]);
    let hardware = world.hardware("uplink");
    world.until("the other is answered for", || world.asked("192.0.2.2", "c0").contains(&hardware));
    world.on("node", "sysctl -qw net.ipv4.conf.uplink.arp_ignore=8");
    assert!(
        !world.asked("192.0.2.1", "c0").contains(&hardware),
        "the kernel is told not to, and nobody else does"
    );
    // An address that the node gets later.
    world.on("node", "ip addr add 192.0.2.2/32 dev lo");
    world.until("it is left alone", || !world.asked("192.0.2.2", "c0").contains(&hardware));
}
