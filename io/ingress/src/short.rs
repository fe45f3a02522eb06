//! The short way: a request of the common kind, HTTP/1.1 from a client to a pod that speaks HTTP/1.1 without TLS.
//!
//! ```text
//! client ─ serve (heads, attempts) ─ exchange (both directions at once) ─ pod
//!            │ odd: HTTP/2, upgrades, redirects, other backends, whatever is malformed
//!            └──────────────────────────────────────────────────────────► hyper, with the bytes read so far
//! ```
//!
//! Invariant: nothing has been said or sent for a request that is handed to hyper, and a connection that was handed over
//! stays there. So each request has one reader, and every refusal is hyper's or the `service`'s.

mod buffer;
mod counted;
mod dates;
mod exchange;
mod lanes;
mod rewound;
mod serve;
mod upload;

pub(crate) use buffer::Desks;
pub(crate) use dates::Dates;
pub(crate) use lanes::Lanes;
pub(crate) use rewound::Rewound;
pub(crate) use serve::{Rest, Short};
