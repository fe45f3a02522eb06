//! How long the kernel takes: N Services × 3 endpoints loaded from nothing, then endpoints that change one at a time.
//!
//! `tables [SERVICES]` (10,000 unless said), as root; everything happens in a network namespace of its own that ends with
//! the process. Prints milliseconds to load, and microseconds an endpoint change takes from snapshot to kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_model::{
    Acknowledged, Cidr, Endpoint, Exposure, NodeView, Protocol, Service, ServiceName, ServicePort, Snapshot,
};
use kelson_proxy::{Config, Metrics, Nftables};
use kelson_tables::Compiler;
use tokio::sync::watch;

/// Endpoints of each Service.
const ENDPOINTS: u32 = 3;
/// Changes measured of each kind.
const CHANGES: u32 = 1000;

fn main() {
    let count: u32 =
        std::env::args().nth(1).map_or(10_000, |text| text.parse().expect("a number of Services"));
    // SAFETY: unshare(2) takes no pointers; this process has no other thread yet.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(alone, 0, "a network namespace of its own takes root");
    let mut bench = Bench::new(count);
    println!("services {count}, endpoints {}", count * ENDPOINTS);
    bench.load();
    let own = |n| (0..ENDPOINTS).map(move |e| endpoint(n, e));
    bench.change("one endpoint replaced", |n, turn| own(n).take(2).chain([endpoint(n, 9 + turn)]).collect());
    bench.change("one endpoint gone", |n, _| own(n).take(2).collect());
    bench.change("one endpoint come", |n, _| own(n).collect());
    bench.follow("one endpoint replaced, published to acknowledged", |n, turn| {
        own(n).take(2).chain([endpoint(n, 9 + turn)]).collect()
    });
}

/// A cluster, and the kernel that follows it.
struct Bench {
    count: u32,
    snapshot: Snapshot,
    node: NodeView,
    compiler: Compiler,
    kernel: Nftables,
}

impl Bench {
    fn new(count: u32) -> Self {
        let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
        for n in 0..count {
            let service = service(n);
            let name = service.name.port("");
            snapshot.services.insert(service.name.clone(), Arc::new(service));
            snapshot.endpoints.insert(name, (0..ENDPOINTS).map(|e| endpoint(n, e)).collect());
        }
        let compiler = Compiler::new(Config::default().options());
        let kernel = Nftables::open().expect("a netlink socket");
        Self { count, snapshot, node: node(), compiler, kernel }
    }

    fn load(&mut self) {
        let start = Instant::now();
        let tables = self.compiler.compile(&self.snapshot, &self.node);
        let compiled = start.elapsed();
        self.kernel.apply(&tables).expect("the kernel takes the table");
        println!("load: {:.1} ms ({:.1} ms of it compiling)", ms(start.elapsed()), ms(compiled));
        let start = Instant::now();
        self.kernel.forget();
        self.kernel.apply(&tables).expect("the kernel takes the table again");
        println!("replace: {:.1} ms", ms(start.elapsed()));
    }

    /// One Service after the other gets the endpoints `wanted` says, each timed from snapshot to kernel.
    fn change(&mut self, what: &str, wanted: impl Fn(u32, u32) -> Vec<Endpoint>) {
        let mut took: Vec<(Duration, Duration)> = Vec::new();
        for turn in 0..CHANGES {
            let n = turn.wrapping_mul(7919) % self.count;
            self.snapshot.endpoints.insert(service(n).name.port(""), wanted(n, turn).into());
            let start = Instant::now();
            let tables = self.compiler.compile(&self.snapshot, &self.node);
            let compiled = start.elapsed();
            self.kernel.apply(&tables).expect("the kernel takes the change");
            took.push((start.elapsed(), compiled));
        }
        took.sort();
        let at = |permille: usize| took[took.len() * permille / 1000].0.as_micros();
        let compiling: Duration = took.iter().map(|(_, compiling)| *compiling).sum();
        let compiling = compiling.as_micros() / u128::from(CHANGES);
        println!("{what}: p50 {} µs, p99 {} µs ({compiling} µs of it compiling)", at(500), at(990));
    }

    /// The same through the proxy's loop: from the snapshot's publication to its acknowledgement.
    fn follow(mut self, what: &str, wanted: impl Fn(u32, u32) -> Vec<Endpoint>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        self.snapshot.generation = 1;
        let (snapshots, receiver) = watch::channel(Arc::new(self.snapshot.clone()));
        let (_node, view) = watch::channel(self.node.clone());
        let (acknowledged, mut acks) = watch::channel(Acknowledged::default());
        let shutdown = kelson_process::Shutdown::new();
        let metrics = Arc::new(Metrics::default());
        let run =
            kelson_proxy::run(Config::default(), receiver, view, acknowledged, metrics, shutdown.clone());
        let proxy = runtime.spawn(run);
        let mut took = Vec::new();
        runtime.block_on(async {
            acks.wait_for(|done| done.generation == 1).await.expect("the proxy runs");
            for turn in 0..CHANGES {
                let n = turn.wrapping_mul(7919) % self.count;
                self.snapshot.endpoints.insert(service(n).name.port(""), wanted(n, turn).into());
                self.snapshot.generation += 1;
                let (published, generation) = (Arc::new(self.snapshot.clone()), self.snapshot.generation);
                let start = Instant::now();
                snapshots.send_replace(published);
                acks.wait_for(|done| done.generation == generation).await.expect("the proxy runs");
                took.push(start.elapsed());
            }
            shutdown.cancel();
            proxy.await.expect("the proxy ends");
        });
        took.sort();
        let at = |permille: usize| took[took.len() * permille / 1000].as_micros();
        println!("{what}: p50 {} µs, p99 {} µs", at(500), at(990));
    }
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn node() -> NodeView {
    NodeView {
        name: "here".into(),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))],
        zone: None,
        service_cidrs: Cidr::parse("10.96.0.0/12").into_iter().collect(),
        pod_cidrs: Cidr::parse("10.200.0.0/13").into_iter().collect(),
        host_ports: Arc::default(),
    }
}

fn service(n: u32) -> Service {
    let address = IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 1, 0)) + n));
    Service {
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
            app_protocol: None,
        }],
        cluster_ips: vec![address],
        generation: 1,
        ..Service::new(ServiceName::new("default", &format!("s{n}")), Exposure::ClusterIp)
    }
}

fn endpoint(service: u32, n: u32) -> Endpoint {
    let address =
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 200, 0, 0)) + service * 3 + (n % 3) + (n / 3) * 100_000);
    Endpoint { node: Some("elsewhere".into()), ..Endpoint::new(IpAddr::V4(address), 8080) }
}
