//! What is remembered of ways that were taken from a node's pods.

use crate::Departures;
use jiff::{SignedDuration, Timestamp};
use kelson_model::{Endpoint, Exposure, PodRef, Revision, Service, ServiceName, Snapshot};
use std::sync::Arc;

fn pod() -> PodRef {
    PodRef { namespace: "shop".into(), name: "p".into() }
}

/// The cluster after so many changes, as of these versions, with a Service that leads to the pod or not.
fn snapshot(generation: u64, services: u64, endpoint_slices: u64, leads: bool) -> Arc<Snapshot> {
    let revision = Revision { services, endpoint_slices };
    let mut snapshot = Snapshot { generation, revision, synced: true, ..Snapshot::default() };
    let name = ServiceName::new("shop", "web");
    let service = Service::new(name.clone(), Exposure::ClusterIp);
    snapshot.services.insert(name.clone(), Arc::new(service));
    if leads {
        let at = Endpoint::new([10, 244, 0, 5].into(), 80);
        let endpoint = Endpoint { node: Some("here".into()), pod: Some(pod()), ..at };
        snapshot.endpoints.insert(name.port(""), [endpoint].into());
    }
    Arc::new(snapshot)
}

/// What is known of the pod so many seconds after the last of these snapshots, seen a second apart.
fn check(snapshots: &[Arc<Snapshot>], after_s: i64, expected: Option<Revision>) {
    let (mut departures, mut now) = (Departures::default(), Timestamp::UNIX_EPOCH);
    for snapshot in snapshots {
        now += SignedDuration::from_secs(1);
        departures.see(snapshot, "here", now);
    }
    assert_eq!(departures.of(&pod(), now + SignedDuration::from_secs(after_s)), expected);
}

#[test]
fn the_change_that_took_the_way_is_known_for_as_long_as_anything_waits() {
    let (led, free) = (snapshot(1, 4, 10, true), snapshot(2, 4, 12, false));
    let since = Some(Revision { services: 0, endpoint_slices: 12 });
    check(&[led.clone(), free.clone()], 0, since);
    check(&[led.clone(), free.clone(), snapshot(3, 4, 15, false)], 8, since);
    check(&[led.clone(), free], 10, None);
    check(&[led], 0, None);
}

#[test]
fn what_was_never_led_to_or_is_older_than_the_last_says_nothing() {
    let (led, free) = (snapshot(2, 4, 10, true), snapshot(1, 4, 8, false));
    check(std::slice::from_ref(&free), 0, None);
    check(&[led, free], 0, None);
    let unsynced = Arc::new(Snapshot { synced: false, ..Snapshot::clone(&snapshot(1, 4, 8, true)) });
    check(&[unsynced, snapshot(2, 4, 10, false)], 0, None);
}
