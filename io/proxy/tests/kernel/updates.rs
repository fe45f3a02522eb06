//! What lasts while tables change: connections, the guard, and what a dead proxy leaves behind.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use kelson_model::{Acknowledged, Affinity, Protocol, Snapshot, Verdict};
use kelson_process::Shutdown;
use kelson_proxy::{Config, Metrics, Nftables};
use tokio::sync::watch;

use crate::Proxied;
use crate::cluster::{endpoint, ip, node, put, service};
use crate::net::{BRIDGE, NODE};
use crate::traffic::{Outcome, ask_from};

/// C2.9: an endpoint that goes keeps its connections and gets no new one.
#[test]
fn established_connections_outlive_their_endpoint() {
    let mut it = Proxied::new(3);
    let mut snapshot = Snapshot::default();
    let web = service("web", "10.96.0.10");
    put(&mut snapshot, &web, &[endpoint(2), endpoint(3)]);
    it.program(&snapshot);
    let to = "10.96.0.10:80".parse().unwrap();
    let (server, mut kept) = it.net.keep("pod1", to);
    let gone: u8 = server.trim_start_matches("pod").parse().unwrap();
    put(&mut snapshot, &web, &[endpoint(5 - gone)]);
    it.program(&snapshot);
    assert!(kept.answers());
    for outcome in it.net.ask_many("pod1", Protocol::Tcp, to, 40) {
        assert!(
            matches!(&outcome, Outcome::Answered { server: other, .. } if *other != server),
            "{outcome:?}"
        );
    }
    put(&mut snapshot, &web, &[]);
    it.program(&snapshot);
    assert!(kept.answers());
    assert_eq!(it.agree("pod1", Protocol::Tcp, "10.96.0.10:80"), Verdict::Reject);
}

/// A new process replaces the table in one step: connections stay, and no new one fails at any moment.
#[test]
fn replacing_the_table_loses_nothing() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1), endpoint(2)]);
    it.program(&snapshot);
    let to = "10.96.0.10:80".parse().unwrap();
    let (_, mut kept) = it.net.keep("pod1", to);
    let tables = it.tables.clone();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut fresh = it.net.inside("node", Nftables::open).unwrap();
                assert!(fresh.is_installed().unwrap());
                assert!(fresh.apply(&tables).unwrap().replaced);
                count += 1;
            }
            count
        });
        for outcome in it.net.ask_many("pod1", Protocol::Tcp, to, 400) {
            assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(replacing.join().unwrap() > 5, "the table was replaced while connections were opened");
    });
    assert!(kept.answers());
}

/// C7: which client goes to which backend outlives the process and its table.
#[test]
fn affinity_outlives_the_table() {
    let mut it = Proxied::new(4);
    let mut snapshot = Snapshot::default();
    let mut sticky = service("sticky", "10.96.0.30");
    sticky.affinity = Some(Affinity { timeout_seconds: 600 });
    put(&mut snapshot, &sticky, &[endpoint(1), endpoint(2), endpoint(3), endpoint(4)]);
    it.program(&snapshot);
    let servers = |it: &Proxied| -> Vec<String> {
        let ask = |from: &&str| match it.net.ask(from, Protocol::Tcp, "10.96.0.30:80".parse().unwrap()) {
            Outcome::Answered { server, .. } => server,
            other => panic!("{from}: {other:?}"),
        };
        ["client", "node", "pod1", "pod2", "pod3", "pod4"].iter().map(ask).collect()
    };
    let before = servers(&it);
    for _ in 0..2 {
        it.kernel = it.net.inside("node", Nftables::open).unwrap();
        it.program(&snapshot);
        assert_eq!(servers(&it), before);
    }
}

/// Somebody flushes the ruleset: the next update is refused, and the one after it lays everything again.
#[test]
fn a_table_removed_by_others_comes_back() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    let web = service("web", "10.96.0.10");
    put(&mut snapshot, &web, &[endpoint(1)]);
    it.program(&snapshot);
    it.net.inside("node", kelson_proxy::destroy).unwrap();
    put(&mut snapshot, &web, &[endpoint(2)]);
    let tables = it.compiler.compile(&snapshot, &it.node);
    let refused = it.kernel.apply(&tables).unwrap_err();
    assert_eq!(refused.number(), Some(libc::ENOENT), "{refused}");
    it.program(&snapshot);
    it.agree_everywhere("10.96.0.10:80");
}

