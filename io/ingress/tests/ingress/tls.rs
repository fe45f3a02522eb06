//! TLS: which certificate which name is shown, reload, HTTP/2, and where plain requests are sent.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kelson_model::Exposure;
use kelson_routes::SecretName;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::backend::Backend;
use crate::world::{World, config, field, status};

const SECURE: &str = "
metadata: {namespace: shop, name: secure}
spec:
  tls: [{hosts: [a.example], secretName: a}, {hosts: ['*.wild.example'], secretName: wild}, {hosts: [none.example], secretName: none}]
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";

fn certificate(world: &mut World, secret: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pair = CertifiedKey::from_der(
        vec![made.der().clone()],
        PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        &rustls::crypto::ring::default_provider(),
    );
    let name = SecretName { namespace: "shop".into(), name: secret.into() };
    world.certificates.insert(name, Arc::new(pair.unwrap()));
    world.publish();
    made.der().to_vec()
}

async fn connect(address: SocketAddr, sni: &str, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut config = kelson_tls::trusting();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(sni.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn shown(world: &World, sni: &str) -> Vec<u8> {
    let stream = connect(world.https, sni, &[]).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// G2.7, and a changed Secret counts from the next handshake on.
#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate() {
    let mut world = World::web(config(), &[]).await;
    world.ingresses(SECURE);
    let (a, wild) = (certificate(&mut world, "a"), certificate(&mut world, "wild"));
    assert_eq!(shown(&world, "a.example").await, a);
    assert_eq!(shown(&world, "A.Example").await, a);
    assert_eq!(shown(&world, "x.wild.example").await, wild);
    let fallback = shown(&world, "other.example").await;
    assert!(fallback != a && fallback != wild);
    assert_eq!(shown(&world, "x.y.wild.example").await, fallback);
    assert_eq!(shown(&world, "none.example").await, fallback, "its secret is missing");
    assert_eq!(shown(&world, "127.0.0.1").await, fallback, "no name at all");
    let new = certificate(&mut world, "a");
    assert!(new != a);
    assert_eq!(shown(&world, "a.example").await, new);
}

#[tokio::test]
async fn http_2_is_spoken_and_the_backend_told_of_tls() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let stream = connect(world.https, "a.example", &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let requests = (0..20).map(|number| {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            let request = hyper::Request::get(format!("https://a.example/slow/50?n={number}"));
            let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        })
    });
    let begun = std::time::Instant::now();
    let requests: Vec<_> = requests.collect();
    for (number, request) in requests.into_iter().enumerate() {
        let echo = request.await.unwrap();
        assert!(echo.starts_with(&format!("one GET /slow/50?n={number}\n")), "{echo}");
        assert_eq!(field(&echo, "x-forwarded-proto"), Some("https"));
        assert_eq!(field(&echo, "host"), Some("a.example"));
    }
    assert!(begun.elapsed().as_millis() < 800, "20 requests at once took {:?}", begun.elapsed());
    let stream = connect(world.https, "a.example", &[b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

/// As ingress-nginx: where the host has a certificate that can be shown, plain requests are sent to it.
#[tokio::test]
async fn plain_requests_are_sent_to_https_where_there_is_a_certificate() {
    let backend = Backend::echo("one").await;
    let mut world = World::web(config(), &[]).await;
    world.service("web", Exposure::ClusterIp, &[backend.address]);
    world.ingresses(SECURE);
    certificate(&mut world, "a");
    let port = world.https.port();
    let ask = async |world: &World, host: &str, more: &str, path: &str| {
        let text = world
            .raw(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"))
            .await;
        (status(&text), field(&text, "location").map(str::to_owned))
    };
    let location = format!("https://a.example:{port}/x?y=1");
    assert_eq!(ask(&world, "A.example:80", "", "/x?y=1").await, (308, Some(location)));
    assert_eq!(ask(&world, "other.example", "", "/").await.0, 200, "no certificate");
    assert_eq!(ask(&world, "none.example", "", "/").await.0, 200, "its secret is missing");
    assert_eq!(ask(&world, "a.example", "", "/.well-known/acme-challenge/token").await.0, 200);
    let claim = "X-Forwarded-Proto: https\r\n";
    assert_eq!(ask(&world, "a.example", claim, "/").await.0, 308, "a stranger's word does not count");
    let annotated = SECURE.replace(
        "name: secure",
        "name: secure, annotations: {nginx.ingress.kubernetes.io/ssl-redirect: 'false'}",
    );
    world.ingresses(&annotated);
    assert_eq!(ask(&world, "a.example", "", "/").await.0, 200, "the ingress says no");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let backend = Backend::echo("one").await;
    let mut settings = config();
    settings.trusted_proxies = vec![kelson_model::Cidr::parse("127.0.0.0/8").unwrap()];
    let mut world = World::web(settings, &[backend.address]).await;
    world.ingresses(SECURE);
    certificate(&mut world, "a");
    let text = world
        .raw("GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.9\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&text), 200, "its client came by TLS already");
    assert_eq!(field(&text, "x-forwarded-for"), Some("192.0.2.9, 127.0.0.1"));
}
