//! ExternalName backends that lead out of the cluster, answered by a name server of the test's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use kelson_ingress::NameServers;
use kelson_model::Exposure;
use tokio::net::{TcpListener, UdpSocket};

use crate::world::{World, config};

/// Answers every question with 127.0.0.<last>, kept for a second; counts questions.
struct NameServer {
    address: SocketAddr,
    last: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

async fn name_server(last: usize) -> NameServer {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (last, asked) = (Arc::new(AtomicUsize::new(last)), Arc::new(AtomicUsize::new(0)));
    let (answered, counted) = (last.clone(), asked.clone());
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut message = Message::from_vec(&buffer[..length]).unwrap();
            message.metadata.message_type = MessageType::Response;
            let name = message.queries[0].name().clone();
            if answered.load(Ordering::SeqCst) > 0 {
                let last = u8::try_from(answered.load(Ordering::SeqCst)).unwrap();
                message.answers =
                    vec![Record::from_rdata(name, 1, RData::A(A(Ipv4Addr::new(127, 0, 0, last))))];
                socket.send_to(&message.to_vec().unwrap(), client).await.unwrap();
            }
        }
    });
    NameServer { address, last, asked }
}

/// Listens on 127.0.0.<last>, port `port` (0: any), and answers with `name`.
async fn site(last: u8, port: u16, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            crate::backend::read_head(&mut stream).await;
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await;
        }
    });
    address
}

fn external(port: u16) -> String {
    crate::world::WEB.replace("number: 80", &format!("number: {port}"))
}

#[tokio::test]
async fn a_name_is_followed_and_followed_again() {
    let server = name_server(1).await;
    let here = site(1, 0, "here").await;
    site(2, here.port(), "there").await;
    let mut settings = config();
    settings.name_servers = NameServers::Fixed(vec![server.address]);
    let mut world = World::unsynced(settings).await;
    world.service("web", Exposure::ExternalName("my.database.example.com".into()), &[]);
    world.ingresses(&external(here.port()));
    for _ in 0..5 {
        assert_eq!(world.get("x", "/").await, (200, "here".to_owned()));
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "an answer is kept");
    server.last.store(2, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(world.get("x", "/").await, (200, "there".to_owned()));
    // The server falls silent: what was known goes on to count.
    server.last.store(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(world.get("x", "/").await, (200, "there".to_owned()));
}

/// Who may write a Service may not reach the node's own services by it.
#[tokio::test]
async fn a_name_may_not_lead_to_the_node_itself() {
    let server = name_server(1).await;
    let here = site(1, 0, "here").await;
    let mut settings = config();
    settings.local_names = false;
    settings.name_servers = NameServers::Fixed(vec![server.address]);
    let mut world = World::unsynced(settings).await;
    world.service("web", Exposure::ExternalName("inside.example.com".into()), &[]);
    world.ingresses(&external(here.port()));
    let expected = "502 Bad Gateway: its external name leads nowhere\n";
    assert_eq!(world.get("x", "/").await, (502, expected.to_owned()));
}

#[tokio::test]
async fn without_a_name_server_a_name_leads_nowhere() {
    let mut world = World::unsynced(config()).await;
    world.service("web", Exposure::ExternalName("my.database.example.com".into()), &[]);
    world.ingresses(&external(80));
    assert_eq!(world.get("x", "/").await.0, 502);
}
