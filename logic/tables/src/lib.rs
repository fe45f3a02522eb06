//! Snapshot and node view → the tables a data plane programs, and what those tables do with a packet.
//!
//! On a packet's way this stands between `kelson-index` (objects → Snapshot) and `kelson-proxy` (tables → kernel).
//! [`select`] says which endpoints are usable, [`compile`] builds the [`Tables`], [`diff`] says what changed between
//! two of them, [`trace`] answers what they do with a flow, [`nft`] describes them as sets, maps and chains, and
//! [`connect`] says what of them may be translated before there is a packet. [`Checks`] are what a node answers balancers
//! about its endpoints.
//!
//! Invariants: the same snapshot and node give the same tables whatever came before; compiling never fails, what it
//! skips it says in [`Warning`]s; nothing here knows the kernel.

mod checks;
mod claims;
pub mod compile;
pub mod connect;
pub mod diff;
mod host_ports;
pub mod nft;
mod part;
pub mod select;
mod table;
pub mod trace;
mod warning;

pub use checks::{Check, Checks};
pub use compile::{Compiler, compile};
pub use diff::{Change, Changes, diff};
pub use select::{Selection, categorize};
pub use table::{
    Action, Family, Frontend, FrontendKey, FrontendKind, Masquerade, NodePortKey, NodeRules, Options, Pool,
    PoolKey, Scope, Tables,
};
pub use trace::trace;
pub use warning::Warning;

#[cfg(test)]
mod fixture;
