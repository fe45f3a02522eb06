//! What UDP and TCP share: from a packet to the bytes that answer it, at once or after asking others.

use std::sync::Arc;
use std::time::Instant;

use hickory_proto::op::Message;
use kelson_zones::{
    Name, Outcome, Query, QueryError, TCP_REPLY_MAX, Transport, UDP_REPLY_MAX, Zone, rcode, refuse,
};

use crate::forward::Forwarder;
use crate::message::{Question, code};
use crate::metrics::Shard;

/// Least a client takes over UDP, in bytes (RFC 1035).
const UDP_REPLY_MIN: usize = 512;

/// What others must be asked before a query can be answered.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The query as it is.
    Forward,
    /// The name an alias leads to; the reply so far comes with it.
    Chase { so_far: Vec<u8>, target: Name },
}

/// What becomes of a packet at once.
#[derive(Debug)]
pub(crate) enum Served {
    /// So many bytes of the buffer are the reply.
    Reply(usize),
    /// Others must be asked.
    Pending(Pending),
    /// Nothing is sent.
    Nothing,
}

/// Answers `packet` into `out` as far as the zone goes, and counts it.
pub(crate) fn serve(
    zone: &Zone,
    packet: &[u8],
    transport: Transport,
    random: u64,
    out: &mut [u8],
    shard: &Shard,
) -> Served {
    let query = match Query::parse(packet) {
        Ok(query) => query,
        Err(QueryError::Ignore) => return Served::Nothing,
        Err(QueryError::Refuse(code)) => return malformed(packet, code, transport, out, shard),
    };
    let outcome = zone.answer_query(&query, transport, random, out);
    let is_ours = matches!(outcome, Outcome::Reply(_) | Outcome::Chase { .. });
    shard.request(is_ours, transport, query.rtype, packet.len());
    if query.edns.is_some_and(|edns| edns.dnssec_ok) {
        shard.asked_for_dnssec();
    }
    match outcome {
        Outcome::Reply(reply) => {
            shard.response(true, transport, reply.rcode, reply.length);
            Served::Reply(reply.length)
        }
        Outcome::Chase { reply, target } => {
            Served::Pending(Pending::Chase { so_far: out[..reply.length].to_vec(), target })
        }
        Outcome::Forward => Served::Pending(Pending::Forward),
        Outcome::Ignore => Served::Nothing,
    }
}

fn malformed(packet: &[u8], code: u8, transport: Transport, out: &mut [u8], shard: &Shard) -> Served {
    match refuse(packet, code, out) {
        Outcome::Reply(reply) => {
            shard.request(false, transport, 0, packet.len());
            shard.response(false, transport, code, reply.length);
            Served::Reply(reply.length)
        }
        _ => Served::Nothing,
    }
}

/// Finishes what [`serve`] left pending by asking others. Empty when the packet is no query, which [`serve`] rules out.
pub(crate) async fn finish(
    forwarder: &Arc<Forwarder>,
    packet: &[u8],
    pending: Pending,
    transport: Transport,
    shard: &Shard,
) -> Vec<u8> {
    let began = Instant::now();
    let Ok(query) = Query::parse(packet) else { return Vec::new() };
    let limit = limit(&query, transport);
    let (is_ours, reply) = match pending {
        Pending::Forward => (false, forwarded(forwarder, packet, &query, limit).await),
        Pending::Chase { so_far, target } => (true, chased(forwarder, &query, so_far, &target, limit).await),
    };
    shard.response(is_ours, transport, code(&reply), reply.len());
    shard.took(is_ours, began.elapsed(), 1);
    reply
}

async fn forwarded(forwarder: &Arc<Forwarder>, packet: &[u8], query: &Query<'_>, limit: usize) -> Vec<u8> {
    match forwarder.resolve(&Question::of(query)).await {
        Ok((received, age)) => received.reply_to(query, age, limit),
        Err(reason) => {
            tracing::debug!(%reason, "not resolved");
            failure(packet, query)
        }
    }
}

/// The alias and what its target's servers say; the alias alone when they say nothing (spec D1.9).
async fn chased(
    forwarder: &Arc<Forwarder>,
    query: &Query<'_>,
    so_far: Vec<u8>,
    target: &Name,
    limit: usize,
) -> Vec<u8> {
    let question = Question::about(target.wire(), query);
    let Ok((received, _)) = forwarder.resolve(&question).await else { return so_far };
    joined(&so_far, received.bytes(), limit).unwrap_or(so_far)
}

/// One message of the alias and the records that answer its target; cut to the alias when that is too long.
fn joined(so_far: &[u8], resolved: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(so_far).ok()?;
    let resolved = Message::from_vec(resolved).ok()?;
    message.answers.extend(resolved.answers);
    message.metadata.response_code = resolved.metadata.response_code;
    let whole = message.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    let mut cut = so_far.to_vec();
    *cut.get_mut(2)? |= 0x02;
    Some(cut)
}

/// SERVFAIL with the question.
fn failure(packet: &[u8], query: &Query<'_>) -> Vec<u8> {
    let mut reply = packet[..12].to_vec();
    reply[2] = 0x80 | u8::from(query.recursion_desired);
    reply[3] = 0x80 | rcode::SERVER_FAILURE;
    reply[6..12].fill(0);
    reply.extend_from_slice(query.question);
    reply
}

/// The most bytes the client takes.
fn limit(query: &Query<'_>, transport: Transport) -> usize {
    match transport {
        Transport::Tcp => TCP_REPLY_MAX,
        Transport::Udp => {
            let size = query.edns.map_or(UDP_REPLY_MIN, |edns| usize::from(edns.udp_size));
            size.clamp(UDP_REPLY_MIN, UDP_REPLY_MAX)
        }
    }
}
