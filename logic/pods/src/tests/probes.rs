//! Probes by spec id.

use super::world::World;
use crate::{Action, ProbeKind, ProbeOutcome, Report};
use serde_json::{Value, json};

fn world(extra: Value) -> World {
    let mut container = json!({"name": "c", "image": "x:1"});
    container.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let mut world = World::new(json!({"containers": [container]}));
    world.settle();
    world
}

fn probed(world: &mut World, kind: ProbeKind, good: bool) {
    let outcome = if good { ProbeOutcome::Success } else { ProbeOutcome::Failure("boom".to_owned()) };
    world.report(Report::Probed { id: "c-0".to_owned(), kind, outcome });
    world.step();
}

/// Which probes come due when `seconds` have passed.
fn due(world: &mut World, seconds: i64) -> Vec<ProbeKind> {
    world.now = world.now.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time in range");
    let actions = world.step().actions.clone();
    world.pending.clear();
    actions
        .iter()
        .filter_map(|it| match it {
            Action::Probe { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect()
}

#[test]
fn f2_a_container_without_probes_is_ready_when_it_runs() {
    let world = world(json!({}));
    assert!(world.status("c").ready);
}

#[test]
fn f4_readiness_follows_its_thresholds() {
    let mut world = world(json!({"readinessProbe": {"failureThreshold": 2, "periodSeconds": 5}}));
    assert_eq!(world.condition("Ready"), "False ContainersNotReady containers with unready status: [c]");
    for (good, ready) in [(true, true), (false, true), (false, false), (false, false), (true, true)] {
        probed(&mut world, ProbeKind::Readiness, good);
        assert_eq!(world.status("c").ready, ready);
    }
    assert!(world.events().contains(&"Unhealthy: Readiness probe failed: boom".to_owned()));
    assert_eq!(world.status("c").restart_count, 0, "F7: readiness restarts nothing");
    assert_eq!(due(&mut world, 4), []);
    assert_eq!(due(&mut world, 1), [ProbeKind::Readiness]);
    assert_eq!(due(&mut world, 60), [], "one at a time");
}

#[test]
fn f1_the_first_probe_waits_for_the_initial_delay() {
    let mut world = world(json!({"readinessProbe": {"initialDelaySeconds": 7}}));
    assert_eq!(due(&mut world, 6), []);
    assert_eq!(due(&mut world, 1), [ProbeKind::Readiness]);
}

#[test]
fn f3_nothing_else_is_probed_before_the_startup_probe_succeeds() {
    let mut world = world(json!({"startupProbe": {}, "livenessProbe": {}, "readinessProbe": {}}));
    assert_eq!((world.status("c").started, world.status("c").ready), (Some(false), false));
    assert_eq!(due(&mut world, 100), [], "the startup probe is under way");
    probed(&mut world, ProbeKind::Startup, true);
    world.pending.clear();
    assert_eq!(world.status("c").started, Some(true));
    let asked: Vec<_> = world.last.actions.clone();
    assert_eq!(asked.len(), 2, "readiness and liveness at once: {asked:?}");
    assert_eq!(due(&mut world, 100), [], "the startup probe has had its say");
}

#[test]
fn f7_failing_liveness_restarts_with_its_own_grace() {
    let mut world =
        world(json!({"livenessProbe": {"failureThreshold": 2, "terminationGracePeriodSeconds": 5}}));
    probed(&mut world, ProbeKind::Liveness, false);
    assert_eq!(world.status("c").restart_count, 0);
    probed(&mut world, ProbeKind::Liveness, false);
    assert!(
        world.events().contains(&"Killing: Container c failed liveness probe, will be restarted".to_owned())
    );
    world.pending.retain(|it| !matches!(it, Action::Probe { .. }));
    let deadline = world.last.wake_at;
    assert_eq!(deadline, world.now.checked_add(jiff::SignedDuration::from_secs(5)).ok());
    world.settle();
    assert_eq!((world.state("c").as_str(), world.status("c").restart_count), ("Running", 1));
}

#[test]
fn f8_an_error_counts_neither_way() {
    let mut world = world(json!({"readinessProbe": {"failureThreshold": 1}}));
    probed(&mut world, ProbeKind::Readiness, true);
    let outcome = ProbeOutcome::Errored("rpc".to_owned());
    world.report(Report::Probed { id: "c-0".to_owned(), kind: ProbeKind::Readiness, outcome });
    world.step();
    assert!(world.status("c").ready);
    assert!(world.events().contains(&"Unhealthy: Readiness probe errored: rpc".to_owned()));
}

#[test]
fn f6_readiness_goes_on_while_the_pod_ends_liveness_does_not() {
    let mut world = world(json!({"livenessProbe": {}, "readinessProbe": {}}));
    probed(&mut world, ProbeKind::Readiness, true);
    probed(&mut world, ProbeKind::Liveness, true);
    world.delete(60);
    assert_eq!(due(&mut world, 20), [ProbeKind::Readiness]);
    assert!(world.status("c").ready);
    world.report(Report::Probed {
        id: "c-0".to_owned(),
        kind: ProbeKind::Readiness,
        outcome: ProbeOutcome::Success,
    });
    assert_eq!(due(&mut world, 20), [ProbeKind::Readiness]);
}

#[test]
fn f5_a_container_that_ended_is_not_ready() {
    let mut world = world(json!({"readinessProbe": {}}));
    probed(&mut world, ProbeKind::Readiness, true);
    world.exit("c-0", 1);
    world.step();
    assert!(!world.status("c").ready);
    world.settle();
    assert!(!world.status("c").ready, "the next run has to show itself ready");
}
