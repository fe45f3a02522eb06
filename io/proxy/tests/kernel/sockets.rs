//! Translation at connect(): it and `trace` agree, a program sees no difference, and it comes, stays and goes without a gap.

mod group;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kelson_model::{Acknowledged, Affinity, Endpoint, Protocol, Snapshot, TrafficPolicy, Verdict};
use kelson_process::Shutdown;
use kelson_proxy::{Config, Metrics, Place};
use kelson_sockets::{Loaded, Maps};
use kelson_tables::{Tables, connect, trace};
use tokio::sync::watch;

use crate::Proxied;
use crate::cluster::{elsewhere, endpoint, endpoint_at, ip, node, put, service};
use crate::net::NODE;
use crate::traffic::{Outcome, PORT};
use crate::updates::{Random, block_on, change, wait_for};
use group::Group;

/// A connection made by a process of the pods' group.
struct Call {
    stream: TcpStream,
    server: String,
    /// Whom the server sees.
    seen: Ipv4Addr,
}

/// A node with both planes.
struct Translated {
    it: Proxied,
    group: Group,
    maps: Maps,
    tables: Arc<Tables>,
}

impl Translated {
    fn new(pods: u8) -> Self {
        let (it, group) = (Proxied::new(pods), Group::new());
        let maps = Loaded::load(&group.place).unwrap().attach().unwrap();
        Self { it, group, maps, tables: Arc::default() }
    }

    fn program(&mut self, snapshot: &Snapshot) {
        self.it.program(snapshot);
        let changes = connect::update(&self.tables, &self.it.tables);
        self.tables = self.it.tables.clone();
        assert_eq!(self.maps.apply(changes.into_iter().map(|it| (it.key, it.new))).unwrap(), 0);
        assert_eq!(self.maps.len(), connect::entries(&self.tables).len());
    }

    /// One after the other dies and the next one takes over, with nothing in hand but the place.
    fn take_over(&mut self) {
        let mut loaded = Loaded::load(&self.group.place).unwrap();
        let entries = connect::entries(&self.tables);
        loaded.maps().apply(entries.into_iter().map(|(at, backends)| (at, Some(backends)))).unwrap();
        self.maps = loaded.attach().unwrap();
    }

    fn call(&self, from: &str, to: &str) -> Result<Call, Outcome> {
        call(&self.it, &self.group, from, to)
    }

    /// Connects from the group and compares with the tables, as `Proxied::agree` does from outside of it. And a program
    /// sees whom it called, whether translated there or in packets, and it is translated if and only if it qualifies.
    fn agree(&self, from: &str, to: &str) -> Verdict {
        let address: SocketAddr = to.parse().unwrap();
        let flow = self.it.flow(from, Protocol::Tcp, address);
        let verdict = trace(&self.tables, &flow);
        let called = self.call(from, to);
        let agreed = match (&verdict, &called) {
            (Verdict::Forward(backends), Ok(call)) => {
                let qualifies = connect::entries(&self.tables).contains_key(&v4(address));
                assert_eq!(
                    call.stream.peer_addr().unwrap(),
                    address,
                    "getpeername() says what was asked for"
                );
                assert_eq!(self.is_translated(from, call), qualifies, "{from} to {to}");
                backends.iter().any(|(backend, rewritten)| {
                    // A pod that reaches itself need not leave itself any more.
                    let hairpin = qualifies && backend.ip() == flow.source;
                    let same = (flow.source != call.seen) == (*rewritten && !hairpin);
                    self.it.name_of(*backend) == call.server && same
                })
            }
            (Verdict::Reject, Err(outcome)) => *outcome == Outcome::Refused,
            (Verdict::Drop, Err(outcome)) => *outcome == Outcome::Silence,
            _ => false,
        };
        assert!(
            agreed,
            "{from} to {to}: the tables say {verdict:?}, the kernel {:?}",
            called.map(|it| it.server)
        );
        verdict
    }

    /// Whether the connection's packets themselves carry the backend's address.
    fn is_translated(&self, from: &str, call: &Call) -> bool {
        let own = call.stream.local_addr().unwrap();
        let table =
            self.it.net.inside(from, || std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap());
        let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&hex(own)));
        let remote = line.and_then(|line| line.split_whitespace().nth(2)).expect("the connection is listed");
        remote != hex(call.stream.peer_addr().unwrap())
    }
}

/// As /proc/net/tcp writes it: the address as a number in the machine's order.
fn hex(address: SocketAddr) -> String {
    let octets = v4(address).ip().octets();
    format!("{:08X}:{:04X}", u32::from_ne_bytes(octets), address.port())
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    let SocketAddr::V4(address) = address else { panic!("{address} is IPv4") };
    address
}

