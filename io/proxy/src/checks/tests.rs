//! The ports of health checks, opened, asked and closed, by spec id.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use kelson_model::{Endpoint, Exposure, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[test]
fn c8_2_the_answer_is_kube_proxys_to_the_byte() {
    let check = |local, healthy, status: u16| {
        let page = page(&ServiceName::new("shop", "web"), local, healthy);
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"shop\",\n\t\t\"name\": \"web\"\n\t}},\n\t\"localEndpoints\": {local},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
        );
        assert_eq!((page.status().as_u16(), page.body().as_ref()), (status, body.as_bytes()));
        assert_eq!(page.headers()["content-type"], "application/json");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert_eq!(page.headers()["x-load-balancing-endpoint-weight"], local.to_string());
    };
    check(2, true, 200);
    check(0, true, 503);
    check(2, false, 503);
}

/// A running server of checks, on loopback.
struct World {
    snapshots: watch::Sender<Arc<Snapshot>>,
    healthy: Arc<AtomicBool>,
    complaints: Arc<Mutex<Vec<String>>>,
    /// Its node view lives as long as it.
    _node: watch::Sender<NodeView>,
    shutdown: Shutdown,
}

impl World {
    fn new() -> Self {
        let view = NodeView {
            name: "here".into(),
            addresses: vec![[127, 0, 0, 1].into()],
            zone: None,
            service_cidrs: Vec::new(),
            pod_cidrs: Vec::new(),
            host_ports: Arc::default(),
        };
        let (snapshots, seen) = watch::channel(Arc::default());
        let (node, view) = watch::channel(view);
        let healthy = Arc::new(AtomicBool::new(true));
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let shutdown = Shutdown::new();
        let (is_healthy, told) = (healthy.clone(), complaints.clone());
        drop(tokio::spawn(serve_checks(
            seen,
            view,
            Arc::new(move || is_healthy.load(Relaxed)),
            Box::new(move |service, port, _| told.lock().unwrap().push(format!("{}:{port}", service.name))),
            shutdown.clone(),
        )));
        Self { snapshots, healthy, complaints, _node: node, shutdown }
    }

    /// The Service `shop/web` is checked at that port and has so many ready endpoints here.
    fn tell(&self, port: Option<u16>, endpoints: u8) {
        let name = ServiceName::new("shop", "web");
        let service =
            Service { health_check_node_port: port, ..Service::new(name.clone(), Exposure::ClusterIp) };
        let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
        snapshot.services.insert(name.clone(), Arc::new(service));
        let endpoint =
            |n| Endpoint { node: Some("here".into()), ..Endpoint::new([10, 244, 0, n].into(), 80) };
        snapshot.endpoints.insert(name.port(""), (0..endpoints).map(endpoint).collect());
        self.snapshots.send_replace(Arc::new(snapshot));
    }
}

/// The status line at that port; nothing where it is closed.
async fn ask(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return String::new() };
    stream.write_all(b"GET /any HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

async fn until(port: u16, expected: &str) {
    for _ in 0..200 {
        if ask(port).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("port {port} answers {:?}, not {expected:?}", ask(port).await);
}

/// A port nobody listens on.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn c8_1_a_port_opens_answers_moves_and_closes() {
    let (world, port, other) = (World::new(), free_port().await, free_port().await);
    world.tell(Some(port), 0);
    until(port, "HTTP/1.1 503 Service Unavailable").await;
    world.tell(Some(port), 2);
    until(port, "HTTP/1.1 200 OK").await;
    world.healthy.store(false, Relaxed);
    until(port, "HTTP/1.1 503 Service Unavailable").await;
    world.tell(Some(other), 2);
    until(other, "HTTP/1.1 503 Service Unavailable").await;
    until(port, "").await;
    world.tell(None, 2);
    until(other, "").await;
    assert!(world.complaints.lock().unwrap().is_empty());
    world.shutdown.cancel();
}

#[tokio::test]
async fn c8_3_a_port_that_is_taken_is_told_once() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    for endpoints in 1..4 {
        world.tell(Some(port), endpoints);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*world.complaints.lock().unwrap(), [format!("web:{port}")]);
    world.shutdown.cancel();
}
