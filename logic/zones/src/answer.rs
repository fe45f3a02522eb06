//! Query to answer: what the zone knows, what it refuses, and what others must be asked (spec D2, CoreDNS' order).

use std::net::IpAddr;

use crate::name::{Labels, dashed, is_beneath, reversed};
use crate::node::Node;
use crate::query::{CLASS_IN, HEADER, Query, QueryError};
use crate::records::{RecordSet, pointer};
use crate::writer::{Section, Writer};
use crate::zone::Zone;
use crate::{Name, TCP_REPLY_MAX, UDP_REPLY_MAX, rcode, rtype};

/// Most aliases followed within the zone for one query.
const ALIASES_MAX: usize = 8;

/// Least a client takes over UDP (RFC 1035 §2.3.4), in bytes.
const UDP_REPLY_MIN: usize = 512;

/// How the query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram; a reply that does not fit is cut and says so.
    Udp,
    /// In a stream.
    Tcp,
}

/// A reply, written to the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its length in bytes.
    pub length: usize,
    /// Its response code.
    pub rcode: u8,
}

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered: send the reply.
    Reply(Reply),
    /// No name of ours: ask the node's resolvers.
    Forward,
    /// An alias that leads out of the zone: the reply says so far, to be completed with what the node's resolvers say
    /// about `target`; to be sent as it is if they say nothing.
    Chase {
        /// The reply so far.
        reply: Reply,
        /// The name to ask about.
        target: Name,
    },
    /// Nothing to be answered: send nothing.
    Ignore,
}

impl Zone {
    /// Answers `packet` into `out`. `random` chooses which of several records comes first (spec D1.14).
    pub fn answer(&self, packet: &[u8], transport: Transport, random: u64, out: &mut [u8]) -> Outcome {
        match Query::parse(packet) {
            Ok(query) => self.answer_query(&query, transport, random, out),
            Err(QueryError::Ignore) => Outcome::Ignore,
            Err(QueryError::Refuse(code)) => refuse(packet, code, out),
        }
    }

    /// Answers a parsed query into `out`.
    pub fn answer_query(
        &self,
        query: &Query<'_>,
        transport: Transport,
        random: u64,
        out: &mut [u8],
    ) -> Outcome {
        let Some(writer) = Writer::begin(query, limit(query, transport), out) else { return Outcome::Ignore };
        if query.edns.is_some_and(|edns| edns.version != 0) {
            return Outcome::Reply(Reply { length: writer.finish(query, 1), rcode: rcode::NO_ERROR });
        }
        if query.class != CLASS_IN || matches!(query.rtype, rtype::ANY | rtype::AXFR | rtype::IXFR) {
            return reply(writer, query, rcode::REFUSED);
        }
        match self.node(query.name()) {
            _ if !self.synced && self.is_ours(query.name()) => reply(writer, query, rcode::SERVER_FAILURE),
            Some(node) => self.answer_from(node, query, random, writer),
            None if is_beneath(query.name(), self.apex.wire()) => self.answer_unknown(query, writer),
            None if self.is_ours(query.name()) => self.negative(writer, query, rcode::NO_SUCH_NAME),
            None => Outcome::Forward,
        }
    }

    /// Whether nobody else can answer for `wire`: the zone itself, and reverse names of our own ranges.
    fn is_ours(&self, wire: &[u8]) -> bool {
        let in_range = |address: IpAddr| self.ranges.iter().any(|range| range.contains(address));
        is_beneath(wire, self.apex.wire()) || reversed(wire).is_some_and(in_range)
    }

    /// A name that exists: its records, its alias, or none of that type (spec D2.3).
    fn answer_from(&self, node: &Node, query: &Query<'_>, random: u64, mut writer: Writer<'_>) -> Outcome {
        if let Some(set) = node.set(query.rtype) {
            writer.authoritative();
            let complete = write_rotated(&mut writer, set, &pointer(HEADER), random);
            if query.rtype == rtype::SRV && complete {
                let extra = &node.extra.records;
                extra.iter().all(|record| writer.record(Section::Additional, record, &[]));
            }
            return reply(writer, query, rcode::NO_ERROR);
        }
        match node.set(rtype::CNAME) {
            Some(alias) if matches!(query.rtype, rtype::A | rtype::AAAA) => {
                self.follow(alias, query, random, writer)
            }
            _ => self.negative(writer, query, rcode::NO_ERROR),
        }
    }

    /// An alias: itself, and what it leads to as far as that lies in the zone (spec D1.9).
    fn follow(&self, alias: &RecordSet, query: &Query<'_>, random: u64, mut writer: Writer<'_>) -> Outcome {
        let mut owner = pointer(HEADER);
        let mut alias = alias;
        for _ in 0..ALIASES_MAX {
            let Some(record) = alias.iter().next() else { break };
            let content = writer.length() + owner.len() + 10;
            if !writer.record(Section::Answer, &owner, record) {
                writer.truncated();
                return reply(writer, query, rcode::NO_ERROR);
            }
            owner = pointer(content);
            let mut lower = [0; crate::name::NAME_MAX];
            let target = lower_case(&record[10..], &mut lower);
            let Some(node) = self.node(target) else {
                return self.follow_out(target, query, writer);
            };
            if let Some(set) = node.set(query.rtype) {
                writer.authoritative();
                write_rotated(&mut writer, set, &owner, random);
                return reply(writer, query, rcode::NO_ERROR);
            }
            match node.set(rtype::CNAME) {
                Some(next) => alias = next,
                None => return self.negative(writer, query, rcode::NO_ERROR),
            }
        }
        reply(writer, query, rcode::SERVER_FAILURE)
    }