fn call(it: &Proxied, group: &Group, from: &str, to: &str) -> Result<Call, Outcome> {
    let socket = group.socket(&format!("/run/netns/{}", it.net.full(from)));
    let mut stream = connect_to(socket, v4(to.parse().unwrap()))?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut bytes = [0; 64];
    let length = stream.read(&mut bytes).map_err(|_| Outcome::Silence)?;
    let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let (server, seen) = line.trim().split_once(' ').unwrap();
    Ok(Call { stream, server: server.into(), seen: seen.parse().unwrap() })
}

fn connect_to(socket: OwnedFd, to: SocketAddrV4) -> Result<TcpStream, Outcome> {
    let patience = libc::timeval { tv_sec: 1, tv_usec: 500_000 };
    let address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap(),
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: both pointers are to live values of the lengths given, which the kernel only reads.
    let result = unsafe {
        let length = libc::socklen_t::try_from(size_of_val(&patience)).unwrap();
        let option = std::ptr::from_ref(&patience).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDTIMEO, option, length);
        let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
        libc::connect(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), length)
    };
    match std::io::Error::last_os_error().raw_os_error() {
        _ if result == 0 => Ok(socket.into()),
        Some(libc::ECONNREFUSED) => Err(Outcome::Refused),
        Some(libc::EINPROGRESS | libc::ETIMEDOUT) => Err(Outcome::Silence),
        other => panic!("neither connected, refused nor silent: {other:?}"),
    }
}

fn answers(called: Result<Call, Outcome>) -> String {
    called.map(|call| call.server).unwrap_or_else(|outcome| panic!("{outcome:?}"))
}

/// The simple are translated, everything else is left to packets, and what the tables say happens either way.
#[test]
fn it_agrees_with_the_tables() {
    let mut it = Translated::new(4);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2), endpoint(3)]);
    put(&mut snapshot, &service("empty", "10.96.0.11"), &[]);
    let mut sticky = service("sticky", "10.96.0.12");
    sticky.affinity = Some(Affinity { timeout_seconds: 60 });
    put(&mut snapshot, &sticky, &[endpoint(2), endpoint(3)]);
    let mut near = service("near", "10.96.0.13");
    near.internal_policy = TrafficPolicy::Local;
    put(&mut snapshot, &near, &[elsewhere(endpoint(2)), endpoint(3)]);
    let mut far = service("far", "10.96.0.14");
    far.internal_policy = TrafficPolicy::Local;
    put(&mut snapshot, &far, &[elsewhere(endpoint(2))]);
    put(&mut snapshot, &service("host", "10.96.0.15"), &[endpoint_at(ip(NODE))]);
    let mut known = service("known", "10.96.0.16");
    known.external_ips = vec![ip("203.0.113.1")];
    known.load_balancer_ips = vec![ip("203.0.113.2")];
    known.ports.iter_mut().for_each(|port| port.node_port = Some(30_016));
    put(&mut snapshot, &known, &[elsewhere(endpoint(2)), endpoint(3)]);
    it.it.net.serve("node", NODE);
    it.program(&snapshot);
    assert_eq!(it.maps.len(), 2);
    it.agree("pod1", "10.96.0.15:80");
    for from in ["pod1", "pod4", "node"] {
        for last in [10, 11, 12, 13, 14, 16] {
            it.agree(from, &format!("10.96.0.{last}:80"));
        }
        for to in ["10.96.0.10:81", "10.96.99.99:80", "203.0.113.1:80", "203.0.113.2:80"] {
            it.agree(from, to);
        }
        it.agree(from, &format!("{NODE}:30016"));
    }
    // C2.8: each backend gets its share.
    let drawn: Vec<String> = (0..60).map(|_| answers(it.call("pod1", "10.96.0.10:80"))).collect();
    let second = drawn.iter().filter(|server| *server == "pod2").count();
    assert!((12..=48).contains(&second), "{second} of 60");
}

/// C4.5: a pod that calls a Service whose backend it is itself is answered by itself.
#[test]
fn a_pod_reaches_itself() {
    let mut it = Translated::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1), endpoint(2)]);
    put(&mut snapshot, &service("self", "10.96.0.11"), &[endpoint(1)]);
    it.program(&snapshot);
    for _ in 0..10 {
        it.agree("pod1", "10.96.0.10:80");
    }
    it.agree("pod1", "10.96.0.11:80");
    assert_eq!(answers(it.call("pod1", "10.96.0.11:80")), "pod1");
}

/// Processes outside of the group meet nftables alone.
#[test]
fn others_are_not_touched() {
    let mut it = Translated::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2)]);
    it.program(&snapshot);
    let other = Group::new();
    let call = call(&it.it, &other, "pod1", "10.96.0.10:80").map_err(|outcome| panic!("{outcome:?}"));
    assert!(!it.is_translated("pod1", &call.unwrap()));
    it.it.agree_everywhere("10.96.0.10:80");
    assert_eq!((it.group.programs(), other.programs()), ([1, 1], [0, 0]));
}

