//! Backends that speak HTTP/2 or TLS: what their Service's port says, what gRPC needs, and bodies that go both ways at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kelson_model::Exposure;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::backend::{Backend, read_head};
use crate::world::{PATIENCE, World, body, config, field, read_until, status};

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Says how it was asked, sends the request's body back as it comes, and says at the end how that went.
async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let told = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        format!("{name}={value}")
    };
    let authority = parts.uri.authority().map_or("-", |authority| authority.as_str());
    let text = format!(
        "{:?} {} {} authority={authority} {} {} {}\n",
        parts.version,
        parts.method,
        parts.uri.path(),
        told("te"),
        told("x-forwarded-proto"),
        told("transfer-encoding")
    );
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let body = body.map_frame(|frame| frame.map_data(|bytes| bytes));
    let head = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let frames = [head.boxed(), body.boxed(), trailing(trailers).boxed()];
    Ok(Response::new(BodyExt::boxed(InOrder(frames.into()))))
}

fn trailing(trailers: HeaderMap) -> impl Body<Data = Bytes, Error = hyper::Error> {
    StreamBody::new(stream::iter([Ok(Frame::trailers(trailers))]))
}

/// Bodies, one after the other.
struct InOrder(std::collections::VecDeque<BoxBody<Bytes, hyper::Error>>);

impl Body for InOrder {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        while let Some(first) = self.0.front_mut() {
            match std::task::ready!(std::pin::Pin::new(first).poll_frame(cx)) {
                Some(frame) => return std::task::Poll::Ready(Some(frame)),
                None => drop(self.0.pop_front()),
            }
        }
        std::task::Poll::Ready(None)
    }
}

/// A backend that speaks HTTP/2 alone, without TLS.
async fn h2c() -> Backend {
    Backend::start(Default::default(), async |stream: TcpStream| {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    })
    .await
}

/// A backend behind TLS with a certificate of its own making; speaks whatever ALPN says.
async fn tls() -> Backend {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
    Backend::start(Default::default(), move |stream: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        }
    })
    .await
}

/// An ingress whose Service's port says `protocol`.
async fn speaking(protocol: Option<&str>, backend: &Backend) -> World {
    let mut world = World::web(config(), &[]).await;
    world.service_speaking("web", Exposure::ClusterIp, &[backend.address], protocol);
    world
}

/// A client of HTTP/2 without TLS.
async fn client<B>(world: &World) -> SendRequest<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(world.http).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn call(world: &World) -> hyper::http::request::Builder {
    let uri = format!("http://{}/pkg.Service/Method", world.http);
    Request::post(uri).header("content-type", "application/grpc+proto").header("te", "trailers")
}

/// A2.14, KEP-3726: by HTTP/1.1 from the client, by HTTP/2 to the backend, all by one connection.
#[tokio::test]
async fn h2c_is_spoken_where_the_port_says_so() {
    let backend = h2c().await;
    let world = speaking(Some("kubernetes.io/h2c"), &backend).await;
    for _ in 0..5 {
        let (status, text) = world.get("shop.example", "/x").await;
        assert_eq!(status, 200, "{text}");
        let expected =
            "HTTP/2.0 GET /x authority=shop.example te=- x-forwarded-proto=http transfer-encoding=-";
        assert!(text.contains(expected), "{text}");
    }
    let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert!(world.raw(post).await.contains("\nhello"));
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(status(&world.raw(upgrade).await), 200, "nothing is upgraded on a connection for many");
    assert_eq!(status(&world.raw("GET / HTTP/1.0\r\n\r\n").await), 400, "HTTP/2 needs a host");
    assert_eq!(backend.connections(), 1);
}

/// A call that goes both ways, whatever the port says: each message is answered before the next is sent, and the status
/// comes after the last.
#[tokio::test]
async fn grpc_goes_both_ways_and_ends_with_its_status() {
    let backend = h2c().await;
    for protocol in [None, Some("kubernetes.io/h2c"), Some("http")] {
        let world = speaking(protocol, &backend).await;
        let (messages, mut sent) = mpsc::channel::<Bytes>(1);
        let sent = stream::poll_fn(move |cx| {
            sent.poll_recv(cx).map(|message| message.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))))
        });
        let request = call(&world).body(StreamBody::new(sent)).unwrap();
        let response = client(&world).await.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let first = next(&mut body).await.into_data().unwrap();
        let expected = format!("HTTP/2.0 POST /pkg.Service/Method authority={} te=trailers", world.http);
        assert!(first.starts_with(expected.as_bytes()), "{first:?}");
        for message in ["one", "two", "three"] {
            messages.send(message.into()).await.unwrap();
            assert_eq!(next(&mut body).await.into_data().unwrap(), message);
        }
        drop(messages);
        let trailers = next(&mut body).await.into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert!(body.frame().await.is_none());
    }
}

async fn next(body: &mut Incoming) -> Frame<Bytes> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("a frame comes in time");
    frame.expect("the body goes on").unwrap()
}

/// gRPC-Web is made for HTTP/1.1, and so is what is no gRPC.
#[tokio::test]
async fn other_requests_of_http_2_clients_go_by_http_1() {
    let backend = Backend::echo("one").await;
    let world = speaking(None, &backend).await;
    let mut client = client(&world).await;
    for kind in ["application/grpc-web", "application/json"] {
        let request = Request::post(format!("http://{}/x", world.http)).header("content-type", kind);
        let response = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{kind}");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.starts_with(b"one POST /x\n"), "{text:?}");
    }
}

