//! ARP packets for IPv4 on Ethernet (RFC 826): 28 bytes from anybody on the link, and what is said to them.
//!
//! Pure. Invariant: no bytes make it panic, and what it accepts encodes to the same 28 bytes.

use std::net::Ipv4Addr;

/// A hardware address.
pub type Hardware = [u8; 6];

/// Everybody on the link.
pub const BROADCAST: Hardware = [0xff; 6];
/// Bytes of a packet; links pad it, which is ignored.
pub const LENGTH: usize = 28;
/// Ethernet, IPv4, and the lengths of their addresses.
const HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Asking or telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has its address.
    Reply,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub operation: Operation,
    /// Who says it has `sender`.
    pub sender_hardware: Hardware,
    /// Its address; unspecified in a probe (RFC 5227).
    pub sender: Ipv4Addr,
    /// Who is told; of no meaning in a request.
    pub target_hardware: Hardware,
    /// The address asked for.
    pub target: Ipv4Addr,
}

impl Packet {
    /// The packet at the beginning of `bytes`; `None` for anything but IPv4 over Ethernet, and for senders no answer
    /// could reach.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
        let (head, rest) = bytes.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let (sender_hardware, rest) = rest.split_first_chunk::<6>()?;
        let (sender, rest) = rest.split_first_chunk::<4>()?;
        let (target_hardware, target) = rest.split_first_chunk::<6>()?;
        let operation = match u16::from_be_bytes(*operation) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return None,
        };
        // The lowest bit of the first byte marks a group, which nobody is.
        let is_somebody = sender_hardware[0] & 1 == 0 && *sender_hardware != [0; 6];
        (*head == HEAD && is_somebody).then_some(Self {
            operation,
            sender_hardware: *sender_hardware,
            sender: (*sender).into(),
            target_hardware: *target_hardware,
            target: target.first_chunk::<4>().copied()?.into(),
        })
    }

    /// The bytes of the packet.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        bytes[..6].copy_from_slice(&HEAD);
        bytes[6..8].copy_from_slice(&operation.to_be_bytes());
        bytes[8..14].copy_from_slice(&self.sender_hardware);
        bytes[14..18].copy_from_slice(&self.sender.octets());
        bytes[18..24].copy_from_slice(&self.target_hardware);
        bytes[24..].copy_from_slice(&self.target.octets());
        bytes
    }

    /// What tells the sender of this request that `hardware` has the address it asked for.
    pub fn answer(&self, hardware: Hardware) -> Self {
        Self {
            operation: Operation::Reply,
            sender_hardware: hardware,
            sender: self.target,
            target_hardware: self.sender_hardware,
            target: self.sender,
        }
    }

    /// What tells everybody that `hardware` has `address`. Both operations mean it; some listen to one of them only.
    pub fn announcement(operation: Operation, hardware: Hardware, address: Ipv4Addr) -> Self {
        let target_hardware = match operation {
            Operation::Request => [0; 6],
            Operation::Reply => BROADCAST,
        };
        Self { operation, sender_hardware: hardware, sender: address, target_hardware, target: address }
    }
}

#[cfg(test)]
mod tests;
