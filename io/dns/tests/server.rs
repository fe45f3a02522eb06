//! The server over real sockets on 127.0.0.1, with name servers of our own upstream, asked by hickory and by `dig`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use kelson_dns::{Config, DnsError, Server, Upstream, run};
use kelson_model::{Endpoint, Exposure, Service, ServiceName, Snapshot};
use kelson_process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);
const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn service(name: &str, exposure: Exposure, ip: Option<IpAddr>) -> Arc<Service> {
    Arc::new(Service {
        cluster_ips: ip.into_iter().collect(),
        ..Service::new(ServiceName::new("shop", name), exposure)
    })
}

fn snapshot(generation: u64, web: [u8; 4]) -> Arc<Snapshot> {
    let mut snapshot = Snapshot { generation, synced: true, ..Snapshot::default() };
    for service in [
        service("web", Exposure::ClusterIp, Some(web.into())),
        service("many", Exposure::Headless, None),
        service("out", Exposure::ExternalName("www.example.org".into()), None),
    ] {
        snapshot.services.insert(service.name.clone(), service);
    }
    let endpoint = |last: u8| Endpoint::new([10, 244, 0, last].into(), 80);
    snapshot.endpoints.insert(ServiceName::new("shop", "many").port(""), (1..=200).map(endpoint).collect());
    Arc::new(snapshot)
}

/// A running server and what drives it.
struct World {
    server: Server,
    address: SocketAddr,
    snapshots: watch::Sender<Arc<Snapshot>>,
    shutdown: Shutdown,
}

async fn start(upstream: Upstream) -> World {
    let (snapshots, receiver) = watch::channel(snapshot(1, [10, 96, 0, 1]));
    let world = start_with(receiver, snapshots, upstream).await;
    timeout(PATIENCE, world.server.synced()).await.unwrap();
    world
}

async fn start_with(
    receiver: watch::Receiver<Arc<Snapshot>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    upstream: Upstream,
) -> World {
    let config = Config { upstream, threads: 2, ..Config::new("cluster.local", [(LOCAL, 0).into()]) };
    let shutdown = Shutdown::new();
    let server = run(receiver, config, shutdown.clone()).await.unwrap();
    World { address: server.addresses()[0], server, snapshots, shutdown }
}

fn query(id: u16, name: &str) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

async fn ask(server: SocketAddr, name: &str) -> Message {
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(&query(9, name).to_vec().unwrap()).await.unwrap();
    let mut buffer = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("a reply").unwrap();
    let reply = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(reply.metadata.id, 9);
    reply
}

fn addresses(reply: &Message) -> Vec<String> {
    let mut addresses: Vec<_> = reply.answers.iter().map(|record| record.data.to_string()).collect();
    addresses.sort();
    addresses
}

