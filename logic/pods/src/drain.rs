//! Draining: a pod on its way out is told to stop only when no node sends it new connections any more.
//!
//! `Drain` answers whether that is so, from what the node sees; `Life` waits for the answer, and then a moment for what
//! was sent just before. Invariants: a pod that no Service leads to waits for nothing; nothing waits longer than
//! [`LONGEST`] or a third of its grace, and a grace of a second or less is not waited with at all.

use crate::life::Life;
use crate::spec;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kelson_model::{Revision, Ways};

/// Longest wait for the nodes.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_secs(10);
/// What a request that was sent just before gets to be accepted and answered.
const SETTLE: SignedDuration = SignedDuration::from_millis(250);
/// Whoever gives no more grace than this, in seconds, wants the pod gone.
const HASTE: i64 = 1;

/// What a node sees of the ways to one of its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// How Services lead to the pod, as far as the node knows.
    pub ways: Ways,
    /// A Service chooses the pod and it is ready, so that a way may be under construction.
    pub expected: bool,
    /// Since when a Service no longer leads to the pod, if one did until a moment ago (`Departures`).
    pub left: Option<Revision>,
    /// What the node knows is as of here.
    pub seen: Revision,
    /// What every Ready node's data plane has applied.
    pub everywhere: Revision,
}

/// Follows the ways to a pod that is on its way out.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    waited: bool,
    closed_at: Option<Revision>,
}

impl Drain {
    /// Whether no node sends the pod new connections any more. Once the ways are seen closed, every node has to have
    /// come as far as what closed them.
    pub fn is_over(&mut self, sight: &Sight) -> bool {
        let slices = Revision { services: 0, ..sight.seen };
        let closed = match (sight.ways, sight.left) {
            (Ways::Open, _) => None,
            (Ways::Closed, _) => Some(slices),
            (Ways::None, _) if sight.expected => None,
            (Ways::None, None) if !self.waited => return true,
            // The Service or the slice itself went, which the nodes have to hear of all the same.
            (Ways::None, left) => left.or(Some(slices)),
        };
        self.waited = true;
        self.closed_at = self.closed_at.or(closed);
        self.closed_at.is_some_and(|closed| sight.everywhere.covers(closed))
    }
}

/// How far a life has come with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Nothing leads to the pod, or nobody looks.
    Unneeded,
    Waiting,
    Settling {
        since: Timestamp,
    },
}

impl Life {
    /// The node says whether new connections may still come.
    pub(crate) fn drained(&mut self, drained: bool, now: Timestamp) {
        self.drain = match (drained, self.drain) {
            (false, _) => Stage::Waiting,
            (true, Stage::Waiting) => Stage::Settling { since: now },
            (true, stage) => stage,
        };
    }
}

/// Until when hook and stop signal wait for the nodes to stop sending.
pub(crate) fn holds_back(life: &Life, pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let since = life.ending_since.filter(|_| pod.metadata.deletion_timestamp.is_some())?;
    let grace = spec::grace(pod);
    if grace <= HASTE {
        return None;
    }
    let end = later(since, LONGEST.min(SignedDuration::from_secs(grace) / 3));
    let until = match life.drain {
        Stage::Unneeded => return None,
        Stage::Waiting => end,
        Stage::Settling { since } => later(since, SETTLE).min(end),
    };
    Some(until).filter(|until| now < *until)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
