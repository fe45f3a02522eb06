//! When a pod on its way out gets no new connections any more, from what its node sees, moment by moment.

use crate::{Drain, Sight};
use kelson_model::{Revision, Ways};

/// A sight: the ways, whether one is expected, how far this node sees, how far every node's data plane is.
fn sight(ways: Ways, expected: bool, seen: u64, everywhere: u64) -> Sight {
    let revision = |endpoint_slices| Revision { services: 0, endpoint_slices };
    Sight { ways, expected, left: None, seen: revision(seen), everywhere: revision(everywhere) }
}

/// No way any more, and as of when that is.
fn left(services: u64, endpoint_slices: u64, seen: u64, everywhere: u64) -> Sight {
    let left = Some(Revision { services, endpoint_slices });
    Sight { left, ..sight(Ways::None, false, seen, everywhere) }
}

/// What is answered to one sight after another.
fn check(sights: &[(Sight, bool)]) {
    let mut drain = Drain::default();
    for (turn, (sight, expected)) in sights.iter().enumerate() {
        assert_eq!(drain.is_over(sight), *expected, "{turn}: {sight:?}");
    }
}

#[test]
fn it_is_over_once_every_node_has_applied_what_closed_the_ways() {
    check(&[
        (sight(Ways::Open, true, 10, 10), false),
        (sight(Ways::Closed, false, 12, 11), false),
        (sight(Ways::Closed, false, 20, 11), false),
        (sight(Ways::Closed, false, 20, 12), true),
    ]);
}

#[test]
fn a_pod_in_no_service_waits_for_nothing() {
    check(&[(sight(Ways::None, false, 10, 0), true)]);
}

#[test]
fn a_ready_pod_that_a_service_chooses_may_be_on_its_way_into_the_tables() {
    check(&[
        (sight(Ways::None, true, 10, 10), false),
        (sight(Ways::Open, true, 11, 10), false),
        (sight(Ways::Closed, true, 12, 12), true),
    ]);
}

#[test]
fn a_service_that_goes_meanwhile_has_to_be_gone_everywhere() {
    check(&[
        (sight(Ways::Open, true, 10, 10), false),
        (sight(Ways::None, false, 13, 12), false),
        (sight(Ways::None, false, 13, 13), true),
    ]);
}

#[test]
fn a_pod_taken_out_of_its_services_a_moment_before_is_waited_for_as_well() {
    check(&[(left(0, 12, 15, 11), false), (left(0, 12, 15, 12), true)]);
    check(&[(left(0, 12, 15, 12), true)]);
}

#[test]
fn a_service_that_went_a_moment_before_has_to_be_gone_everywhere() {
    let heard =
        |services| Sight { everywhere: Revision { services, endpoint_slices: 3 }, ..left(8, 0, 15, 3) };
    check(&[(heard(7), false), (heard(8), true)]);
    check(&[(sight(Ways::Open, true, 10, 10), false), (heard(7), false), (heard(8), true)]);
}
