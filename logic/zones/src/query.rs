//! A query off the wire: header, the one question, EDNS. The only parser untrusted DNS bytes meet on the hot path.
//!
//! It cannot panic, allocates nothing and reads each byte once. Bounds: one question, no compressed name in it, at most
//! [`RECORDS_MAX`] records after it.

use crate::name::{LABEL_MAX, NAME_MAX};
use crate::{rcode, rtype};

/// Bytes of a message's header.
pub(crate) const HEADER: usize = 12;

/// Most records read through after the question, in search of EDNS.
const RECORDS_MAX: u16 = 16;

/// The Internet class.
pub(crate) const CLASS_IN: u16 = 1;

/// What the client's EDNS record says (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Largest UDP message the client takes, in bytes.
    pub udp_size: u16,
    /// EDNS version; only 0 is known.
    pub version: u8,
    /// Asks for DNSSEC records; repeated in the reply.
    pub dnssec_ok: bool,
}

/// A query, parsed.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The client's number for it.
    pub id: [u8; 2],
    /// Recursion desired.
    pub recursion_desired: bool,
    /// Checking disabled.
    pub checking_disabled: bool,
    /// The question's bytes: name, type, class; the name in the client's spelling.
    pub question: &'a [u8],
    /// Type asked for.
    pub rtype: u16,
    /// Class asked for.
    pub class: u16,
    /// EDNS, when the client speaks it.
    pub edns: Option<Edns>,
    /// The name in lower case, and how much of it counts.
    lower: ([u8; NAME_MAX], usize),
}

impl Query<'_> {
    /// The name asked for, lower-cased, in wire form.
    pub fn name(&self) -> &[u8] {
        &self.lower.0[..self.lower.1]
    }
}

/// Why a packet is no query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Too short to answer, or a response itself: answering it could go on for ever.
    Ignore,
    /// To be refused with this response code.
    Refuse(u8),
}

const FORMAT_ERROR: QueryError = QueryError::Refuse(rcode::FORMAT_ERROR);

impl<'a> Query<'a> {
    /// Parses a packet.
    pub fn parse(packet: &'a [u8]) -> Result<Self, QueryError> {
        let header: &[u8; HEADER] = packet.first_chunk().ok_or(QueryError::Ignore)?;
        if header[2] & 0x80 != 0 {
            return Err(QueryError::Ignore);
        }
        if header[2] & 0x78 != 0 {
            return Err(QueryError::Refuse(rcode::NOT_IMPLEMENTED));
        }
        if u16_at(header, 4) != Some(1) {
            return Err(FORMAT_ERROR);
        }
        let lower = lower_name(packet).ok_or(FORMAT_ERROR)?;
        let end = HEADER + lower.1 + 4;
        let question = packet.get(HEADER..end).ok_or(FORMAT_ERROR)?;
        let tail = |from| u16_at(question, lower.1 + from).ok_or(FORMAT_ERROR);
        let counts = [u16_at(header, 6), u16_at(header, 8), u16_at(header, 10)];
        Ok(Self {
            id: [header[0], header[1]],
            recursion_desired: header[2] & 1 != 0,
            checking_disabled: header[3] & 0x10 != 0,
            rtype: tail(0)?,
            class: tail(2)?,
            edns: edns(packet, end, counts.map(Option::unwrap_or_default))?,
            question,
            lower,
        })
    }
}

/// The question's name, lower-cased; `None` when it is compressed, too long or cut short.
fn lower_name(packet: &[u8]) -> Option<([u8; NAME_MAX], usize)> {
    let mut lower = [0; NAME_MAX];
    let mut at = 0;
    loop {
        let length = *packet.get(HEADER + at)?;
        if usize::from(length) > LABEL_MAX {
            return None;
        }
        *lower.get_mut(at)? = length;
        at += 1;
        if length == 0 {
            return Some((lower, at));
        }
        let label = packet.get(HEADER + at..HEADER + at + usize::from(length))?;
        for (to, from) in lower.get_mut(at..at + label.len())?.iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        at += label.len();
    }
}

/// The EDNS record among those after the question. Two of them are a format error (RFC 6891 §6.1.1).
fn edns(packet: &[u8], mut at: usize, counts: [u16; 3]) -> Result<Option<Edns>, QueryError> {
    let before = counts[0].saturating_add(counts[1]);
    let total = before.saturating_add(counts[2]);
    if total > RECORDS_MAX {
        return Err(FORMAT_ERROR);
    }
    let mut found = None;
    for number in 0..total {
        let fixed = after_name(packet, at).ok_or(FORMAT_ERROR)?;
        let field = |offset| u16_at(packet, fixed + offset).ok_or(FORMAT_ERROR);
        if number >= before && field(0)? == rtype::OPT {
            if found.is_some() || fixed != at + 1 {
                return Err(FORMAT_ERROR);
            }
            let [_, version] = field(4)?.to_be_bytes();
            found = Some(Edns { udp_size: field(2)?, version, dnssec_ok: field(6)? & 0x8000 != 0 });
        }
        at = fixed + 10 + usize::from(field(8)?);
        if at > packet.len() {
            return Err(FORMAT_ERROR);
        }
    }
    Ok(found)
}

/// Where the name at `at` ends; a compression pointer ends it.
fn after_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if usize::from(length) <= LABEL_MAX => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests;