/// Without the process traffic flows and the ranges stay guarded, also when the pod bridge is gone: not one packet for
/// them leaves by the default route.
#[test]
fn a_dead_proxy_still_serves_and_guards() {
    let mut it = Proxied::new(1);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1)]);
    it.program(&snapshot);
    let Proxied { net, kernel, .. } = it;
    drop(kernel);
    let ask = |from, to: &str| net.ask(from, Protocol::Tcp, to.parse().unwrap());
    assert!(matches!(ask("pod1", "10.96.0.10:80"), Outcome::Answered { .. }));
    let strays = net.inside("client", Strays::watch);
    assert_eq!(ask("node", "10.96.99.99:80"), Outcome::Refused);
    net.ip("node", &format!("link del {BRIDGE}"));
    for to in ["10.96.99.99:80", "10.96.0.10:80", "10.244.0.11:8080", "10.244.9.9:80"] {
        assert_eq!(ask("client", to), Outcome::Refused, "{to}");
        // What the node itself sent and the table translated can only be stopped as it leaves, without a word.
        let expected = if to == "10.96.0.10:80" { Outcome::Silence } else { Outcome::Refused };
        assert_eq!(ask("node", to), expected, "{to}");
    }
    assert!(strays.heard_anything(), "the watch hears the client's own requests");
    assert_eq!(strays.count(), 0);
}

/// C9.1, C9.2: a UDP client that keeps its port moves on when its backend goes, and when the first one comes.
#[test]
fn udp_flows_follow_the_endpoints() {
    let it = Proxied::new(3);
    let (snapshots, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let (acknowledged, mut acks) = watch::channel(Acknowledged::default());
    let (_views, views) = watch::channel(node());
    let shutdown = Shutdown::new();
    std::thread::scope(|scope| {
        let loops = shutdown.clone();
        scope.spawn(|| {
            it.net.inside("node", move || {
                let metrics = Arc::new(Metrics::default());
                block_on(kelson_proxy::run(Config::default(), receiver, views, acknowledged, metrics, loops));
            });
        });
        let to = "10.96.0.10:53".parse().unwrap();
        let mut dns = service("dns", "10.96.0.10");
        dns.ports.iter_mut().for_each(|port| port.port = 53);
        let mut snapshot = Snapshot::default();
        let mut publish = |endpoints: &[_]| {
            put(&mut snapshot, &dns, endpoints);
            snapshots.send_replace(Arc::new(snapshot.clone()));
            wait_for(&mut acks, snapshot.generation);
        };
        publish(&[]);
        let socket = it.net.inside("pod1", || UdpSocket::bind("0.0.0.0:0").unwrap());
        assert!(ask_from(&socket, to).is_err());
        for backend in [2, 3, 2] {
            publish(&[endpoint(backend)]);
            let answer = ask_from(&socket, to).unwrap();
            assert!(answer.starts_with(&format!("pod{backend} ")), "{answer}");
        }
        shutdown.cancel();
    });
}

/// C1.6: before everything is listed nothing is acknowledged, but the ranges are guarded.
#[test]
fn nothing_is_served_before_the_first_sync() {
    let it = Proxied::new(1);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1)]);
    snapshot.synced = false;
    let (snapshots, receiver) = watch::channel(Arc::new(snapshot.clone()));
    let (acknowledged, mut acks) = watch::channel(Acknowledged::default());
    let (_views, views) = watch::channel(node());
    let shutdown = Shutdown::new();
    std::thread::scope(|scope| {
        let loops = shutdown.clone();
        scope.spawn(|| {
            it.net.inside("node", move || {
                let metrics = Arc::new(Metrics::default());
                block_on(kelson_proxy::run(Config::default(), receiver, views, acknowledged, metrics, loops));
            });
        });
        let to = "10.96.0.10:80".parse().unwrap();
        let start = std::time::Instant::now();
        while !it.net.inside("node", || Nftables::open().unwrap().is_installed()).unwrap() {
            assert!(start.elapsed() < Duration::from_secs(5), "the ranges are guarded from the start");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!((it.net.ask("pod1", Protocol::Tcp, to), acks.borrow().generation), (Outcome::Refused, 0));
        snapshot.synced = true;
        snapshots.send_replace(Arc::new(snapshot));
        wait_for(&mut acks, 1);
        assert!(matches!(it.net.ask("pod1", Protocol::Tcp, to), Outcome::Answered { .. }));
        shutdown.cancel();
    });
}

/// `destroy` leaves no table; what was translated is translated no more.
#[test]
fn destroy_removes_the_table() {
    let mut it = Proxied::new(1);
    let mut snapshot = Snapshot::default();
    let mut web = service("web", "10.96.0.10");
    web.external_ips = vec![ip(NODE)];
    put(&mut snapshot, &web, &[endpoint(1)]);
    it.program(&snapshot);
    let to = format!("{NODE}:80").parse().unwrap();
    assert!(matches!(it.net.ask("client", Protocol::Tcp, to), Outcome::Answered { .. }));
    it.net.inside("node", kelson_proxy::destroy).unwrap();
    assert_eq!(it.net.ask("client", Protocol::Tcp, to), Outcome::Refused);
    assert!(!it.net.inside("node", || Nftables::open().unwrap().is_installed()).unwrap());
    it.net.inside("node", kelson_proxy::destroy).unwrap();
}

