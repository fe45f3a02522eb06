//! An ingress with one route and no cluster, to find out what a request costs:
//!
//! ```text
//! cargo build --profile profiling -p kelson -p kelson-ingress --example one_route
//! one_route 127.0.0.1:8000 192.0.2.1:8081…          # listens, and sends everything to these backends
//! ```
//!
//! What is between the sockets is what `kelson ingress` runs; nothing follows an API, so a profile shows requests alone.
//! Ends at SIGTERM.

use std::net::SocketAddr;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kelson_ingress::{Config, Listeners, Publisher, Server};
use kelson_model::{Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};
use kelson_process::Shutdown;
use kelson_routes::Compiler;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

fn main() {
    let addresses: Vec<SocketAddr> =
        std::env::args().skip(1).map(|address| address.parse().expect("an address and port")).collect();
    let [listen, backends @ ..] = addresses.as_slice() else {
        eprintln!("usage: one_route LISTEN BACKEND…");
        std::process::exit(64);
    };
    rustls::crypto::ring::default_provider().install_default().expect("nobody chose before");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(serve(*listen, backends));
}

async fn serve(listen: SocketAddr, backends: &[SocketAddr]) {
    let config = Config { http: Some(listen), https: None, ..Config::new("cluster.local") };
    let (listeners, errors) = Listeners::bind(&config).await;
    assert!(errors.is_empty(), "cannot listen: {errors:?}");
    let (mut publisher, routing) = Publisher::new(&config);
    let mut compiler = Compiler::new(config.routes.clone());
    compiler.ingresses(&[Arc::new(everything())], &[]);
    publisher.publish(compiler.compile(&snapshot(backends)), Default::default());
    let shutdown = Shutdown::new();
    let server =
        Server::start(config, listeners, &publisher, routing, shutdown.clone()).expect("a server starts");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be waited for");
    println!("ready");
    terminate.recv().await;
    shutdown.cancel();
    server.finished().await;
}

/// An Ingress that sends every request to Service `behind`.
fn everything() -> Ingress {
    let backend = json!({ "service": { "name": "behind", "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let ingress = json!({
        "metadata": { "namespace": "default", "name": "everything" },
        "spec": { "rules": [{ "http": { "paths": [path] } }] },
    });
    serde_json::from_value(ingress).expect("an Ingress")
}

fn snapshot(backends: &[SocketAddr]) -> Snapshot {
    let mut snapshot = Snapshot { generation: 1, synced: true, ..Snapshot::default() };
    let service = Service {
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
            app_protocol: None,
        }],
        ..Service::new(ServiceName::new("default", "behind"), Exposure::ClusterIp)
    };
    let ready = |address: &SocketAddr| Endpoint {
        ready: true,
        serving: true,
        ..Endpoint::new(address.ip(), address.port())
    };
    let endpoints: Vec<Endpoint> = backends.iter().map(ready).collect();
    snapshot.endpoints.insert(service.name.port(""), endpoints.into());
    snapshot.services.insert(service.name.clone(), Arc::new(service));
    snapshot
}
