//! Which pod holds which address. Pure: no file, no kernel.
//!
//! Invariants: an address has at most one holder; a pod that asks again gets the address it holds; a released address is
//! handed out again only after every other free one, because the cursor walks the whole range before it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::address::Range;

/// What a pod holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The node's end of the pod's link.
    pub link: String,
    /// The file the pod's network namespace was bound to.
    pub netns: PathBuf,
}

/// The leases of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leases {
    range: Range,
    /// The address handed out last.
    cursor: Ipv4Addr,
    held: BTreeMap<String, Lease>,
    addresses: BTreeSet<Ipv4Addr>,
}

impl Leases {
    /// No leases yet. The gateway counts as handed out, so the first pod gets the second address.
    pub fn new(range: Range) -> Self {
        Self { range, cursor: range.first(), held: BTreeMap::new(), addresses: BTreeSet::new() }
    }

    /// Leases read back. `None` when two pods hold one address, or one lies outside the range.
    pub fn restore(range: Range, cursor: Ipv4Addr, held: BTreeMap<String, Lease>) -> Option<Self> {
        let addresses: BTreeSet<_> = held.values().map(|lease| lease.address).collect();
        let inside = |address: &Ipv4Addr| *address > range.first() && *address < range.last();
        let sound = addresses.len() == held.len() && addresses.iter().all(inside);
        let cursor = if inside(&cursor) { cursor } else { range.first() };
        sound.then_some(Self { range, cursor, held, addresses })
    }

    /// The address handed out last.
    pub fn cursor(&self) -> Ipv4Addr {
        self.cursor
    }

    /// Every lease, by pod uid.
    pub fn held(&self) -> &BTreeMap<String, Lease> {
        &self.held
    }

    /// The lease of `pod_uid`, made if it has none; `None` when every address is held.
    pub fn take(&mut self, pod_uid: &str, netns: &Path) -> Option<Lease> {
        if let Some(lease) = self.held.get_mut(pod_uid) {
            lease.netns = netns.to_owned();
            return Some(lease.clone());
        }
        let address = self.next_free()?;
        let lease = Lease { address, link: self.link_name(pod_uid), netns: netns.to_owned() };
        self.cursor = address;
        self.addresses.insert(address);
        self.held.insert(pod_uid.to_owned(), lease.clone());
        Some(lease)
    }

    /// Ends the lease of `pod_uid`.
    pub fn release(&mut self, pod_uid: &str) -> Option<Lease> {
        let lease = self.held.remove(pod_uid)?;
        self.addresses.remove(&lease.address);
        Some(lease)
    }

    /// The first free address after the cursor, around the range once.
    fn next_free(&self) -> Option<Ipv4Addr> {
        let (first, last) = (u32::from(self.range.first()) + 1, u32::from(self.range.last()) - 1);
        let after = u32::from(self.cursor) + 1;
        (after..=last)
            .chain(first..=last.min(after.saturating_sub(1)))
            .map(Ipv4Addr::from)
            .find(|address| !self.addresses.contains(address))
    }

    /// A name for the node's end of the pod's link: derived from the uid, never one that is in use.
    fn link_name(&self, pod_uid: &str) -> String {
        let taken: BTreeSet<&str> = self.held.values().map(|lease| lease.link.as_str()).collect();
        (0..=u64::MAX)
            .map(|salt| format!("{LINK_PREFIX}{:013x}", hash(pod_uid, salt) >> 12))
            .find(|name| !taken.contains(name.as_str()))
            .expect("there are more names than leases")
    }
}

/// How the names of the node's ends of pod links begin; 13 hexadecimal digits follow.
pub(crate) const LINK_PREFIX: &str = "kp";

/// FNV-1a of `text`, begun from `salt`.
pub(crate) fn hash(text: &str, salt: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt;
    text.bytes().fold(start, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests;
