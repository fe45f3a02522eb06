//! The compiled zone: every name that exists, by its wire form. Immutable; shared by all threads that answer.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use kelson_model::Cidr;

use crate::name::Name;
use crate::node::Node;

/// Names and what they hold. Persistent: the next zone shares what did not change.
pub(crate) type Names = GenericHashMap<Name, Arc<Node>, Keyed, DefaultSharedPtr>;

/// The cluster's zone at one generation.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The generation of the snapshot it was compiled from.
    pub generation: u64,
    /// Whether it says everything; until then its names are answered with SERVFAIL (spec D2.8).
    pub synced: bool,
    pub(crate) apex: Name,
    pub(crate) names: Names,
    /// The SOA record of negative answers, without its owner.
    pub(crate) negative: Box<[u8]>,
    pub(crate) ttl: u32,
    pub(crate) pods: bool,
    pub(crate) ranges: Arc<[Cidr]>,
}

impl Zone {
    /// The node of a name in lower-case wire form.
    pub(crate) fn node(&self, wire: &[u8]) -> Option<&Node> {
        self.names.get(wire).map(AsRef::as_ref)
    }

    /// How many names it holds.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it holds no name; never, once compiled.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Two zones are equal when they answer alike.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.generation == other.generation
            && self.synced == other.synced
            && self.apex == other.apex
            && self.negative == other.negative
            && self.names == other.names
    }
}

/// A keyed hash over names: a multiplication folded in half for each eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyed(pub u64);

impl BuildHasher for Keyed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0 ^ 0x9e37_79b9_7f4a_7c15)
    }
}

/// The hash under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded(u64);

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f);
        self.0 = u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default()
            ^ u64::try_from(product >> 64).unwrap_or_default();
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
    }

    fn write_usize(&mut self, length: usize) {
        self.fold(length as u64);
    }
}