/// After any sequence of updates the kernel does what the tables say, as if they had been laid afresh.
#[test]
fn random_updates_agree() {
    let mut it = Proxied::new(4);
    let mut snapshot = Snapshot::default();
    let mut random = Random(0x5eed_2026);
    for _ in 0..60 {
        for _ in 0..=random.below(3) {
            change(&mut snapshot, &mut random);
        }
        it.program(&snapshot);
        for _ in 0..4 {
            let from = ["client", "node", "pod1"][random.below(3)];
            let protocol = [Protocol::Tcp, Protocol::Udp][random.below(2)];
            let to = match random.below(3) {
                0 => format!("10.96.1.{}:80", random.below(4)),
                1 => format!("203.0.113.{}:80", random.below(4)),
                _ => format!("{NODE}:{}", 30000 + random.below(4)),
            };
            if it.would_pass(from, protocol, &to) {
                continue;
            }
            it.agree(from, protocol, &to);
        }
    }
}

/// One Service comes, goes, changes its endpoints, affinity, addresses, or swaps its ClusterIP with another's.
pub fn change(snapshot: &mut Snapshot, random: &mut Random) {
    let n = random.below(4);
    let mut it = service(&format!("s{n}"), &format!("10.96.1.{}", random.below(4)));
    if random.below(5) == 0 {
        snapshot.generation += 1;
        snapshot.services.remove(&it.name);
        return;
    }
    if random.below(2) == 0 {
        it.affinity = Some(Affinity { timeout_seconds: 60 });
    }
    if random.below(2) == 0 {
        it.external_ips = vec![ip(&format!("203.0.113.{n}"))];
    }
    if random.below(2) == 0 {
        it.ports.iter_mut().for_each(|port| port.node_port = Some(30000 + u16::try_from(n).unwrap()));
    }
    let endpoints: Vec<_> = (1..=4).filter(|_| random.below(2) == 0).map(endpoint).collect();
    put(snapshot, &it, &endpoints);
}

/// A small linear congruential generator; the seed is the test's.
pub struct Random(pub u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).unwrap()
    }
}

/// Counts packets for the guarded ranges that arrive on the link outside.
struct Strays(socket::Packets);

impl Strays {
    fn watch() -> Self {
        Self(socket::Packets::open())
    }

    fn heard_anything(&self) -> bool {
        self.0.wait_for_one()
    }

    /// Packets from the node (not the client's own) to a pod or Service address.
    fn count(&self) -> usize {
        self.0.drain(|source, destination| {
            let guarded = destination.octets()[0] == 10;
            guarded && source.to_string() != crate::net::CLIENT
        })
    }
}

mod socket {
    //! A raw packet socket, read without waiting.

    use std::net::Ipv4Addr;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    pub struct Packets(OwnedFd);

    impl Packets {
        pub fn open() -> Self {
            let every = i32::from(u16::try_from(libc::ETH_P_ALL).unwrap().to_be());
            // SAFETY: socket(2) takes no pointers, and the new descriptor is nobody else's.
            let fd = unsafe {
                let fd = libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, every);
                assert!(fd >= 0, "a packet socket takes root");
                OwnedFd::from_raw_fd(fd)
            };
            Self(fd)
        }

        pub fn wait_for_one(&self) -> bool {
            let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: the pointer is to one live pollfd, as the count says.
            unsafe { libc::poll(&mut poll, 1, 1000) == 1 }
        }

        pub fn drain(&self, wanted: impl Fn(Ipv4Addr, Ipv4Addr) -> bool) -> usize {
            let mut bytes = [0u8; 2048];
            let mut count = 0;
            loop {
                // SAFETY: the pointer and length are those of the live buffer.
                let read =
                    unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
                let Ok(length) = usize::try_from(read) else { return count };
                if length >= 20 && bytes[0] >> 4 == 4 {
                    let address =
                        |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap());
                    count += usize::from(wanted(address(12), address(16)));
                }
            }
        }
    }
}

pub fn wait_for(acks: &mut watch::Receiver<Acknowledged>, generation: u64) {
    let acknowledged = acks.wait_for(|done| done.generation == generation);
    block_on(async { tokio::time::timeout(Duration::from_secs(5), acknowledged).await.unwrap().unwrap() });
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
