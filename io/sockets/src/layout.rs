//! Keys and values of the maps, byte for byte as `bpf/connect.c` declares them.

use std::net::SocketAddrV4;

/// An address and a port, in network byte order: what a Service port is asked for by, and what a backend is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: [u8; 4],
    port: [u8; 2],
    zero: u16,
}

impl From<SocketAddrV4> for Endpoint {
    fn from(at: SocketAddrV4) -> Self {
        Self { address: at.ip().octets(), port: at.port().to_be_bytes(), zero: 0 }
    }
}

/// What a Service port leads to: the backends `{id, 0}` to `{id, count - 1}`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub id: u64,
    pub count: u32,
    zero: u32,
}

impl Choice {
    pub fn new(id: u64, count: u32) -> Self {
        Self { id, count, zero: 0 }
    }

    /// The keys of its backends.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        (0..self.count).map(move |index| Slot { id: self.id, index, zero: 0 })
    }
}

/// The key of one backend.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    id: u64,
    index: u32,
    zero: u32,
}

// SAFETY: each is repr(C), of integers alone, without padding and valid for every bit pattern.
unsafe impl aya::Pod for Endpoint {}
// SAFETY: as above.
unsafe impl aya::Pod for Choice {}
// SAFETY: as above.
unsafe impl aya::Pod for Slot {}
