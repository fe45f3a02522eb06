//! Messages of others on the wire: the query we send, whether a reply belongs to it, how long it may be kept, and how it
//! becomes the reply to a client.
//!
//! Works on the bytes; nothing is decoded that need not be. It cannot panic whatever the bytes are; a reply of more than
//! [`RECORDS_MAX`] records is no reply.

use kelson_zones::{Query, rcode, rtype};

/// Bytes of a message's header.
const HEADER: usize = 12;

/// Most records read in one reply.
const RECORDS_MAX: u32 = 4096;

/// What is asked, as far as it makes a difference to the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Lower-cased name, type and class, as in a message.
    pub bytes: Box<[u8]>,
    /// DNSSEC records are wanted.
    pub dnssec_ok: bool,
    /// Nobody upstream is to check signatures.
    pub checking_disabled: bool,
}

impl Question {
    /// The question of a client's query.
    pub fn of(query: &Query<'_>) -> Self {
        Self::about(query.name(), query)
    }

    /// The question of a client's query, about the name `wire` instead.
    pub fn about(wire: &[u8], query: &Query<'_>) -> Self {
        let bytes = [wire, &query.rtype.to_be_bytes(), &query.class.to_be_bytes()].concat().into();
        let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
        Self { bytes, dnssec_ok, checking_disabled: query.checking_disabled }
    }

    /// The message that asks it, under number `id`.
    pub fn message(&self, id: u16) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        let checking = if self.checking_disabled { 0x10 } else { 0 };
        let mut message = vec![high, low, 1, checking, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend_from_slice(&self.bytes);
        let size = u16::try_from(kelson_zones::UDP_REPLY_MAX).unwrap_or(u16::MAX).to_be_bytes();
        let dnssec_ok = if self.dnssec_ok { 0x80 } else { 0 };
        message.extend([&[0], &rtype::OPT.to_be_bytes()[..], &size, &[0, 0, dnssec_ok, 0, 0, 0]].concat());
        message
    }

    /// Whether `reply` answers it under number `id`: a response, to this question, and whole as far as it goes.
    pub fn is_answered_by(&self, id: u16, reply: &[u8]) -> bool {
        let end = HEADER + self.bytes.len();
        let Some(question) = reply.get(HEADER..end) else { return false };
        reply[..2] == id.to_be_bytes()
            && reply[2] & 0xf8 == 0x80
            && reply[4..6] == [0, 1]
            && question.eq_ignore_ascii_case(&self.bytes)
    }
}

/// Whether a reply says that it was cut.
pub(crate) fn is_cut(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// The response code, lower four bits.
pub(crate) fn code(reply: &[u8]) -> u8 {
    reply.get(3).map_or(rcode::FORMAT_ERROR, |flags| flags & 0x0f)
}

/// A reply as it was received, and where in it time passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    bytes: Box<[u8]>,
    /// Length of header and question.
    question_end: usize,
    /// Where TTLs stand.
    ttl_at: Box<[usize]>,
    /// Where the EDNS record begins when it is the last record; replies get our own or none.
    end: usize,
    /// Seconds it may be kept.
    pub ttl: u32,
}

impl Received {
    /// Reads a reply to `question`; `None` when its records cannot be walked through.
    pub fn read(bytes: Vec<u8>, question: &Question) -> Option<Self> {
        let question_end = HEADER + question.bytes.len();
        let mut at = question_end;
        let (mut ttl_at, mut least, mut end) = (Vec::new(), u32::MAX, bytes.len());
        let counts = [6, 8, 10].map(|offset| u32::from(u16_at(&bytes, offset).unwrap_or_default()));
        let total: u32 = counts.iter().sum();
        if total > RECORDS_MAX {
            return None;
        }
        for number in 0..total {
            let fixed = after_name(&bytes, at)?;
            let next = fixed + 10 + usize::from(u16_at(&bytes, fixed + 8)?);
            let kind = u16_at(&bytes, fixed)?;
            if kind != rtype::OPT {
                ttl_at.push(fixed + 4);
                least = least.min(keep_for(&bytes, kind, fixed, next)?);
            } else if number + 1 == total {
                end = at;
            }
            at = next;
        }
        let answered = counts[0] + counts[1] > 0;
        let ttl = if answered && least != u32::MAX { least } else { 0 };
        (at <= bytes.len()).then(|| Self {
            bytes: bytes.into(),
            question_end,
            ttl_at: ttl_at.into(),
            end,
            ttl,
        })
    }

    /// As it was received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The reply to `query`, `age` seconds after it was received, in at most `limit` bytes: the client's number, spelling
    /// and EDNS, less time to live. Cut to the question when it does not fit.
    pub fn reply_to(&self, query: &Query<'_>, age: u32, limit: usize) -> Vec<u8> {
        let mut reply = self.bytes[..self.end].to_vec();
        let strip = self.end < self.bytes.len();
        for at in &self.ttl_at {
            if let Some(field) = reply.get_mut(*at..at + 4) {
                let ttl = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
                field.copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
            }
        }
        if strip {
            set_u16(&mut reply, 10, u16_at(&self.bytes, 10).unwrap_or_default().saturating_sub(1));
        }
        dress(&mut reply, query);
        let opt = if strip || self.end == self.bytes.len() { edns_of_ours(query) } else { None };
        if reply.len() + opt.map_or(0, |opt| opt.len()) > limit {
            reply.truncate(self.question_end);
            reply[6..12].fill(0);
            reply[2] |= 0x02;
        }
        if let Some(opt) = opt {
            let count = u16_at(&reply, 10).unwrap_or_default().saturating_add(1);
            set_u16(&mut reply, 10, count);
            reply.extend(opt);
        }
        reply
    }
}

/// Gives a reply the client's number, flags and question; never authoritative.
fn dress(reply: &mut [u8], query: &Query<'_>) {
    reply[..2].copy_from_slice(&query.id);
    reply[2] = (reply[2] & 0x02) | 0x80 | u8::from(query.recursion_desired);
    reply[3] |= 0x80;
    if let Some(question) = reply.get_mut(HEADER..HEADER + query.question.len()) {
        question.copy_from_slice(query.question);
    }
}

fn edns_of_ours(query: &Query<'_>) -> Option<[u8; 11]> {
    let edns = query.edns?;
    let [high, low] = u16::try_from(kelson_zones::UDP_REPLY_MAX).unwrap_or(u16::MAX).to_be_bytes();
    Some([0, 0, 41, high, low, 0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0])
}

/// Seconds a record may be kept; an SOA in a negative reply also bounds by its minimum (RFC 2308 §5).
fn keep_for(bytes: &[u8], kind: u16, fixed: usize, next: usize) -> Option<u32> {
    let ttl = u32_at(bytes, fixed + 4)?;
    let minimum = if kind == rtype::SOA { u32_at(bytes, next.checked_sub(4)?)? } else { u32::MAX };
    Some(ttl.min(minimum))
}

/// Where the name at `at` ends.
fn after_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

fn set_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(pair) = bytes.get_mut(at..at + 2) {
        pair.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
