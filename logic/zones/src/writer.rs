//! A reply being written into the caller's buffer, never past its limit.

use crate::query::{HEADER, Query};
use crate::rtype;

/// Bytes of our EDNS record.
const OPT_LENGTH: usize = 11;

/// Where the counts of the sections stand in the header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    Answer = 6,
    Authority = 8,
    Additional = 10,
}

/// A reply under way: header and question are there, records are appended.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
    /// How far records may reach; room for EDNS is kept back.
    limit: usize,
}

impl<'a> Writer<'a> {
    /// Begins the reply to `query` in at most `limit` bytes; `None` when not even the question fits.
    pub fn begin(query: &Query<'_>, limit: usize, out: &'a mut [u8]) -> Option<Self> {
        let reserved = if query.edns.is_some() { OPT_LENGTH } else { 0 };
        let limit = limit.min(out.len()).checked_sub(reserved)?;
        let length = HEADER + query.question.len();
        if length > limit {
            return None;
        }
        let flags = 0x80 | u8::from(query.recursion_desired);
        let more_flags = 0x80 | if query.checking_disabled { 0x10 } else { 0 };
        out[..HEADER].copy_from_slice(&[query.id[0], query.id[1], flags, more_flags, 0, 1, 0, 0, 0, 0, 0, 0]);
        out[HEADER..length].copy_from_slice(query.question);
        Some(Self { out, length, limit })
    }

    /// Says that the answer comes from the zone itself.
    pub fn authoritative(&mut self) {
        self.out[2] |= 0x04;
    }

    /// Says that not everything fitted.
    pub fn truncated(&mut self) {
        self.out[2] |= 0x02;
    }

    /// The response code's lower four bits.
    pub fn rcode(&mut self, code: u8) {
        self.out[3] = (self.out[3] & 0xf0) | (code & 0x0f);
    }

    /// Appends a record of two parts and counts it; `false` when it does not fit.
    pub fn record(&mut self, section: Section, owner: &[u8], rest: &[u8]) -> bool {
        let end = self.length + owner.len() + rest.len();
        if end > self.limit {
            return false;
        }
        self.out[self.length..self.length + owner.len()].copy_from_slice(owner);
        self.out[self.length + owner.len()..end].copy_from_slice(rest);
        self.length = end;
        self.count(section);
        true
    }

    /// Bytes written so far.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Ends the reply, with our EDNS record when the client sent one; its length.
    pub fn finish(mut self, query: &Query<'_>, extended_rcode: u8) -> usize {
        if let Some(edns) = query.edns {
            self.limit += OPT_LENGTH;
            let [high, low] = u16::try_from(crate::UDP_REPLY_MAX).unwrap_or(u16::MAX).to_be_bytes();
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            let opt = [rtype::OPT.to_be_bytes(), [high, low], [extended_rcode, 0], [dnssec_ok, 0], [0, 0]];
            self.record(Section::Additional, &[0], opt.as_flattened());
        }
        self.length
    }

    fn count(&mut self, section: Section) {
        let at = section as usize;
        let count = u16::from_be_bytes([self.out[at], self.out[at + 1]]).saturating_add(1);
        self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }
}
