//! Pods that Services have just stopped leading to: what a pod that is deleted right afterwards still has to wait for.
//!
//! A pod whose label is taken away and that is deleted in the next moment is in no table of its own node any more, but
//! may be in another's. Follows the node's snapshots and keeps, for each of its pods, as of when the last way was gone.
//! Invariant: what left longer ago than anything waits is forgotten.

use crate::drain::LONGEST;
use jiff::Timestamp;
use kelson_model::{PodRef, Revision, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The node's pods that a way was taken from lately.
#[derive(Debug, Default)]
pub struct Departures {
    seen: Arc<Snapshot>,
    left: BTreeMap<PodRef, (Timestamp, Revision)>,
}

impl Departures {
    /// Takes in the cluster as `node` knows it now; an older one than the last says nothing.
    pub fn see(&mut self, snapshot: &Arc<Snapshot>, node: &str, now: Timestamp) {
        if snapshot.generation <= self.seen.generation {
            return;
        }
        self.left.retain(|_, (at, _)| is_recent(*at, now));
        if self.seen.synced && snapshot.synced {
            let revision = moved(self.seen.revision, snapshot.revision);
            let left = snapshot.left_since(&self.seen, node).into_iter();
            self.left.extend(left.map(|pod| (pod.clone(), (now, revision))));
        }
        self.seen = snapshot.clone();
    }

    /// Since which revision a Service no longer leads to the pod, if one did lately.
    pub fn of(&self, pod: &PodRef, now: Timestamp) -> Option<Revision> {
        self.left.get(pod).filter(|(at, _)| is_recent(*at, now)).map(|(_, revision)| *revision)
    }
}

/// What is newer in `after`. The rest closed nothing, and other nodes may not hear that number for long.
fn moved(before: Revision, after: Revision) -> Revision {
    let newer = |before, after| if after > before { after } else { 0 };
    Revision {
        services: newer(before.services, after.services),
        endpoint_slices: newer(before.endpoint_slices, after.endpoint_slices),
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < LONGEST
}
