//! Tables as nftables: sets, maps, chains and rules described as plain values, for `kelson-proxy` to encode.
//!
//! The layout keeps a change small and a look-up constant. A map leads from address, protocol and port to what happens
//! (a number) and to the *identity* of the Service port (its ClusterIP, protocol and port). A tiny verdict map leads
//! from the number to one chain *per backend count*, which draws a slot and looks the backend up under identity and
//! slot. So no chain belongs to a Service, no big map holds verdicts (each such element would make the kernel walk
//! the whole table again), and one endpoint is one or two elements, however many addresses the Service has.
//!
//! Values pass from look-up to look-up in registers within one rule, which nft's own language cannot write; so rules
//! are given as expressions. Whether a source is rewritten is decided from conntrack's original tuple, not from a
//! mark: no bit of the packet mark is anybody's but the user's.

mod chains;
mod keys;
mod layout;
mod sets;

pub use chains::{fixed_chains, pick_chain};
pub use layout::Layout;
pub use sets::{AFFINITY, AFFINITY_MAX, ENDPOINTS, FRONTENDS, NODE_PORTS, sets};

use crate::Family;

/// A register: the n-th of sixteen 32-bit words.
pub type Register = u32;

/// One step of a batch; a batch is applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make the table, unless it exists.
    AddTable,
    /// Remove the table and everything in it.
    DeleteTable,
    /// Make a set or map.
    AddSet(SetSpec),
    /// Make a chain.
    AddChain(Chain),
    /// Append a rule to a chain.
    AddRule(Rule),
    /// Add elements to a set; none may exist with another value.
    AddElements {
        /// The set.
        set: &'static str,
        /// The elements.
        elements: Vec<Element>,
    },
    /// Remove elements of a set; all must exist.
    DeleteElements {
        /// The set.
        set: &'static str,
        /// The elements, without values.
        elements: Vec<Element>,
    },
    /// Give a map back what rules had learned before it was made afresh.
    Restore {
        /// The map.
        map: &'static str,
        /// What they had learned.
        learned: Vec<Learned>,
    },
}

/// An element that rules learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// How long it lives when renewed.
    pub timeout_ms: u64,
    /// How long it still lives.
    pub left_ms: u64,
}

/// One part of a set's key or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An address of the table's family.
    Address,
    /// A transport protocol, in a word of its own.
    Protocol,
    /// A port, in a word of its own.
    Port,
    /// A number in the machine's byte order.
    Word,
    /// An interface's name, 16 bytes.
    Interface,
}

impl Field {
    /// Its length in bytes before padding to words.
    pub fn len(self, family: Family) -> u32 {
        match (self, family) {
            (Self::Address, Family::V4) | (Self::Word, _) => 4,
            (Self::Address, Family::V6) | (Self::Interface, _) => 16,
            (Self::Protocol, _) => 1,
            (Self::Port, _) => 2,
        }
    }
}

/// What a map holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing: it is a set.
    Nothing,
    /// These fields.
    Fields(&'static [Field]),
    /// Verdicts.
    Verdicts,
}

/// A set or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetSpec {
    /// Its name.
    pub name: &'static str,
    /// Its key.
    pub key: &'static [Field],
    /// Its value.
    pub holds: Holds,
    /// Keys are ranges (of the last field).
    pub interval: bool,
    /// Elements are added by rules and expire; at most so many.
    pub learned: Option<u32>,
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key, every field padded to words.
    pub key: Vec<u8>,
    /// The end of a range over several fields.
    pub key_end: Option<Vec<u8>>,
    /// Marks the first key after a range of one field.
    pub interval_end: bool,
    /// What the key leads to.
    pub value: Value,
}

/// An element's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A set's element has none, nor one that is only to be deleted.
    Nothing,
    /// Fields, padded to words.
    Bytes(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// Where evaluation goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Discard the packet.
    Drop,
    /// To another chain, not to return.
    Goto(String),
}

/// Where packets enter a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// As they arrive.
    Prerouting,
    /// On their way through the node.
    Forward,
    /// As the node itself sends them.
    Output,
    /// As they leave.
    Postrouting,
}

/// How a base chain hooks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whether it translates addresses (and sees only first packets) or filters.
    pub nat: bool,
    /// The hook.
    pub hook: Hook,
    /// Lower runs earlier.
    pub priority: i32,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// How it hooks in; `None` when only other chains lead to it.
    pub base: Option<Base>,
}

/// A rule: expressions evaluated in turn until one does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its chain.
    pub chain: String,
    /// Its expressions.
    pub expressions: Vec<Expr>,
}

/// A direction-less fact of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ct {
    /// Status bits, a word.
    Status,
    /// The address it was opened to, before translation.
    OriginalDestination,
    /// The port it was opened to, before translation.
    OriginalPort,
}

/// A field of the packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Destination port of TCP, UDP and SCTP.
    Port,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Equal.
    Is,
    /// Different.
    IsNot,
}

/// One expression of a rule. A look-up that finds nothing, and a test that fails, end the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Loads a header field.
    Payload(Header, Register),
    /// Loads the transport protocol.
    Protocol(Register),
    /// Loads the name of the interface the packet leaves by.
    OutInterface(Register),
    /// Loads a fact of the connection.
    Ct(Ct, Register),
    /// Loads the type of the destination address as this node's routing sees it.
    DestinationType(Register),
    /// Loads the type of the source address.
    SourceType(Register),
    /// Loads a constant.
    Immediate(Register, Vec<u8>),
    /// Keeps the bits of a word that are in the mask.
    Mask(Register, u32),
    /// Compares a register with a constant.
    Compare(Register, Test, Vec<u8>),
    /// Goes on only if the key is in the set.
    In(&'static str, Register),
    /// Goes on only if the key is not in the set.
    NotIn(&'static str, Register),
    /// Looks a key up and loads what it leads to.
    Lookup(&'static str, Register, Register),
    /// Looks a key up and follows the verdict.
    Follow(&'static str, Register),
    /// Draws a number from `offset` to `offset + modulus - 1`, each as likely.
    Random {
        /// How many numbers.
        modulus: u32,
        /// The first.
        offset: u32,
        /// Where it goes.
        to: Register,
    },
    /// Adds the key with its value, or only renews it if it is there.
    Learn {
        /// The map.
        map: &'static str,
        /// The key.
        key: Register,
        /// The value.
        value: Register,
        /// How long it lives.
        timeout_seconds: u32,
    },
    /// Removes the key, if it is there.
    Forget {
        /// The map.
        map: &'static str,
        /// The key.
        key: Register,
        /// The value, which does not count but must be given.
        value: Register,
    },
    /// Rewrites the destination.
    Dnat {
        /// The address.
        address: Register,
        /// The port.
        port: Register,
    },
    /// Rewrites the source to the address of the interface the packet leaves by, with a random port.
    Masquerade,
    /// Refuses with a TCP reset.
    Reset,
    /// Refuses with ICMP port unreachable.
    Unreachable,
    /// Ends the evaluation here.
    Verdict(Verdict),
}
