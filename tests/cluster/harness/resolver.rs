//! A name server outside the cluster: on the node's loopback, with a few names of its own, and a memory of what it was
//! asked.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use nix::sched::{CloneFlags, setns};

use super::Cluster;

/// Where it listens.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// Ends when dropped.
pub struct Resolver {
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    /// Listens in the cluster's namespace and knows these names; all others there are not.
    pub fn start(cluster: &Cluster, names: &[(&str, Ipv4Addr)]) -> Self {
        let names: Vec<(String, Ipv4Addr)> =
            names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let namespace = std::fs::File::open(format!("/run/netns/{}", cluster.node())).expect("the namespace");
        let (asked, over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (heard, end) = (asked.clone(), over.clone());
        let (listening, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // The thread alone moves; the test stays where it is.
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            let socket = UdpSocket::bind((ADDRESS, 53)).expect("nobody else listens there");
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("sockets have time-outs");
            listening.send(()).expect("the test waits");
            while !end.load(Ordering::Relaxed) {
                answer_one(&socket, &names, &heard);
            }
        });
        ready.recv().expect("it listens");
        Self { asked, over, thread: Some(thread) }
    }

    /// How often it was asked for `name`, whatever type.
    pub fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("no panic under the lock").iter().filter(|asked| *asked == name).count()
    }
}

fn answer_one(socket: &UdpSocket, names: &[(String, Ipv4Addr)], heard: &Mutex<Vec<String>>) {
    let mut buffer = [0; 1500];
    let Ok((length, peer)) = socket.recv_from(&mut buffer) else { return };
    let Ok(query) = Message::from_vec(&buffer[..length]) else { return };
    let question = query.queries[0].clone();
    let asked = question.name().to_ascii();
    heard.lock().expect("no panic under the lock").push(asked.clone());
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    match names.iter().find(|(name, _)| *name == asked) {
        Some((_, address)) if question.query_type() == RecordType::A => {
            let record = Record::from_rdata(question.name().clone(), 60, RData::A(A(*address)));
            reply.answers.push(record);
        }
        found => {
            let code = if found.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
            reply.metadata.response_code = code;
            let root = Name::from_ascii("test.").expect("a name");
            let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 600, 86_400, 60);
            reply.authorities.push(Record::from_rdata(root, 60, RData::SOA(soa)));
        }
    }
    let bytes = reply.to_vec().expect("a reply can be written");
    let _ = socket.send_to(&bytes, peer);
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
