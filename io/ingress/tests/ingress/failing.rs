//! Backends that are not there, break off or say nothing: what is tried again, and what the client is told.

use std::net::SocketAddr;
use std::time::Duration;

use kelson_model::Exposure;

use crate::backend::Backend;
use crate::world::{World, body, config, status};

/// An address nobody listens on.
async fn closed() -> SocketAddr {
    Backend::echo("gone").await.address
}

async fn get(world: &World) -> u16 {
    world.get("x", "/").await.0
}

/// G2.1, G2.12.
#[tokio::test]
async fn what_cannot_be_served_has_its_status() {
    let mut world = World::unsynced(config()).await;
    assert_eq!(get(&world).await, 503, "the cluster is not known yet");
    world.publish();
    assert_eq!(get(&world).await, 404, "no rule");
    world.ingresses(crate::world::WEB);
    assert_eq!(
        world.get("x", "/").await,
        (503, "503 Service Unavailable: there is no such service\n".to_owned())
    );
    world.service("web", Exposure::ClusterIp, &[]);
    let expected = "503 Service Unavailable: the service has no ready endpoint\n";
    assert_eq!(world.get("x", "/").await, (503, expected.to_owned()));
    world.service("web", Exposure::ClusterIp, &[closed().await]);
    assert_eq!(get(&world).await, 502);
}

#[tokio::test]
async fn a_backend_that_says_nothing_gets_504() {
    let backend = Backend::echo("one").await;
    let mut config = config();
    config.limits.response_timeout = Duration::from_millis(200);
    let world = World::web(config, &[backend.address]).await;
    assert_eq!(world.get("x", "/slow/5000").await.0, 504);
    assert_eq!(backend.requests(), 1, "a timeout is not tried again");
}

#[tokio::test]
async fn what_is_no_http_gets_502() {
    let backend = Backend::scripted("nonsense\r\n\r\n").await;
    let world = World::web(config(), &[backend.address]).await;
    assert_eq!(get(&world).await, 502);
    assert_eq!(backend.requests(), 1, "nonsense is not asked for again");
    let unasked = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let backend = Backend::scripted(unasked).await;
    let world = World::web(config(), &[backend.address]).await;
    assert_eq!(get(&world).await, 502);
}

/// Nothing was sent to an endpoint that cannot be reached, so any request may go to another.
#[tokio::test]
async fn an_unreachable_endpoint_costs_no_request() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[closed().await, backend.address, closed().await]).await;
    for _ in 0..30 {
        assert_eq!(get(&world).await, 200);
    }
    let posted =
        world.raw("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(posted.ends_with("\n\nok"), "{posted}");
}

/// A request that may be sent twice is, elsewhere; one that may not is not, and reached a backend once.
#[tokio::test]
async fn only_what_may_be_sent_twice_is() {
    let (bad, good) = (Backend::scripted("").await, Backend::echo("good").await);
    let world = World::web(config(), &[bad.address, good.address]).await;
    for _ in 0..10 {
        assert_eq!(get(&world).await, 200);
    }
    assert!(bad.requests() > 0, "it was tried");

    let bad = Backend::scripted("").await;
    let world = World::web(config(), &[bad.address]).await;
    let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    assert_eq!(status(&world.raw(post).await), 502);
    assert_eq!(bad.requests(), 1);
    let put = "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    assert_eq!(status(&world.raw(put).await), 502);
    assert_eq!(bad.requests(), 2, "its body is gone, so it is not sent again");
}

/// A response that breaks off is never made to look whole.
#[tokio::test]
async fn a_response_that_breaks_off_is_seen_to() {
    let backend = Backend::scripted("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((status(&text), body(&text)), (200, "half"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let backend = Backend::scripted(chunked).await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
}

/// A backend that closes what it kept while we were away: the next request finds out without failing.
#[tokio::test]
async fn connections_closed_meanwhile_cost_nothing() {
    let backend = Backend::scripted("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let world = World::web(config(), &[backend.address]).await;
    for _ in 0..20 {
        let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let text = world.raw(post).await;
        assert!(text.ends_with("ok"), "{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
