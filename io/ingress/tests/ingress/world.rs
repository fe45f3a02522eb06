//! An ingress and how tests talk to it: objects in YAML, backends by address, clients that send exactly what they are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::networking::v1::Ingress;
use kelson_ingress::{Config, Listeners, NameServers, Publisher, Server};
use kelson_model::{Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};
use kelson_process::Shutdown;
use kelson_routes::{Compiler, SecretName};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything awaited may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An Ingress for every host that sends `/` to Service `web`.
pub const WEB: &str = "
metadata: {namespace: shop, name: web}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";

/// A running ingress.
pub struct World {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub shutdown: Shutdown,
    pub server: Option<Server>,
    compiler: Compiler,
    publisher: Publisher,
    snapshot: Snapshot,
    pub certificates: BTreeMap<SecretName, Arc<CertifiedKey>>,
}

/// The configuration tests begin with: any free ports of 127.0.0.1, names that may lead to it.
pub fn config() -> Config {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    Config {
        http: any,
        https: any,
        local_names: true,
        workers: 1,
        name_servers: NameServers::Fixed(Vec::new()),
        ..Config::new("cluster.local")
    }
}

impl World {
    /// An ingress that knows no cluster yet.
    pub async fn unsynced(config: Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (publisher, routing) = Publisher::new(&config);
        let (listeners, errors) = Listeners::bind(&config).await;
        assert!(errors.is_empty(), "{errors:?}");
        let (http, https) = (listeners.http().unwrap(), listeners.https().unwrap());
        let shutdown = Shutdown::new();
        let compiler = Compiler::new(config.routes.clone());
        let server = Server::start(config, listeners, &publisher, routing, shutdown.clone()).unwrap();
        let snapshot = Snapshot { generation: 1, synced: true, ..Snapshot::default() };
        let certificates = BTreeMap::new();
        Self { http, https, shutdown, server: Some(server), compiler, publisher, snapshot, certificates }
    }

    /// An ingress with Service `web` at these endpoints and [`WEB`].
    pub async fn web(config: Config, endpoints: &[SocketAddr]) -> Self {
        let mut world = Self::unsynced(config).await;
        world.service("web", Exposure::ClusterIp, endpoints);
        world.ingresses(WEB);
        world
    }

    /// Makes these the Ingresses.
    pub fn ingresses(&mut self, yaml: &str) {
        let documents = serde_yaml_ng::Deserializer::from_str(yaml);
        let objects: Vec<_> =
            documents.map(|document| Arc::new(Ingress::deserialize(document).unwrap())).collect();
        assert_eq!(self.compiler.ingresses(&objects, &[]), [] as [String; 0]);
        self.publish();
    }

    /// Makes these the ready endpoints of a Service of namespace `shop` on port 80.
    pub fn service(&mut self, name: &str, exposure: Exposure, endpoints: &[SocketAddr]) {
        self.service_speaking(name, exposure, endpoints, None);
    }

    /// The same, with an `appProtocol`.
    pub fn service_speaking(
        &mut self,
        name: &str,
        exposure: Exposure,
        endpoints: &[SocketAddr],
        protocol: Option<&str>,
    ) {
        let service = service(name, exposure, protocol);
        let endpoints: Vec<_> = endpoints.iter().map(|address| endpoint(*address)).collect();
        self.snapshot.endpoints.insert(service.name.port(""), endpoints.into());
        self.snapshot.services.insert(service.name.clone(), Arc::new(service));
        self.publish();
    }

    pub fn publish(&mut self) {
        self.snapshot.generation += 1;
        self.publisher.publish(self.compiler.compile(&self.snapshot), self.certificates.clone());
    }

    /// The page of what was counted.
    pub fn metrics(&self) -> String {
        self.publisher.metrics().render()
    }

    /// Sends these bytes to the plain port, and reads until the ingress hangs up.
    pub async fn raw(&self, bytes: &str) -> String {
        raw(self.http, bytes).await
    }

    /// One plain request on a connection of its own; status and body.
    pub async fn get(&self, host: &str, path: &str) -> (u16, String) {
        let line = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let text = self.raw(&line).await;
        (status(&text), body(&text).to_owned())
    }
}

/// Sends these bytes, and reads until the other side hangs up.
pub async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

/// Reads until the other side hangs up.
pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let read = read.unwrap_or_else(|_| panic!("nobody hung up after {}", String::from_utf8_lossy(&bytes)));
    // A reset after the last response is how some endings look.
    let _ = read;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `end` has come.
pub async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("something comes in time");
        text.push(char::from(byte.unwrap_or_else(|error| panic!("{error} after {text}"))));
    }
    text
}

/// The status of the first response in `text`.
pub fn status(text: &str) -> u16 {
    let code = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no response: {text:?}"))
}

/// What follows the first response's head.
pub fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The value of a field in the first response's head, or in what a backend echoes.
pub fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn service(name: &str, exposure: Exposure, app_protocol: Option<&str>) -> Service {
    let port = ServicePort {
        name: "".into(),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: None,
        app_protocol: app_protocol.map(Into::into),
    };
    Service { ports: vec![port], ..Service::new(ServiceName::new("shop", name), exposure) }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address.ip(), address.port())
}
