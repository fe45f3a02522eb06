//! Which endpoint takes the next request: the less loaded of two, of which one goes round so that every endpoint gets its
//! turn (spec G2.10), and none that was tried in vain while there is another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::upstream::Upstream;

/// The endpoints of one backend; never empty.
pub(crate) struct Balance {
    upstreams: Box<[Arc<Upstream>]>,
    turn: AtomicUsize,
}

impl Balance {
    /// `None` when there is no endpoint. `start` is where the round begins.
    pub(crate) fn new(upstreams: Vec<Arc<Upstream>>, start: usize) -> Option<Self> {
        (!upstreams.is_empty()).then(|| Self { upstreams: upstreams.into(), turn: AtomicUsize::new(start) })
    }

    /// The endpoint for the next request; `tried` are those it could not be sent to before.
    pub(crate) fn choose(&self, tried: &[Arc<Upstream>]) -> &Arc<Upstream> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.upstreams.len();
        let first = &self.upstreams[turn % count];
        if tried.is_empty() {
            let second = &self.upstreams[(turn % count + 1 + mix(turn) % (count - 1).max(1)) % count];
            return if second.load() < first.load() { second } else { first };
        }
        let was_tried = |upstream: &Arc<Upstream>| tried.iter().any(|other| Arc::ptr_eq(other, upstream));
        let round = (0..count).map(|step| &self.upstreams[(turn + step) % count]);
        round.min_by_key(|upstream| (was_tried(upstream), upstream.load())).unwrap_or(first)
    }
}

/// Scatters numbers that follow on each other (the finalizer of splitmix64).
fn mix(turn: usize) -> usize {
    let mut mixed = (turn as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as usize
}

#[cfg(test)]
mod tests;
