//! Looking where only looking helps: does somebody listen, does cluster DNS answer? Only on a node of the cluster, and
//! only what runs on that very node; from anywhere else the answers would be about another network.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use kelson_explain::{Connect, Facts, Resolved, Wanted, World};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lookup;

/// How long a program may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// Finds out what is wanted, as far as it can be from here.
pub async fn look(world: &World, wanted: Wanted) -> Facts {
    let here = nodes_here(world);
    if here.is_empty() {
        return Facts::default();
    }
    let connects = wanted.connects.into_iter().filter(|(_, node)| here.contains(node.as_str()));
    let mut tries = JoinSet::new();
    for (address, _) in connects {
        tries.spawn(async move { (address, connect(address).await) });
    }
    let names = match wanted.name_server {
        Some(server) => resolve(server, wanted.names).await,
        None => BTreeMap::new(),
    };
    Facts { connects: tries.join_all().await.into_iter().collect(), names }
}

/// The nodes whose address is this machine's.
fn nodes_here(world: &World) -> BTreeSet<&str> {
    let is_here = |node: &&k8s_openapi::api::core::v1::Node| {
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let mut internal = addresses.into_iter().filter(|address| address.type_ == "InternalIP");
        internal.any(|address| address.address.parse().is_ok_and(is_own))
    };
    world.nodes.iter().filter(is_here).filter_map(|node| node.metadata.name.as_deref()).collect()
}

/// Whether an address is this machine's: only those can be bound.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The port of name servers.
const DNS_PORT: u16 = 53;

async fn connect(address: SocketAddr) -> Connect {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Connect::Accepted,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Connect::Refused,
        _ => Connect::Silent,
    }
}

async fn resolve(server: IpAddr, names: Vec<String>) -> BTreeMap<String, Resolved> {
    let server = SocketAddr::new(server, DNS_PORT);
    let ask = move || names.into_iter().map(|name| (name.clone(), resolved(server, &name))).collect();
    tokio::task::spawn_blocking(ask).await.unwrap_or_default()
}

/// What cluster DNS says about a name's addresses of either family.
fn resolved(server: SocketAddr, name: &str) -> Resolved {
    let absolute = format!("{}.", name.trim_end_matches('.'));
    let mut addresses = Vec::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        match lookup::ask(server, &absolute, kind) {
            Ok(reply) if reply.metadata.response_code == ResponseCode::NXDomain => {
                return Resolved::NoSuchName;
            }
            Ok(reply) if reply.metadata.response_code == ResponseCode::NoError => {
                addresses.extend(found(&reply))
            }
            Ok(reply) => {
                return Resolved::Failed(format!("cluster DNS answers {}", reply.metadata.response_code));
            }
            Err(error) => return Resolved::Failed(format!("{error:#}")),
        }
    }
    Resolved::Addresses(addresses)
}

fn found(reply: &Message) -> impl Iterator<Item = IpAddr> {
    reply.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    })
}