/// An upstream server: what it sends back to each query, in order, over UDP; over TCP it answers as [`answer`].
async fn upstream<F>(reply: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Message) -> Vec<Message> + Send + 'static,
{
    // Port 0 gives a port that is free for TCP; somebody may hold it for UDP.
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind((LOCAL, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (tcp, udp);
        }
    };
    let address = tcp.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            for reply in reply(Message::from_vec(&buffer[..length]).unwrap()) {
                udp.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let reply = answer(&Message::from_vec(&query).unwrap(), [192, 0, 2, 99]).to_vec().unwrap();
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    (address, asked)
}

fn answer(query: &Message, address: [u8; 4]) -> Message {
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_desired = true;
    reply.add_query(query.queries[0].clone());
    reply.add_answer(Record::from_rdata(query.queries[0].name().clone(), 60, RData::A(A(address.into()))));
    reply
}

fn nobody() -> Upstream {
    Upstream::Servers(Vec::new())
}

const WEB: &str = "web.shop.svc.cluster.local.";
const MANY: &str = "many.shop.svc.cluster.local.";

#[tokio::test(flavor = "multi_thread")]
async fn servfail_until_synced_then_every_change_d2_8() {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let world = start_with(receiver, sender, nobody()).await;
    assert_eq!(ask(world.address, WEB).await.metadata.response_code, ResponseCode::ServFail);
    world.snapshots.send_replace(snapshot(1, [10, 96, 0, 1]));
    timeout(PATIENCE, world.server.synced()).await.unwrap();
    assert_eq!(addresses(&ask(world.address, WEB).await), ["10.96.0.1"]);
    world.snapshots.send_replace(snapshot(2, [10, 96, 0, 2]));
    timeout(PATIENCE, async {
        while addresses(&ask(world.address, WEB).await) != ["10.96.0.2"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the change arrives");
    let missing = ask(world.address, "nowhere.shop.svc.cluster.local.").await;
    assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_reads_it_and_falls_back_to_tcp_d1_14() {
    let world = start(nobody()).await;
    let dig = async |arguments: &[&str]| {
        let port = world.address.port().to_string();
        let mut command = tokio::process::Command::new("dig");
        command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+short"]).args(arguments);
        let output = command.output().await.expect("dig is installed");
        assert!(output.status.success(), "{output:?}");
        let mut lines: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(dig(&[WEB]).await, ["10.96.0.1"]);
    assert_eq!(dig(&["+tcp", WEB]).await, ["10.96.0.1"]);
    assert_eq!(dig(&["+noedns", MANY]).await.len(), 200, "cut over UDP, whole over TCP");
    let cut = ask(world.address, MANY).await;
    assert!(cut.metadata.truncation && !cut.answers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_answers_queries_sent_at_once_in_order() {
    let world = start(nobody()).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let mut sent = Vec::new();
    for (id, name) in [(1, WEB), (2, MANY), (3, WEB)] {
        let message = query(id, name).to_vec().unwrap();
        sent.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        sent.extend(message);
    }
    stream.write_all(&sent).await.unwrap();
    for (id, count) in [(1, 1), (2, 200), (3, 1)] {
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut reply = vec![0; usize::from(length)];
        stream.read_exact(&mut reply).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!((reply.metadata.id, reply.answers.len()), (id, count));
    }
}

/// RFC 7766 §6.2.1.1: what others have to be asked for holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn tcp_answers_out_of_order_when_others_must_be_asked() {
    let (server, _) = upstream(|query| vec![answer(&query, [192, 0, 2, 1])]).await;
    let world = start(Upstream::Servers(vec![server])).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let mut sent = Vec::new();
    for (id, name) in [(1, "slow.example.org."), (2, WEB), (3, "slower.example.org."), (4, WEB)] {
        let message = query(id, name).to_vec().unwrap();
        sent.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        sent.extend(message);
    }
    stream.write_all(&sent).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut order = Vec::new();
    while let Ok(Ok(length)) = timeout(PATIENCE, stream.read_u16()).await {
        let mut reply = vec![0; usize::from(length)];
        stream.read_exact(&mut reply).await.unwrap();
        order.push(Message::from_vec(&reply).unwrap().metadata.id);
    }
    assert_eq!(order[..2], [2, 4], "cluster names at once: {order:?}");
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3, 4], "and all of them, though the client will send nothing more");
}

/// The body and status of a page over a connection of its own.
async fn page(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: dns\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("a reply").unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_of_life_readiness_and_counters_d3_2() {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let any = || vec![(LOCAL, 0).into()];
    let config = Config {
        upstream: nobody(),
        metrics: any(),
        health: any(),
        ready: any(),
        ..Config::new("cluster.local", any())
    };
    let server = run(receiver, config, Shutdown::new()).await.unwrap();
    let [metrics, health, ready] = server.pages() else { panic!("three pages") };
    assert_eq!(page(*health, "/health").await, ("HTTP/1.1 200 OK".to_owned(), "OK".to_owned()));
    assert_eq!(page(*ready, "/ready").await.0, "HTTP/1.1 503 Service Unavailable");
    sender.send_replace(snapshot(1, [10, 96, 0, 1]));
    timeout(PATIENCE, server.synced()).await.unwrap();
    assert_eq!(page(*ready, "/ready").await.0, "HTTP/1.1 200 OK");
    ask(server.addresses()[0], WEB).await;
    let (_, text) = page(*metrics, "/metrics").await;
    assert!(text.contains("\ncoredns_dns_requests_total{"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_asked_upstream_once_for_all() {
    let (server, asked) = upstream(|query| vec![answer(&query, [192, 0, 2, 1])]).await;
    let world = start(Upstream::Servers(vec![server])).await;
    let clients = (0..20).map(|_| tokio::spawn(ask(world.address, "www.Example.org.")));
    for client in clients.collect::<Vec<_>>() {
        let reply = client.await.unwrap();
        assert_eq!(addresses(&reply), ["192.0.2.1"]);
        assert_eq!(reply.queries[0].name().to_string(), "www.Example.org.", "the client's spelling");
        assert!(!reply.metadata.authoritative);
    }
    ask(world.address, "WWW.example.org.").await;
    assert_eq!(asked.load(Ordering::Relaxed), 1, "one question for all, then kept");
    ask(world.address, "other.example.org.").await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let metrics = world.server.metrics().render();
    assert!(metrics.contains(&format!("coredns_forward_requests_total{{to=\"{server}\"}} 2")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_replies_are_passed_over() {
    let forge = |query: Message| {
        let mut wrong_id = answer(&query, [192, 0, 2, 66]);
        wrong_id.metadata.id = query.metadata.id.wrapping_add(1);
        let mut wrong_question = answer(&query, [192, 0, 2, 67]);
        wrong_question.queries = self::query(0, "evil.example.org.").queries;
        let not_a_reply = query.clone();
        vec![wrong_id, wrong_question, not_a_reply, answer(&query, [192, 0, 2, 1])]
    };
    let (server, _) = upstream(forge).await;
    let world = start(Upstream::Servers(vec![server])).await;
    assert_eq!(addresses(&ask(world.address, "www.example.org.").await), ["192.0.2.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_replies_are_asked_again_over_tcp() {
    let cut = |query: Message| {
        let mut reply = answer(&query, [192, 0, 2, 1]);
        reply.metadata.truncation = true;
        vec![reply]
    };
    let (server, _) = upstream(cut).await;
    let world = start(Upstream::Servers(vec![server])).await;
    assert_eq!(addresses(&ask(world.address, "www.example.org.").await), ["192.0.2.99"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_one_is_silent_or_fails() {
    let (silent, asked_silent) = upstream(|_| Vec::new()).await;
    let fail = |query: Message| {
        let mut reply = answer(&query, [192, 0, 2, 1]);
        reply.answers.clear();
        reply.metadata.response_code = ResponseCode::ServFail;
        vec![reply]
    };
    let (failing, _) = upstream(fail).await;
    let (good, _) = upstream(|query| vec![answer(&query, [192, 0, 2, 1])]).await;
    let world = start(Upstream::Servers(vec![silent, failing, good])).await;
    assert_eq!(addresses(&ask(world.address, "a.example.org.").await), ["192.0.2.1"]);
    ask(world.address, "b.example.org.").await;
    assert_eq!(asked_silent.load(Ordering::Relaxed), 1, "the one that answered is asked first from then on");
}

#[tokio::test(flavor = "multi_thread")]
async fn servfail_when_there_is_nobody_to_ask_and_never_ourselves() {
    let world = start(nobody()).await;
    assert_eq!(ask(world.address, "www.example.org.").await.metadata.response_code, ResponseCode::ServFail);
    let gone = Upstream::ResolvConf("/nowhere/resolv.conf".into());
    let world = start(gone).await;
    assert_eq!(ask(world.address, "www.example.org.").await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test(flavor = "multi_thread")]
async fn external_names_lead_outside_d1_9() {
    let (server, _) = upstream(|query| vec![answer(&query, [192, 0, 2, 1])]).await;
    let world = start(Upstream::Servers(vec![server])).await;
    let reply = ask(world.address, "out.shop.svc.cluster.local.").await;
    assert_eq!(addresses(&reply), ["192.0.2.1", "www.example.org."]);
    assert!(reply.metadata.authoritative);
    let world = start(nobody()).await;
    let reply = ask(world.address, "out.shop.svc.cluster.local.").await;
    assert_eq!(addresses(&reply), ["www.example.org."], "the alias alone when nobody knows the rest");
}

/// A client takes no reply from an address it did not ask.
#[tokio::test(flavor = "multi_thread")]
async fn replies_leave_from_the_address_that_was_asked() {
    let (upstream, _) = upstream(|query| vec![answer(&query, [192, 0, 2, 1])]).await;
    for (any, asked) in [("0.0.0.0", "127.0.0.7"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")] {
        let (_snapshots, receiver) = watch::channel(snapshot(1, [10, 96, 0, 1]));
        let listen = SocketAddr::new(any.parse().unwrap(), 0);
        let upstream = Upstream::Servers(vec![upstream]);
        let config = Config { upstream, threads: 1, ..Config::new("cluster.local", [listen]) };
        let server = run(receiver, config, Shutdown::new()).await.unwrap();
        timeout(PATIENCE, server.synced()).await.unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), server.addresses()[0].port());
        // From another loopback address, so that the system would choose another one to answer from.
        let from = if asked.is_ipv4() { "127.0.0.9" } else { "::1" };
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        for (name, expected) in [(WEB, "10.96.0.1"), ("www.example.org.", "192.0.2.1")] {
            socket.send_to(&query(9, name).to_vec().unwrap(), asked).await.unwrap();
            let mut buffer = [0; 4096];
            let (length, peer) =
                timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("a reply").unwrap();
            assert_eq!(peer, asked, "{name}");
            assert_eq!(addresses(&Message::from_vec(&buffer[..length]).unwrap()), [expected]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_gets_a_refusal_or_nothing_and_service_goes_on() {
    let world = start(nobody()).await;
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    socket.connect(world.address).await.unwrap();
    for packet in [&b"x"[..], &[0xff; 12], &[0; 1400], &[]] {
        socket.send(packet).await.unwrap();
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(addresses(&ask(world.address, WEB).await), ["10.96.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_kept() {
    let world = start(nobody()).await;
    ask(world.address, WEB).await;
    ask(world.address, "nowhere.shop.svc.cluster.local.").await;
    let metrics = world.server.metrics().render();
    let zone = "server=\"dns://:53\",zone=\"cluster.local.\",view=\"\"";
    assert!(
        metrics.contains(&format!("coredns_dns_requests_total{{{zone},proto=\"udp\",type=\"A\"}} 2")),
        "{metrics}"
    );
    assert!(
        metrics.contains(&format!("coredns_dns_responses_total{{{zone},rcode=\"NXDOMAIN\"")),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_everything_and_the_address_is_free_again() {
    let world = start(nobody()).await;
    let in_use = Config { upstream: nobody(), ..Config::new("cluster.local", [world.address]) };
    let again = |config| run(world.snapshots.subscribe(), config, Shutdown::new());
    let error = again(in_use.clone()).await.unwrap_err();
    assert!(matches!(error, DnsError::Listen { protocol: "tcp", .. }), "{error:?}");
    let idle = TcpStream::connect(world.address).await.unwrap();
    world.shutdown.cancel();
    timeout(PATIENCE, world.server.finished()).await.expect("everything ends");
    drop(idle);
    let shutdown = Shutdown::new();
    let server =
        run(world.snapshots.subscribe(), in_use, shutdown.clone()).await.expect("the address is free");
    shutdown.cancel();
    timeout(PATIENCE, server.finished()).await.expect("it ends again");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let (_sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let error = |config| {
        let receiver = receiver.clone();
        async { run(receiver, config, Shutdown::new()).await.unwrap_err().to_string() }
    };
    assert_eq!(error(Config::new("cluster.local", [])).await, "no address to listen on was given");
    assert_eq!(error(Config::new("a..b", [(LOCAL, 0).into()])).await, "cannot serve the zone");
    let foreign = error(Config::new("cluster.local", [([192, 0, 2, 1], 5353).into()])).await;
    assert!(foreign.starts_with("cannot listen on tcp 192.0.2.1:5353 (does another server"), "{foreign}");
}