    /// An alias to a name we do not hold: missing when it would be ours, else to be asked of others.
    fn follow_out(&self, target: &[u8], query: &Query<'_>, writer: Writer<'_>) -> Outcome {
        if self.is_ours(target) {
            return self.negative(writer, query, rcode::NO_SUCH_NAME);
        }
        let Some(target) = Name::from_wire(target) else {
            return reply(writer, query, rcode::SERVER_FAILURE);
        };
        let Outcome::Reply(reply) = self.authoritative_reply(writer, query) else { return Outcome::Ignore };
        Outcome::Chase { reply, target }
    }

    fn authoritative_reply(&self, mut writer: Writer<'_>, query: &Query<'_>) -> Outcome {
        writer.authoritative();
        reply(writer, query, rcode::NO_ERROR)
    }

    /// A name in the zone that no Service made: a pod's, or none.
    fn answer_unknown(&self, query: &Query<'_>, mut writer: Writer<'_>) -> Outcome {
        let Some(address) = self.pod_address(query.name()) else {
            return self.negative(writer, query, rcode::NO_SUCH_NAME);
        };
        let asked = if address.is_ipv4() { rtype::A } else { rtype::AAAA };
        if query.rtype != asked {
            return self.negative(writer, query, rcode::NO_ERROR);
        }
        let (record, length) = address_record(address, self.ttl);
        writer.record(Section::Answer, &pointer(HEADER), &record[..length]);
        self.authoritative_reply(writer, query)
    }

    /// The address spelled by `<ip-dashed>.<namespace>.pod.<zone>` when the namespace exists (spec D1.10).
    pub(crate) fn pod_address(&self, wire: &[u8]) -> Option<IpAddr> {
        let mut labels = Labels::of(wire);
        let first = labels.next()?;
        let namespace = labels.rest();
        let is_pod = labels.nth(1)? == b"pod" && labels.rest() == self.apex.wire();
        (self.pods && is_pod && self.node(namespace).is_some()).then(|| dashed(first)).flatten()
    }

    /// No record: SOA in the authority section (spec D2.11).
    fn negative(&self, mut writer: Writer<'_>, query: &Query<'_>, code: u8) -> Outcome {
        writer.authoritative();
        let apex = self.apex.wire();
        if is_beneath(query.name(), apex) {
            let offset = HEADER + query.name().len() - apex.len();
            writer.record(Section::Authority, &pointer(offset), &self.negative);
        } else {
            writer.record(Section::Authority, apex, &self.negative);
        }
        reply(writer, query, code)
    }
}

/// The record that says `address`, without its owner, and how long it is. No allocation.
fn address_record(address: IpAddr, ttl: u32) -> ([u8; 10 + 16], usize) {
    let mut record = [0; 10 + 16];
    let (kind, length) = if address.is_ipv4() { (rtype::A, 4_u8) } else { (rtype::AAAA, 16) };
    record[..2].copy_from_slice(&kind.to_be_bytes());
    record[2..4].copy_from_slice(&CLASS_IN.to_be_bytes());
    record[4..8].copy_from_slice(&ttl.to_be_bytes());
    record[9] = length;
    let end = 10 + usize::from(length);
    match address {
        IpAddr::V4(v4) => record[10..end].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => record[10..end].copy_from_slice(&v6.octets()),
    }
    (record, end)
}

/// The reply to a packet that cannot be parsed or answered: its header turned around, nothing else.
pub fn refuse(packet: &[u8], code: u8, out: &mut [u8]) -> Outcome {
    let (Some(header), Some(out)) = (packet.first_chunk::<HEADER>(), out.first_chunk_mut::<HEADER>()) else {
        return Outcome::Ignore;
    };
    *out = [header[0], header[1], 0x80 | (header[2] & 0x79), 0x80 | (code & 0x0f), 0, 0, 0, 0, 0, 0, 0, 0];
    Outcome::Reply(Reply { length: HEADER, rcode: code })
}

fn reply(mut writer: Writer<'_>, query: &Query<'_>, code: u8) -> Outcome {
    writer.rcode(code);
    Outcome::Reply(Reply { length: writer.finish(query, 0), rcode: code })
}

/// The most bytes the client takes.
fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match (transport, query.edns) {
        (Transport::Tcp, _) => TCP_REPLY_MAX,
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_size).clamp(UDP_REPLY_MIN, UDP_REPLY_MAX),
        (Transport::Udp, None) => UDP_REPLY_MIN,
    }
}

/// Writes a set beginning with a random record; as much of it as fits, and says when that is not all.
fn write_rotated(writer: &mut Writer<'_>, set: &RecordSet, owner: &[u8], random: u64) -> bool {
    let first = usize::try_from(random % u64::from(set.count.max(1))).unwrap_or_default();
    let rotated = set.iter().skip(first).chain(set.iter().take(first));
    for record in rotated {
        if !writer.record(Section::Answer, owner, record) {
            writer.truncated();
            return false;
        }
    }
    true
}

fn lower_case<'a>(wire: &[u8], lower: &'a mut [u8; crate::name::NAME_MAX]) -> &'a [u8] {
    let length = wire.len().min(lower.len());
    lower[..length].copy_from_slice(&wire[..length]);
    lower[..length].make_ascii_lowercase();
    &lower[..length]
}

#[cfg(test)]
mod tests;