/// C2.9: connections outlive their endpoint; new ones meet what is there now; a Service that goes is refused.
#[test]
fn endpoints_come_and_go() {
    let mut it = Translated::new(3);
    let mut snapshot = Snapshot::default();
    let web = service("web", "10.96.0.10");
    put(&mut snapshot, &web, &[endpoint(2)]);
    it.program(&snapshot);
    let mut kept = it.call("pod1", "10.96.0.10:80").unwrap_or_else(|outcome| panic!("{outcome:?}"));
    put(&mut snapshot, &web, &[endpoint(3)]);
    it.program(&snapshot);
    for _ in 0..20 {
        assert_eq!(answers(it.call("pod1", "10.96.0.10:80")), "pod3");
    }
    put(&mut snapshot, &web, &[Endpoint { ready: false, terminating: true, ..endpoint(3) }]);
    it.program(&snapshot);
    it.agree("pod1", "10.96.0.10:80");
    put(&mut snapshot, &web, &[]);
    it.program(&snapshot);
    assert_eq!(it.agree("pod1", "10.96.0.10:80"), Verdict::Reject);
    snapshot.services.remove(&web.name);
    it.program(&snapshot);
    assert_eq!(it.agree("pod1", "10.96.0.10:80"), Verdict::Reject);
    assert!(it.maps.is_empty());
    std::io::Write::write_all(&mut kept.stream, b"x").unwrap();
    let mut byte = [0];
    kept.stream.read_exact(&mut byte).unwrap();
    assert_eq!(kept.stream.peer_addr().unwrap(), "10.96.0.10:80".parse().unwrap());
}

/// A socket that was connected to a Service, and then to the same backend by its own address, says the latter.
#[test]
fn a_socket_forgets_what_it_was_connected_to() {
    let mut it = Translated::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2)]);
    it.program(&snapshot);
    let first = it.call("pod1", "10.96.0.10:80").unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let nowhere = libc::sockaddr { sa_family: 0, sa_data: [0; 14] };
    // SAFETY: the address is a live value of the length given; its family AF_UNSPEC ends a connection.
    let ended = unsafe {
        let length = libc::socklen_t::try_from(size_of_val(&nowhere)).unwrap();
        libc::connect(first.stream.as_raw_fd(), &nowhere, length)
    };
    assert_eq!(ended, 0);
    let direct = format!("10.244.0.12:{PORT}");
    let again = connect_to(first.stream.into(), v4(direct.parse().unwrap())).unwrap();
    assert_eq!(again.peer_addr().unwrap(), direct.parse().unwrap());
}

/// No connection fails or sees another Service while backends are exchanged thousands of times.
#[test]
fn a_service_is_never_half_changed() {
    let mut it = Translated::new(4);
    let mut snapshot = Snapshot::default();
    let (web, other) = (service("web", "10.96.0.10"), service("other", "10.96.0.11"));
    put(&mut snapshot, &web, &[endpoint(2)]);
    put(&mut snapshot, &other, &[endpoint(4)]);
    it.program(&snapshot);
    let at = |text: &str| v4(text.parse().unwrap());
    let list =
        |pods: &[u8]| pods.iter().map(|n| v4(SocketAddr::from((crate::net::pod_ip(*n), PORT)))).collect();
    let sets: [Arc<[SocketAddrV4]>; 3] = [list(&[2]), list(&[2, 3]), list(&[3])];
    let stop = AtomicBool::new(false);
    let Translated { it, group, mut maps, .. } = it;
    std::thread::scope(|scope| {
        let exchanging = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let web = (at("10.96.0.10:80"), Some(sets[count % 3].clone()));
                let other = (at("10.96.0.11:80"), (count % 2 == 0).then(|| list(&[4])));
                assert_eq!(maps.apply([web, other]).unwrap(), 0);
                count += 1;
            }
            count
        });
        for _ in 0..400 {
            let server = answers(call(&it, &group, "pod1", "10.96.0.10:80"));
            assert!(["pod2", "pod3"].contains(&server.as_str()), "{server}");
            assert_eq!(answers(call(&it, &group, "pod1", "10.96.0.11:80")), "pod4");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(exchanging.join().unwrap() > 500, "backends were exchanged while connections were made");
    });
}

/// After any sequence of updates it does what the tables say.
#[test]
fn random_updates_agree() {
    let mut it = Translated::new(4);
    let (mut snapshot, mut random) = (Snapshot::default(), Random(0x5eed_0001));
    let mut translated = 0;
    for _ in 0..60 {
        change(&mut snapshot, &mut random);
        it.program(&snapshot);
        for n in 0..4 {
            let to = format!("10.96.1.{n}:80");
            if !it.it.would_pass("pod1", Protocol::Tcp, &to) {
                it.agree("pod1", &to);
            }
        }
        translated += it.maps.len();
    }
    assert!(translated > 30, "some were translated: {translated}");
}

