//! Requests that go well: what the backend gets, what the client gets, and by how many connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kelson_model::Exposure;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::world::{World, body, config, field, read_until, status};

/// G2.11: the host and the client's fields are kept, what is about the connection is not, and who asks is told.
#[tokio::test]
async fn the_backend_gets_the_request() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world
        .raw("POST /a%20b?q=1 HTTP/1.1\r\nHost: Shop.example:8080\r\nUser-Agent: me\r\nX-Real-IP: 10.9.9.9\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert_eq!(status(&text), 200);
    assert_eq!(field(&text, "content-type"), Some("text/plain"));
    assert_eq!(field(&text, "server"), Some("one"));
    assert!(field(&text, "date").is_some());
    assert_eq!(field(&text, "x-hop"), None, "a response's hop-by-hop fields end here too");
    let echo = body(&text);
    assert!(echo.starts_with("one POST /a%20b?q=1\n"), "{echo}");
    assert!(echo.ends_with("\n\nhello"), "{echo}");
    let port = world.http.port().to_string();
    let expected = [
        ("host", Some("Shop.example:8080")),
        ("user-agent", Some("me")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("Shop.example:8080")),
        ("x-forwarded-port", Some(port.as_str())),
        ("x-real-ip", Some("127.0.0.1")),
        ("content-length", Some("5")),
        ("x-mine", None),
        ("connection", None),
    ];
    for (name, value) in expected {
        assert_eq!(field(echo, name), value, "{name}");
    }
}

/// A body of unknown length reaches the backend whole, also where the method seldom has one.
#[tokio::test]
async fn chunked_bodies_are_passed_on() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    for method in ["POST", "GET"] {
        let text = world
            .raw(&format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"))
            .await;
        assert!(text.ends_with("\n\nhello world"), "{text}");
        assert_eq!(field(body(&text), "transfer-encoding"), Some("chunked"));
    }
}

#[tokio::test]
async fn heads_alone_and_old_clients_are_served() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world.raw("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(field(&text, "content-length").unwrap().parse::<usize>().unwrap() > 0, "{text}");
    assert_eq!(body(&text), "");
    let text = world.raw("GET / HTTP/1.0\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
    let text =
        world.raw("GET http://b.example/p HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await;
    assert!(body(&text).starts_with("one GET /p\n"), "{text}");
    assert_eq!(field(body(&text), "host"), Some("b.example"));
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    for _ in 0..20 {
        client.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let head = read_until(&mut client, "\r\n\r\n").await;
        let length: usize = field(&head, "content-length").unwrap().parse().unwrap();
        let mut rest = vec![0; length];
        tokio::io::AsyncReadExt::read_exact(&mut client, &mut rest).await.unwrap();
    }
    assert_eq!(backend.requests(), 20);
    assert!(backend.connections() <= 2, "{} connections for one client", backend.connections());
}

/// G2.10.
#[tokio::test]
async fn every_endpoint_gets_requests() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let world = World::web(config(), &backends.each_ref().map(|backend| backend.address)).await;
    for _ in 0..30 {
        assert_eq!(world.get("x", "/").await.0, 200);
    }
    assert_eq!(backends.each_ref().map(Backend::requests), [10, 10, 10]);
}

/// G2.1, G2.2: hosts, wildcards and what no rule is for.
#[tokio::test]
async fn hosts_and_paths_decide() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let mut world = World::web(config(), &[one.address]).await;
    world.service("two", Exposure::ClusterIp, &[two.address]);
    world.ingresses(
        "
metadata: {namespace: shop, name: hosts}
spec:
  rules:
  - host: a.example
    http: {paths: [{path: /one, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
  - host: '*.wild.example'
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: two, port: {number: 80}}}}]}
",
    );
    let by = async |host: &str, path: &str| {
        let (status, body) = world.get(host, path).await;
        body.split(' ').next().filter(|_| status == 200).map_or(status.to_string(), str::to_owned)
    };
    assert_eq!(by("A.Example:8080", "/one/x").await, "one");
    assert_eq!(by("a.example", "/x/../one").await, "one");
    assert_eq!(by("a.example", "/oneself").await, "404");
    assert_eq!(by("x.wild.example", "/").await, "two");
    assert_eq!(by("x.y.wild.example", "/").await, "404");
    assert_eq!(by("wild.example", "/").await, "404");
}

/// Endpoints come and go under steady requests, each gone for good the moment the table says so; none fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_endpoints_change() {
    let mut world = World::web(config(), &[]).await;
    let mut backends: BTreeMap<u16, Backend> = BTreeMap::new();
    for _ in 0..3 {
        let backend = Backend::echo("pod").await;
        backends.insert(backend.address.port(), backend);
    }
    let told = |world: &mut World, backends: &BTreeMap<u16, Backend>| {
        let addresses: Vec<SocketAddr> = backends.values().map(|backend| backend.address).collect();
        world.service("web", Exposure::ClusterIp, &addresses);
    };
    told(&mut world, &backends);
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (done, address) = (done.clone(), world.http);
            tokio::spawn(async move {
                let mut answered = 0;
                while !done.load(Ordering::SeqCst) {
                    let line = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                    let text = crate::world::raw(address, line).await;
                    assert_eq!(status(&text), 200, "{text}");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for _ in 0..20 {
        let new = Backend::echo("pod").await;
        backends.insert(new.address.port(), new);
        let (_, old) = backends.pop_first().unwrap();
        drop(old);
        tokio::time::sleep(Duration::from_millis(10)).await;
        told(&mut world, &backends);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered > 100, "only {answered} requests");
}
