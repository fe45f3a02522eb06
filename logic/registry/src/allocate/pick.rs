//! Picks free numbers: a random start in the dynamic band, then onwards, then the static band (A5.3, A6.2).

use super::{Claim, Ranges};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

const TAKEN_IP: &str = "provided IP is already allocated";
const TAKEN_PORT: &str = "provided port is already allocated";
const FULL: &str = "range is full";

/// How many numbers of one range a single pick looks at; a range this full counts as full.
pub const LOOKS_MAX: u128 = 1 << 20;

/// One plan's picks.
pub struct Picker<'a> {
    ranges: &'a Ranges,
    taken: &'a dyn Fn(&Claim) -> bool,
    random: u64,
    /// What the old object holds: free to this Service.
    held: BTreeSet<Claim>,
    claims: BTreeSet<Claim>,
}

impl<'a> Picker<'a> {
    pub fn new(ranges: &'a Ranges, taken: &'a dyn Fn(&Claim) -> bool, random: u64) -> Self {
        Self { ranges, taken, random, held: BTreeSet::new(), claims: BTreeSet::new() }
    }

    pub fn holding(mut self, held: &BTreeSet<Claim>) -> Self {
        self.held.clone_from(held);
        self
    }

    pub fn ranges(&self) -> &'a Ranges {
        self.ranges
    }

    /// What was newly taken.
    pub fn claims(self) -> Vec<Claim> {
        self.claims.into_iter().collect()
    }

    /// The address the user asked for.
    pub fn take_address(&mut self, address: IpAddr) -> Result<IpAddr, String> {
        let claim = Claim::ClusterIp(address);
        if self.held.contains(&claim) {
            return Ok(address);
        }
        let Some(cidr) = self.ranges.service_cidrs.iter().find(|cidr| cidr.contains(address)) else {
            return Err("the provided network does not match the current range".to_owned());
        };
        if !cidr.usable(address) {
            return Err(format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {cidr}"
            ));
        }
        self.claim(claim).then_some(address).ok_or_else(|| TAKEN_IP.to_owned())
    }

    /// Any free address of a family.
    pub fn any_address(&mut self, ipv6: bool) -> Result<IpAddr, String> {
        let Some(cidr) = self.ranges.cidr(ipv6) else {
            return Err("the provided network does not match the current range".to_owned());
        };
        let free = self.any(cidr.bands(), |number| Claim::ClusterIp(cidr.address(number)));
        free.map(|number| cidr.address(number)).ok_or_else(|| FULL.to_owned())
    }

    /// The port the user asked for; twice in one plan is refused, as upstream's allocator does.
    pub fn take_port(&mut self, port: u16) -> Result<u16, String> {
        let claim = Claim::NodePort(port);
        if self.held.contains(&claim) {
            return Ok(port);
        }
        let (first, last) = self.ranges.node_ports;
        if !(first..=last).contains(&port) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            ));
        }
        self.claim(claim).then_some(port).ok_or_else(|| TAKEN_PORT.to_owned())
    }

    /// Any free port.
    pub fn any_port(&mut self) -> Result<u16, String> {
        let port = |number| u16::try_from(number).unwrap_or(u16::MAX);
        let free = self.any(self.ranges.port_bands(), |number| Claim::NodePort(port(number)));
        free.map(port).ok_or_else(|| FULL.to_owned())
    }

    /// Whether this plan has already claimed the port.
    pub fn has_port(&self, port: u16) -> bool {
        self.claims.contains(&Claim::NodePort(port))
    }

    fn claim(&mut self, claim: Claim) -> bool {
        !(self.taken)(&claim) && self.claims.insert(claim)
    }

    fn any(
        &mut self,
        (fixed, dynamic): (RangeInclusive<u128>, RangeInclusive<u128>),
        claim: impl Fn(u128) -> Claim,
    ) -> Option<u128> {
        let random = self.next_random();
        let upper = from_random(dynamic, random);
        let mut candidates = upper.chain(from_random(fixed, random)).take(LOOKS_MAX as usize);
        candidates.find(|number| {
            let claim = claim(*number);
            !self.held.contains(&claim) && self.claim(claim)
        })
    }

    /// The next of a sequence that starts at the caller's random number (splitmix64).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Every number of the range once, from a random one onwards and around.
fn from_random(range: RangeInclusive<u128>, random: u64) -> impl Iterator<Item = u128> {
    let (first, last) = range.into_inner();
    let size = (last + 1).saturating_sub(first);
    let start = if size == 0 { 0 } else { u128::from(random) % size };
    (0..size).map(move |step| first + (start + step) % size)
}
