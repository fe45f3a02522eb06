//! UDP flows that would stick to a backend that is gone: found in conntrack and removed (spec C9).
//!
//! TCP and SCTP are never touched (spec C9.3); policies and topology do not count, only whether the backend still
//! serves the port (spec C9.2).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use kelson_model::Protocol;
use kelson_tables::{Change, Changes, Family, Frontend, FrontendKey, NodePortKey, PoolKey, Tables};

use crate::Error;
use crate::attributes::{Attributes, Head, Message, Writer};
use crate::encode::{DUMP, REQUEST, protocol_family};
use crate::socket::Socket;

/// Netfilter's conntrack subsystem, in a message's kind.
const CONNTRACK: u16 = 1 << 8;
const GET: u16 = CONNTRACK | 1;
const DELETE: u16 = CONNTRACK | 2;
const ACKNOWLEDGE: u16 = 4;

/// A flow as conntrack knows it.
struct Entry {
    protocol: u8,
    destination: SocketAddr,
    /// Who answers: the backend, or the address itself when nothing was translated.
    answering: SocketAddr,
    /// The original tuple as the kernel wrote it, to name the flow by.
    original: Vec<u8>,
}

/// Whether `changes` can have left UDP flows behind.
pub(crate) fn concerns(changes: &Changes) -> bool {
    fn differs<K>(change: &Change<K, std::sync::Arc<Frontend>>) -> bool {
        change.old.is_none() || change.new.is_none()
    }
    changes.frontends.iter().any(|c| c.key.protocol == Protocol::Udp && differs(c))
        || changes.node_ports.iter().any(|c| c.key.protocol == Protocol::Udp && differs(c))
        || changes.pools.iter().any(|c| {
            let serving = |pool: &Option<std::sync::Arc<kelson_tables::Pool>>| {
                pool.as_ref().map(|p| p.serving.clone()).unwrap_or_default()
            };
            serving(&c.old) != serving(&c.new)
        })
}

/// Removes the UDP flows that `tables`, reached by `changes`, leave without their backend; says how many.
pub(crate) fn clean(tables: &Tables, changes: &Changes) -> Result<usize, Error> {
    let gone = Gone::of(changes);
    let mut socket = Socket::open()?;
    let mut removed = 0;
    for family in [Family::V4, Family::V6] {
        let mut stale = Vec::new();
        socket.dump(&request(GET, DUMP, family, |_| {}), |message| {
            stale.extend(entry(message).filter(|e| is_stale(e, tables, &gone)));
        })?;
        for entry in stale {
            let delete = request(DELETE, ACKNOWLEDGE, family, |w| w.nest(1, |w| w.append(&entry.original)));
            let answers = socket.transact(&delete)?;
            removed += usize::from(answers.iter().all(|answer| answer.error == 0));
        }
    }
    Ok(removed)
}

/// The UDP addresses that lead nowhere any more.
struct Gone {
    frontends: BTreeSet<FrontendKey>,
    node_ports: BTreeSet<NodePortKey>,
}

impl Gone {
    fn of(changes: &Changes) -> Self {
        let frontends = changes.frontends.iter().filter(|c| c.new.is_none()).map(|c| c.key).collect();
        let node_ports = changes.node_ports.iter().filter(|c| c.new.is_none()).map(|c| c.key).collect();
        Self { frontends, node_ports }
    }
}

fn is_stale(entry: &Entry, tables: &Tables, gone: &Gone) -> bool {
    if entry.protocol != Protocol::Udp.number() {
        return false;
    }
    let (address, port) = (entry.destination.ip(), entry.destination.port());
    let protocol = Protocol::Udp;
    let frontend_key = FrontendKey { address, protocol, port };
    let node_port_key = NodePortKey { family: Family::of(address), protocol, port };
    let own = tables.node.addresses.contains(&address);
    let frontend =
        tables.frontends.get(&frontend_key).or_else(|| tables.node_ports.get(&node_port_key).filter(|_| own));
    match frontend {
        Some(frontend) => !serves(tables, frontend, entry.answering),
        None => {
            let was_ours =
                gone.frontends.contains(&frontend_key) || (own && gone.node_ports.contains(&node_port_key));
            was_ours && entry.answering != entry.destination
        }
    }
}

fn serves(tables: &Tables, frontend: &Frontend, backend: SocketAddr) -> bool {
    let key = PoolKey { service: frontend.service.clone(), family: Family::of(frontend.identity.address) };
    tables.pools.get(&key).is_some_and(|pool| pool.serving.binary_search(&backend).is_ok())
}

fn request(kind: u16, flags: u16, family: Family, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::default();
    let family = protocol_family(family);
    w.message(Head { kind, flags: REQUEST | flags, sequence: 1, family, resource: 0 }, body);
    w.into_bytes()
}

fn entry(message: &Message) -> Option<Entry> {
    let original = message.attributes().first(1)?;
    let (_, destination, protocol) = tuple(original)?;
    let (answering, _, _) = tuple(message.attributes().first(2)?)?;
    Some(Entry { protocol, destination, answering, original: original.to_vec() })
}

/// Source, destination and protocol of a tuple.
fn tuple(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr, u8)> {
    let (ip, proto) = (Attributes(Attributes(bytes).first(1)?), Attributes(Attributes(bytes).first(2)?));
    let v4 = |kind| ip.first(kind).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(IpAddr::from);
    let v6 = |kind| ip.first(kind).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(IpAddr::from);
    let port = |kind| proto.first(kind).and_then(|b| <[u8; 2]>::try_from(b).ok()).map(u16::from_be_bytes);
    let source = SocketAddr::new(v4(1).or_else(|| v6(3))?, port(2)?);
    let destination = SocketAddr::new(v4(2).or_else(|| v6(4))?, port(3)?);
    Some((source, destination, *proto.first(1)?.first()?))
}

#[cfg(test)]
mod tests;
