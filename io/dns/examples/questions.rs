//! Questions a second: a server and its clients on the loopback of one machine, hits and misses in equal parts.
//!
//! `cargo run --release -p kelson-dns --example questions -- [services] [seconds] [threads]`; with `--target ADDRESS` the
//! clients ask that server instead, so that others can be measured with the same load. The clients share the cores with
//! the server, as in every figure this is compared with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kelson_dns::{Config, Upstream, run};
use kelson_model::{Exposure, Service, ServiceName, Snapshot};
use kelson_process::Shutdown;
use tokio::sync::watch;

/// Questions a client has under way.
const WINDOW: usize = 100;

fn snapshot(services: u32) -> Snapshot {
    let mut snapshot = Snapshot { generation: 1, synced: true, ..Snapshot::default() };
    for number in 0..services {
        let name = ServiceName::new("default", &format!("svc{number}"));
        let address = IpAddr::from(Ipv4Addr::from(0x0a60_0000 + number));
        let service = Service {
            cluster_ips: vec![address],
            generation: 1,
            ..Service::new(name.clone(), Exposure::ClusterIp)
        };
        snapshot.services.insert(name, Arc::new(service));
    }
    snapshot
}

/// A query for Service `number`, or for a name the search path makes of an outside name.
fn query(number: u32, hit: bool) -> Vec<u8> {
    let first = if hit { format!("svc{number}") } else { format!("www{number}.example.org") };
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in format!("{first}.default.svc.cluster.local").split('.') {
        packet.push(u8::try_from(label.len()).expect("short labels"));
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// One client: keeps [`WINDOW`] questions under way and counts replies until told to stop.
fn client(server: SocketAddr, services: u32, seed: u32, counts: &[AtomicU64; 2], stop: &AtomicBool) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let packets: Vec<Vec<u8>> =
        (0..2048).map(|i| query((i * 7919 + seed) % services.max(1), i % 2 == 0)).collect();
    let mut next = packets.iter().cycle();
    let mut send = |count: usize| {
        next.by_ref().take(count).for_each(|packet| drop(socket.send(packet)));
    };
    send(WINDOW);
    let mut buffer = [0; 1500];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(length) if length > 3 => {
                counts[usize::from(buffer[3] & 0x0f != 0)].fetch_add(1, Ordering::Relaxed);
                send(1);
            }
            _ => send(WINDOW),
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target =
        arguments.iter().position(|a| a == "--target").and_then(|i| arguments.get(i + 1)?.parse().ok());
    let number =
        |index: usize, default: u32| arguments.get(index).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (services, seconds, threads) = (number(0, 10_000), number(1, 5), number(2, 2));
    let (_sender, receiver) = watch::channel(Arc::new(snapshot(services)));
    let config = Config {
        upstream: Upstream::Servers(Vec::new()),
        threads: threads as usize,
        ..Config::new("cluster.local", [(Ipv4Addr::LOCALHOST, 0).into()])
    };
    let shutdown = Shutdown::new();
    let began = Instant::now();
    let server = run(receiver, config, shutdown.clone()).await.expect("a server on the loopback");
    server.synced().await;
    println!("{services} services compiled and served after {:?}", began.elapsed());
    let address = target.unwrap_or(server.addresses()[0]);
    let (counts, stop) = (Arc::new([AtomicU64::new(0), AtomicU64::new(0)]), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..2)
        .map(|seed| {
            let (counts, stop) = (counts.clone(), stop.clone());
            std::thread::spawn(move || client(address, services, seed * 31, &counts, &stop))
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| drop(client.join()));
    let [hits, misses] = [0, 1].map(|i| counts[i].load(Ordering::Relaxed));
    println!(
        "{address}: {} questions a second ({hits} found, {misses} not)",
        (hits + misses) / u64::from(seconds)
    );
    shutdown.cancel();
    server.finished().await;
}
