//! Who says what on which link, and when: answers to those who ask, announcements when something is new, and a defence
//! when somebody else claims an address that is ours (RFC 5227).
//!
//! Pure: time is a parameter. Invariants: what it knows and queues is bounded by links × addresses; it never speaks on a
//! link, or of an address, that it was not given last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::arp::{BROADCAST, Hardware, Operation, Packet};

/// An announcement may be lost: how long after one the next follows.
const REPEATS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// Announcements at once at most, and the pause before more: a network is not flooded.
const BURST: usize = 32;
const BREATH: Duration = Duration::from_millis(10);
/// An address is defended, and complained about, this often at most (RFC 5227's DEFEND_INTERVAL).
const DEFENCE_INTERVAL: Duration = Duration::from_secs(10);

/// A packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// By this link.
    pub link: u32,
    /// To whom.
    pub to: Hardware,
    /// What.
    pub packet: Packet,
}

/// What follows from a packet heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    None,
    /// Somebody asked.
    Answer(Frame),
    /// Somebody else, of this hardware address, claims the address in the frame; everybody is told again.
    Defend(Frame, Hardware),
}

/// What is known and still to be said.
#[derive(Debug, Default)]
pub struct Speaker {
    /// Links with a carrier, and their hardware addresses.
    links: BTreeMap<u32, Hardware>,
    addresses: BTreeSet<Ipv4Addr>,
    /// Announcements to come, with how many went before.
    queue: BTreeSet<(Instant, u32, Ipv4Addr, usize)>,
    /// Not before this, after a burst.
    rest_until: Option<Instant>,
    /// When each address was defended last.
    defended: BTreeMap<Ipv4Addr, Instant>,
}

impl Speaker {
    /// Speaks on `links` of `addresses` from now on, and announces what is new in either.
    pub fn update(&mut self, links: BTreeMap<u32, Hardware>, addresses: BTreeSet<Ipv4Addr>, now: Instant) {
        let is_old =
            |link: &u32| links.get(link).is_some_and(|hardware| self.links.get(link) == Some(hardware));
        self.queue.retain(|(_, link, address, _)| is_old(link) && addresses.contains(address));
        self.defended.retain(|address, _| addresses.contains(address));
        for link in links.keys() {
            let to_say =
                addresses.iter().filter(|address| !is_old(link) || !self.addresses.contains(address));
            self.queue.extend(to_say.map(|address| (now, *link, *address, 0)));
        }
        (self.links, self.addresses) = (links, addresses);
    }

    /// First and last of the addresses.
    pub fn span(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        Some((*self.addresses.first()?, *self.addresses.last()?))
    }

    /// What to say to a packet that came by `link`.
    pub fn hear(&mut self, link: u32, packet: &Packet, now: Instant) -> Reaction {
        let Some(hardware) = self.links.get(&link).copied() else { return Reaction::None };
        if self.links.values().any(|own| *own == packet.sender_hardware) {
            return Reaction::None;
        }
        if self.addresses.contains(&packet.sender) {
            return self.defend(link, hardware, packet, now);
        }
        if packet.operation == Operation::Request && self.addresses.contains(&packet.target) {
            let answer = packet.answer(hardware);
            return Reaction::Answer(Frame { link, to: packet.sender_hardware, packet: answer });
        }
        Reaction::None
    }

    fn defend(&mut self, link: u32, hardware: Hardware, packet: &Packet, now: Instant) -> Reaction {
        let address = packet.sender;
        if self.defended.get(&address).is_some_and(|last| now < *last + DEFENCE_INTERVAL) {
            return Reaction::None;
        }
        self.defended.insert(address, now);
        let packet_out = Packet::announcement(Operation::Request, hardware, address);
        Reaction::Defend(Frame { link, to: BROADCAST, packet: packet_out }, packet.sender_hardware)
    }

    /// When the next announcement is due.
    pub fn next(&self) -> Option<Instant> {
        let (due, ..) = self.queue.first()?;
        Some(self.rest_until.map_or(*due, |rest| rest.max(*due)))
    }

    /// The announcements that are due, as many as may go at once.
    pub fn due(&mut self, now: Instant) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.next().is_none_or(|next| next > now) {
            return frames;
        }
        while frames.len() < BURST
            && let Some(first) = self.queue.first().copied().filter(|(due, ..)| *due <= now)
        {
            self.queue.remove(&first);
            let (_, link, address, before) = first;
            if let Some(pause) = REPEATS.get(before) {
                self.queue.insert((now + *pause, link, address, before + 1));
            }
            let Some(hardware) = self.links.get(&link).copied() else { continue };
            frames.extend([Operation::Request, Operation::Reply].map(|operation| Frame {
                link,
                to: BROADCAST,
                packet: Packet::announcement(operation, hardware, address),
            }));
        }
        self.rest_until = Some(now + BREATH);
        frames
    }
}

#[cfg(test)]
mod tests;