/// More calls at once than one connection takes get another, and none is lost.
#[tokio::test]
async fn many_calls_share_few_connections() {
    let backend = h2c().await;
    let world = speaking(None, &backend).await;
    let clients = [client(&world).await, client(&world).await];
    let calls: Vec<_> = (0..150)
        .map(|number: usize| {
            let request = call(&world).body(Full::new(Bytes::from("x".repeat(number * 100)))).unwrap();
            let mut client = clients[number % 2].clone();
            tokio::spawn(async move {
                let response = client.send_request(request).await.unwrap();
                let body = response.into_body().collect().await.unwrap();
                assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
                assert!(body.to_bytes().ends_with("x".repeat(number * 100).as_bytes()));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert!((1..=2).contains(&backend.connections()), "{} connections", backend.connections());
}

/// A connection that the backend closed is replaced, and a call that nobody can answer says so.
#[tokio::test]
async fn a_backend_of_many_calls_may_go_and_come() {
    let closing = Arc::new(AtomicUsize::new(0));
    let counted = closing.clone();
    let backend = Backend::start(Default::default(), move |stream: TcpStream| {
        let counted = counted.clone();
        async move {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let mut serving =
                std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
            tokio::select! {
                _ = serving.as_mut() => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    serving.as_mut().graceful_shutdown();
                    let _ = serving.await;
                }
            }
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let world = speaking(None, &backend).await;
    let mut client = client(&world).await;
    for _ in 0..4 {
        let request = call(&world).body(Full::new(Bytes::from("x"))).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    assert!(closing.load(Ordering::SeqCst) >= 2 && backend.connections() >= 3);
    drop(backend);
    tokio::time::sleep(Duration::from_millis(70)).await;
    let request = call(&world).body(Full::new(Bytes::from("x"))).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 502);
}

/// `https` and `kubernetes.io/wss`: TLS to the pod, whose certificate nobody knows; HTTP/2 in it for gRPC alone.
#[tokio::test]
async fn tls_is_spoken_where_the_port_says_so() {
    let backend = tls().await;
    for protocol in ["https", "kubernetes.io/wss"] {
        let world = speaking(Some(protocol), &backend).await;
        for _ in 0..3 {
            let (status, text) = world.get("x", "/a").await;
            assert!(status == 200 && text.contains("HTTP/1.1 GET /a"), "{protocol}: {text}");
        }
        let request = call(&world).body(Full::new(Bytes::from("x"))).unwrap();
        let response = client(&world).await.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert!(body.to_bytes().starts_with(b"HTTP/2.0 POST"));
    }
    let plain = Backend::echo("one").await;
    let world = speaking(Some("https"), &plain).await;
    assert_eq!(world.get("x", "/").await.0, 502, "it speaks no TLS");
}

/// HTTP/1.1 both ways at once: a response that begins before its request has ended keeps neither from going on.
#[tokio::test]
async fn an_early_response_and_its_request_go_on_together() {
    let backend = Backend::start(Default::default(), async |mut stream: TcpStream| {
        assert!(read_head(&mut stream).await);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegun").await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let backend = backend.await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    let length = 4 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut client, "begun").await;
    let (mut reader, mut writer) = client.split();
    // More than sockets hold, and nothing is read meanwhile: the backend's echo waits, our sending must not for ever.
    let sending = async { writer.write_all(&vec![b'x'; length]).await };
    let mut echo = vec![0; length];
    let reading = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut seen = 0;
        while seen < length / 2 {
            seen += reader.read(&mut echo).await.unwrap();
        }
        seen
    };
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(sending, reading) }).await;
    let (sent, seen) = both.expect("neither stands still");
    assert!(sent.is_ok() && seen >= length / 2);
}

/// Each worker listens, and all serve the same table; another program's port is not joined.
#[tokio::test]
async fn every_worker_serves() {
    let backend = Backend::echo("one").await;
    let mut settings = config();
    settings.workers = 3;
    let world = World::web(settings.clone(), &[backend.address]).await;
    let asked = (0..60).map(|_| world.get("x", "/"));
    for (status, _) in futures_util::future::join_all(asked).await {
        assert_eq!(status, 200);
    }
    assert_eq!(backend.requests(), 60);
    settings.http = Some(world.http);
    settings.https = None;
    let (_, errors) = kelson_ingress::Listeners::bind(&settings).await;
    assert!(matches!(errors[..], [("http", _)]), "{errors:?}");
    let page = world.metrics();
    assert!(page.contains("kelson_ingress_requests_total{code=\"2xx\"} 60\n"), "{page}");
}

/// What is counted of requests, connections and tables, as it shows after they are over.
#[tokio::test]
async fn what_happens_is_counted() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    assert_eq!(world.get("x", "/").await.0, 200);
    let text = world.raw("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n").await;
    assert_eq!((status(&text), body(&text).is_empty()), (400, false));
    assert_eq!(field(&text, "content-type"), Some("text/plain; charset=utf-8"));
    drop(backend);
    assert_eq!(world.get("x", "/").await.0, 502);
    let expected = [
        "kelson_ingress_requests_total{code=\"2xx\"} 1",
        "kelson_ingress_requests_total{code=\"4xx\"} 1",
        "kelson_ingress_requests_total{code=\"5xx\"} 1",
        "kelson_ingress_request_duration_seconds_count 3",
        "kelson_ingress_requests_in_flight 0",
        "kelson_ingress_connections_total{scheme=\"http\"} 3",
        "kelson_ingress_upstream_connects_total{result=\"connected\"} 1",
        "kelson_ingress_upstream_failures_total{reason=\"unreachable\"} 1",
        "kelson_ingress_config_reloads_total 2",
    ];
    let page = world.metrics();
    for line in expected {
        assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
    }
}
