//! Who leads: the first, then whoever outwaits a silent holder; never two at once.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};

use super::{Candidate, LEASE, RENEW, RETRY, holder};
use crate::world::{Random, time};

fn lease(spec: &LeaseSpec) -> Lease {
    Lease { spec: Some(spec.clone()), ..Lease::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_leads_and_renews() {
    let mut first = Candidate::new("a");
    let taken = first.bid(None, seconds(0), time(0)).unwrap();
    assert_eq!(
        (holder(&taken), taken.lease_transitions, taken.lease_duration_seconds),
        (Some("a"), Some(0), Some(15))
    );
    let renewed = first.bid(Some(&lease(&taken)), seconds(2), time(2)).unwrap();
    assert_eq!((renewed.acquire_time.clone(), renewed.lease_transitions), (taken.acquire_time, Some(0)));
    assert_ne!(renewed.renew_time, taken.renew_time);
}

#[test]
fn another_waits_as_long_as_the_holder_said_by_its_own_clock() {
    let mut second = Candidate::new("b");
    let taken = Candidate::new("a").bid(None, seconds(0), time(0)).unwrap();
    // Its clock of the day is an hour ahead: that counts for nothing.
    assert_eq!(second.bid(Some(&lease(&taken)), seconds(100), time(3600)), None);
    assert_eq!(second.bid(Some(&lease(&taken)), seconds(114), time(3614)), None);
    let renewed = Candidate::new("a").bid(Some(&lease(&taken)), seconds(9), time(9)).unwrap();
    assert_eq!(second.bid(Some(&lease(&renewed)), seconds(114), time(3614)), None);
    assert_eq!(second.bid(Some(&lease(&renewed)), seconds(128), time(3628)), None);
    let won = second.bid(Some(&lease(&renewed)), seconds(129), time(3629)).unwrap();
    assert_eq!((holder(&won), won.lease_transitions), (Some("b"), Some(1)));
}

#[test]
fn who_goes_is_not_waited_for() {
    let mut first = Candidate::new("a");
    let taken = first.bid(None, seconds(0), time(0)).unwrap();
    let left = first.farewell(&lease(&taken), time(5)).unwrap();
    assert_eq!(holder(&left), None);
    let won = Candidate::new("b").bid(Some(&lease(&left)), seconds(0), time(6)).unwrap();
    assert_eq!((holder(&won), won.lease_transitions), (Some("b"), Some(1)));
    assert_eq!(first.farewell(&lease(&won), time(7)), None, "another's is left alone");
}

/// Three candidates, any of which may be cut off for any time: nobody who still believes to lead is joined by another.
#[test]
fn never_two_lead_at_once() {
    for seed in 1..=50 {
        let mut random = Random(seed);
        let mut candidates: Vec<Candidate> = ["a", "b", "c"].map(Candidate::new).into();
        let mut renewed: [Option<u64>; 3] = [None; 3];
        let mut cut = [0_u64; 3];
        let (mut stored, mut led): (Option<LeaseSpec>, usize) = (None, 0);
        for second in (0..4000).step_by(RETRY.as_secs() as usize) {
            for (index, candidate) in candidates.iter_mut().enumerate() {
                if random.below(40) == 0 {
                    cut[index] = second + random.below(60) as u64;
                }
                if cut[index] > second {
                    continue;
                }
                let bid =
                    candidate.bid(stored.as_ref().map(lease).as_ref(), seconds(second), time(second as i64));
                renewed[index] = bid.as_ref().map(|_| second);
                stored = bid.or(stored);
            }
            let believes = |at: &&Option<u64>| at.is_some_and(|at| second - at < RENEW.as_secs());
            let leaders = renewed.iter().filter(believes).count();
            assert!(leaders <= 1, "seed {seed}, second {second}: {renewed:?}");
            led += leaders;
        }
        assert!(led > 1000, "seed {seed}: hardly anybody ever led");
    }
    assert!(RENEW < LEASE);
}