/// The process dies: it goes on; the next one takes over between two connects, and old sockets still say whom they called.
#[test]
fn it_outlives_the_process_and_is_taken_over() {
    let mut it = Translated::new(3);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2), endpoint(3)]);
    it.program(&snapshot);
    // Without the table every connection that is not translated at connect() is refused.
    let kernel_gone = |it: &Proxied| it.net.inside("node", kelson_proxy::destroy).unwrap();
    kernel_gone(&it.it);
    let old = it.call("pod1", "10.96.0.10:80").unwrap_or_else(|outcome| panic!("{outcome:?}"));
    let stop = AtomicBool::new(false);
    let Translated { it: proxied, group, maps, tables } = it;
    drop(maps);
    answers(call(&proxied, &group, "pod1", "10.96.0.10:80"));
    std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                answers(call(&proxied, &group, "pod1", "10.96.0.10:80"));
                count += 1;
            }
            count
        });
        for _ in 0..20 {
            let mut loaded = Loaded::load(&group.place).unwrap();
            let entries = connect::entries(&tables).into_iter();
            loaded.maps().apply(entries.map(|(at, backends)| (at, Some(backends)))).unwrap();
            drop(loaded.attach().unwrap());
            assert_eq!(group.programs(), [1, 1]);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(calls.join().unwrap() > 20, "connections were made while it changed hands");
    });
    assert_eq!(old.stream.peer_addr().unwrap(), "10.96.0.10:80".parse().unwrap());
}

/// The group was removed and made again, as when its last pod went: what is attached follows.
#[test]
fn a_group_made_anew_is_attached_to() {
    let mut it = Translated::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2)]);
    it.program(&snapshot);
    std::fs::remove_dir(&it.group.place.cgroup).unwrap();
    std::fs::create_dir(&it.group.place.cgroup).unwrap();
    it.take_over();
    assert_eq!(it.group.programs(), [1, 1]);
    it.agree("pod1", "10.96.0.10:80");
}

/// Removal leaves no program, pin or mount; nftables has served it all along.
#[test]
fn removal_leaves_nothing() {
    let mut it = Translated::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(2)]);
    it.program(&snapshot);
    let kept = it.call("pod1", "10.96.0.10:80");
    kelson_proxy::remove_translation(&it.group.place.pins).unwrap();
    assert_eq!(it.group.programs(), [0, 0]);
    assert!(!it.group.place.pins.exists());
    let call = it.call("pod1", "10.96.0.10:80").unwrap_or_else(|outcome| panic!("{outcome:?}"));
    assert!(!it.is_translated("pod1", &call));
    assert_eq!(answers(kept), "pod2");
    kelson_proxy::remove_translation(&it.group.place.pins).unwrap();
}

/// The whole loop: what it acknowledges both planes hold, also after another process, and where it cannot be had.
#[test]
fn acknowledged_means_both() {
    let (it, group) = (Proxied::new(3), Group::new());
    let web = service("web", "10.96.0.10");
    let mut snapshot = Snapshot::default();
    let nowhere = Place { cgroup: group.place.pins.with_extension("none"), ..group.place.clone() };
    for (place, programs) in [(&group.place, [1, 1]), (&group.place, [1, 1]), (&nowhere, [0, 0])] {
        run_with(&it, place, |publish, acks| {
            for round in 0..20 {
                let backend = [2, 3][round % 2];
                put(&mut snapshot, &web, &[endpoint(backend)]);
                publish.send_replace(Arc::new(snapshot.clone()));
                wait_for(acks, snapshot.generation);
                assert_eq!(group.programs(), programs);
                assert_eq!(answers(call(&it, &group, "pod1", "10.96.0.10:80")), format!("pod{backend}"));
            }
        });
    }
}

fn run_with(
    it: &Proxied,
    place: &Place,
    work: impl FnOnce(&watch::Sender<Arc<Snapshot>>, &mut watch::Receiver<Acknowledged>),
) {
    let (snapshots, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let (acknowledged, mut acks) = watch::channel(Acknowledged::default());
    let (_views, views) = watch::channel(node());
    let shutdown = Shutdown::new();
    let config = Config { at_connect: Some(place.clone()), ..Config::default() };
    std::thread::scope(|scope| {
        let ending = shutdown.clone().drop_guard();
        scope.spawn(|| {
            it.net.inside("node", || {
                block_on(kelson_proxy::run(
                    config,
                    receiver,
                    views,
                    acknowledged,
                    Arc::<Metrics>::default(),
                    shutdown,
                ));
            });
        });
        work(&snapshots, &mut acks);
        drop(ending);
    });
}
