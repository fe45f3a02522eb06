//! Whether the proxy keeps up (C8.4): unhealthy once an update has been pending for too long, whatever the reason.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kelson_model::{Acknowledged, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long an update may be pending: twice kube-proxy's sync period.
const PENDING_MAX: Duration = Duration::from_secs(60);

/// What is known of the proxy's health; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    pending_since: Option<Instant>,
    updated: Timestamp,
    eligible: bool,
}

/// The state at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    pub healthy: bool,
    pub eligible: bool,
    /// When the proxy was last up to date.
    pub updated: Timestamp,
}

impl Health {
    /// Follows what is wanted and what is programmed, and whether balancers should send here at all, for as long as there
    /// is anything to follow.
    pub fn follow(
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut acknowledged: watch::Receiver<Acknowledged>,
        mut eligible: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Health {
        let state = State { pending_since: None, updated: kelson_process::now(), eligible: true };
        let health = Health(Arc::new(Mutex::new(state)));
        let told = health.clone();
        tasks.spawn(async move {
            loop {
                let wanted = {
                    let snapshot = snapshots.borrow_and_update();
                    Acknowledged { generation: snapshot.generation, revision: snapshot.revision }
                };
                let is_done = *acknowledged.borrow_and_update() == wanted;
                let eligible_now = *eligible.borrow_and_update();
                told.state().take_in(is_done, eligible_now, Instant::now(), kelson_process::now());
                let changed = tokio::select! {
                    changed = snapshots.changed() => changed,
                    changed = acknowledged.changed() => changed,
                    // Where nobody says otherwise any more, it stays as it is.
                    Ok(()) = eligible.changed() => Ok(()),
                };
                if changed.is_err() {
                    return;
                }
            }
        });
        health
    }

    /// The state now.
    pub fn report(&self) -> Report {
        self.state().report(Instant::now(), kelson_process::now())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

impl State {
    fn take_in(&mut self, is_done: bool, eligible: bool, now: Instant, time: Timestamp) {
        self.eligible = eligible;
        match is_done {
            true => (self.pending_since, self.updated) = (None, time),
            false => drop(self.pending_since.get_or_insert(now)),
        }
    }

    fn report(&self, now: Instant, time: Timestamp) -> Report {
        let healthy = self.pending_since.is_none_or(|since| now.duration_since(since) <= PENDING_MAX);
        let updated = if healthy { time } else { self.updated };
        Report { healthy, eligible: self.eligible, updated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_is_pending_too_long_is_unhealthy_c8_4() {
        let (now, then) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let mut state = State { pending_since: None, updated: then, eligible: true };
        state.take_in(false, true, now, then);
        state.take_in(false, true, now + Duration::from_secs(59), then);
        let later = Timestamp::from_second(70).unwrap();
        assert!(state.report(now + Duration::from_secs(60), later).healthy);
        let report = state.report(now + Duration::from_secs(61), later);
        assert_eq!(report, Report { healthy: false, eligible: true, updated: then });
        state.take_in(true, true, now + Duration::from_secs(62), later);
        assert!(state.report(now + Duration::from_secs(200), later).healthy, "nothing is pending");
    }
}
