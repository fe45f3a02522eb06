//! Which of several equal processes does the work: a Lease that one holds and renews, as upstream's components elect.
//!
//! Lease as read → the bid to make, or none. Beside the controllers: `kelson lb` runs on many nodes, and only one may give
//! addresses and answer for them. Invariant: whoever bids for a Lease that another holds has seen it unchanged, by its own
//! clock, for as long as the holder said; so clocks need not agree, only run alike. Never here: a request, a clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// How long a Lease that is not renewed binds the others (`--leader-elect-lease-duration`).
pub const LEASE: Duration = Duration::from_secs(15);
/// How long a holder may fail to renew before it must act as if it held nothing (`--leader-elect-renew-deadline`).
pub const RENEW: Duration = Duration::from_secs(10);
/// How often to renew, or to look (`--leader-elect-retry-period`).
pub const RETRY: Duration = Duration::from_secs(2);

/// One of those who want to lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: String,
    /// The Lease's record when it was last seen to change, and when that was by the candidate's own clock.
    seen: Option<(LeaseSpec, Duration)>,
}

impl Candidate {
    /// A candidate whose name no other has, in this life or a former one.
    pub fn new(identity: impl Into<String>) -> Self {
        Self { identity: identity.into(), seen: None }
    }

    /// What the Lease should say for the candidate to lead; `None` while another's holds. `elapsed` is a clock that never
    /// goes back, `now` the time of day.
    pub fn bid(&mut self, lease: Option<&Lease>, elapsed: Duration, now: Timestamp) -> Option<LeaseSpec> {
        let present = lease.map(|lease| lease.spec.clone().unwrap_or_default()).unwrap_or_default();
        let since = match &self.seen {
            Some((record, since)) if *record == present => *since,
            _ => elapsed,
        };
        self.seen = Some((present.clone(), since));
        let binding = u64::try_from(present.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let holds = elapsed < since + Duration::from_secs(binding);
        let is_free = holder(&present).is_none() || !holds;
        (is_free || self.is_own(&present)).then(|| self.record(&present, now))
    }

    fn record(&self, present: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let own = self.is_own(present);
        let acquired = present.acquire_time.clone().filter(|_| own).unwrap_or(MicroTime(now));
        // As upstream: a Lease never held before counts no transition.
        let earlier = present.lease_transitions.unwrap_or(0);
        let fresh = present.holder_identity.is_none() || own;
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: Some(acquired),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if fresh { earlier } else { earlier.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    /// What a holder that goes leaves behind: nobody has to wait for it. `None` if it holds nothing.
    pub fn farewell(&self, lease: &Lease, now: Timestamp) -> Option<LeaseSpec> {
        let present = lease.spec.as_ref().filter(|spec| self.is_own(spec))?;
        Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: present.lease_transitions,
            ..LeaseSpec::default()
        })
    }

    /// Whether the Lease names this candidate.
    pub fn is_own(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(self.identity.as_str())
    }
}

/// Who a Lease names, if anybody.
pub fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|identity| !identity.is_empty())
}

#[cfg(test)]
mod tests;
