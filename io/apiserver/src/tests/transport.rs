//! The listener: TLS, certificates and tokens, both HTTP versions, bounds, an orderly end.

use super::*;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use kelson_process::Shutdown;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A harness that listens on a free port of 127.0.0.1.
pub(super) struct Listening {
    pub harness: Harness,
    pub address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Listening {
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let harness = Harness::with(|config| {
            config.listen = address;
            adjust(config);
        })
        .await;
        let shutdown = Shutdown::new();
        let task = tokio::spawn(harness.server.clone().serve(listener, shutdown.clone()));
        Self { harness, address, shutdown, task }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("an end in time").unwrap();
    }

    fn tls(&self, identity: Option<&crate::pki::Pair>, alpn: &[u8]) -> tokio_rustls::TlsConnector {
        let pki = self.harness.server.pki();
        let mut roots = RootCertStore::empty();
        roots.add(crate::pki::der(&pki.authority).unwrap().0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity.map(|pair| crate::pki::der(pair).unwrap()) {
            Some((cert, key)) => builder.with_client_auth_cert(vec![cert], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config).into()
    }

    /// One GET: its code and body.
    async fn get(
        &self,
        identity: Option<&crate::pki::Pair>,
        alpn: &[u8],
        headers: &[(&str, &str)],
        path: &str,
    ) -> (u16, Value) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("kubernetes.default.svc.cluster.local").unwrap();
        let stream = TokioIo::new(self.tls(identity, alpn).connect(name, stream).await.unwrap());
        let mut request =
            Request::builder().uri(format!("https://kubernetes.default.svc.cluster.local{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("host", "kubernetes").body(Body::empty()).unwrap();
        let response = if alpn == b"h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
    }
}

const NAMESPACES: &str = "/api/v1/namespaces";

#[tokio::test]
async fn the_administrators_certificate_gets_in_over_both_versions() {
    let server = Listening::start(|_| {}).await;
    let admin = server.harness.server.pki().admin.clone();
    for alpn in [b"h2".as_slice(), b"http/1.1"] {
        let (code, list) = server.get(Some(&admin), alpn, &[], NAMESPACES).await;
        assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 4));
        let (code, status) = server.get(None, alpn, &[], NAMESPACES).await;
        assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")));
        assert_eq!(server.get(None, alpn, &[], "/readyz").await, (200, json!("ok")));
    }
    server.stop().await;
}

#[tokio::test]
async fn tokens_get_in_and_bad_credentials_are_401() {
    let file = Scratch::new();
    let path = file.path().join("tokens.csv");
    std::fs::write(&path, "secret,jane,1,\"system:masters\"\nother,joe,2\n").unwrap();
    let server = Listening::start(|config| config.token_auth_file = Some(path)).await;
    let with = |token: &'static str| {
        let server = &server;
        async move { server.get(None, b"http/1.1", &[("authorization", token)], NAMESPACES).await }
    };
    assert_eq!(with("Bearer secret").await.0, 200);
    let (code, status) = with("Bearer other").await;
    assert_eq!(
        (code, &status["message"]),
        (
            403,
            &json!(
                "namespaces is forbidden: User \"joe\" cannot list resource \"namespaces\" in API group \"\" at the cluster scope"
            )
        )
    );
    for bad in ["Bearer wrong", "Bearer secre", "Basic c2VjcmV0"] {
        let (code, status) = with(bad).await;
        assert_eq!((code, &status["message"]), (401, &json!("Unauthorized")), "{bad}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_401() {
    let server = Listening::start(|_| {}).await;
    let elsewhere = Scratch::new();
    let names = std::collections::BTreeSet::from(["localhost".to_owned()]);
    let stranger = crate::pki::Pki::open(elsewhere.path(), &names, kelson_process::now()).unwrap();
    let (code, status) = server.get(Some(&stranger.admin), b"h2", &[], "/readyz").await;
    assert_eq!((code, &status["reason"]), (401, &json!("Unauthorized")));
    let own_server = server.harness.server.pki().server.clone();
    assert_eq!(
        server.get(Some(&own_server), b"h2", &[], "/readyz").await.0,
        401,
        "a server certificate is no client's"
    );
    server.stop().await;
}

#[tokio::test]
async fn slow_and_silent_clients_are_dropped() {
    let server = Listening::start(|config| {
        config.limits.handshake_timeout = Duration::from_millis(50);
        config.limits.header_timeout = Duration::from_millis(50);
    })
    .await;
    let ended = |mut stream: TcpStream| async move {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte))
            .await
            .expect("an end in time");
        assert!(matches!(read, Ok(0) | Err(_)));
    };
    ended(TcpStream::connect(server.address).await.unwrap()).await;
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut half = server.tls(None, b"http/1.1").connect(name, stream).await.unwrap();
    half.write_all(b"GET /readyz HT").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), half.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "a head that never ends is given up");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_ends_watches_and_comes_to_an_end() {
    let server = Listening::start(|_| {}).await;
    let admin = server.harness.server.pki().admin.clone();
    let watch = server.get(Some(&admin), b"http/1.1", &[], "/api/v1/configmaps?watch=true");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.shutdown.cancel();
    };
    let ((code, _), ()) =
        tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(watch, stop) }).await.unwrap();
    assert_eq!(code, 200);
    server.stop().await;
}

/// A node whose exec turns the connection into an echo, as a kubelet turns it into streams.
fn echoing_node() -> axum::Router {
    axum::Router::new().fallback(|mut request: axum::extract::Request| async move {
        assert_eq!(request.uri().path(), "/exec/default/p/c");
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let (mut from, mut to) = tokio::io::split(&mut stream);
            tokio::io::copy(&mut from, &mut to).await
        });
        axum::response::Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "SPDY/3.1")
            .body(Body::empty())
            .unwrap()
    })
}

#[tokio::test]
async fn an_upgraded_connection_reaches_the_node() {
    let server = Listening::start(|_| {}).await;
    server.harness.server.connect_node("n1", echoing_node());
    server.harness.post(PODS, pod("p")).await.expect(201);
    let binding = json!({"target": {"name": "n1"}});
    server.harness.post(&format!("{PODS}/p/binding"), binding).await.expect(201);
    let admin = server.harness.server.pki().admin.clone();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = server.tls(Some(&admin), b"http/1.1").connect(name, stream).await.unwrap();
    let head = format!(
        "POST {PODS}/p/exec?command=sh HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: SPDY/3.1\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"hello");
    drop(stream);
    server.stop().await;
}
