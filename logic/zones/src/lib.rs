//! Zones: a snapshot becomes a zone, a query becomes an answer. The DNS side of `compile`.
//!
//! ```text
//! Snapshot ─ Compiler (what changed) ► Arc<Zone>      query ─ Zone::answer ► reply | forward | chase
//! ```
//!
//! Records are written in wire form when the zone is compiled, keyed by the lower-cased wire name, so a query costs one
//! look-up and one copy and a miss costs the look-up alone: with `ndots:5` misses are the common case. Behaves as CoreDNS
//! does with kubeadm's Corefile (spec D1, D2, D3). Never allocates for a query, never panics whatever the packet holds,
//! knows no socket and no clock; random numbers are handed in.

mod answer;
mod compiler;
mod config;
mod known;
mod name;
mod node;
mod query;
mod records;
mod writer;
mod zone;

pub use answer::{Outcome, Reply, Transport, refuse};
pub use compiler::{BadDomain, Compiler};
pub use config::{PodRecords, ZoneConfig};
pub use known::Known;
pub use name::Name;
pub use query::{Edns, Query, QueryError};
pub use zone::Zone;

/// The most a reply over UDP may take whatever the client says it takes, in bytes (DNS flag day 2020).
pub const UDP_REPLY_MAX: usize = 1232;

/// The most a reply over TCP may take, in bytes.
pub const TCP_REPLY_MAX: usize = 65_535;

/// Response codes (RFC 1035 §4.1.1, RFC 6891 §9).
pub mod rcode {
    /// No error.
    pub const NO_ERROR: u8 = 0;
    /// The query could not be read.
    pub const FORMAT_ERROR: u8 = 1;
    /// The server could not answer.
    pub const SERVER_FAILURE: u8 = 2;
    /// There is no such name.
    pub const NO_SUCH_NAME: u8 = 3;
    /// This kind of request is not known here.
    pub const NOT_IMPLEMENTED: u8 = 4;
    /// The server does not answer this.
    pub const REFUSED: u8 = 5;
}

/// Record types (IANA DNS parameters).
pub mod rtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Alias.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Name of an address.
    pub const PTR: u16 = 12;
    /// Text.
    pub const TXT: u16 = 16;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Service location (RFC 2782).
    pub const SRV: u16 = 33;
    /// EDNS pseudo record (RFC 6891).
    pub const OPT: u16 = 41;
    /// Incremental zone transfer.
    pub const IXFR: u16 = 251;
    /// Zone transfer.
    pub const AXFR: u16 = 252;
    /// Every type.
    pub const ANY: u16 = 255;
}
