//! The end of a pod, by what ends it.

use super::world::{World, single};
use crate::{Action, HookKind, Report, StopSignal};
use serde_json::json;

/// The kinds of actions handed out by one step.
fn step(world: &mut World) -> Vec<String> {
    let actions = world.step().actions.clone();
    world.pending.clear();
    actions.iter().map(name).collect()
}

fn name(action: &Action) -> String {
    match action {
        Action::Signal { id, signal: StopSignal::Stop, .. } => format!("stop {id}"),
        Action::Signal { id, signal: StopSignal::Kill, .. } => format!("kill {id}"),
        Action::Hook { id, kind: HookKind::PreStop, limit_seconds, .. } => {
            format!("prestop {id} {limit_seconds}")
        }
        other => format!("{other:?}"),
    }
}

fn later(world: &mut World, seconds: i64) {
    world.now = world.now.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time in range");
}

#[test]
fn f12_sigterm_then_sigkill_at_the_end_of_the_grace() {
    let mut world = World::new(single());
    world.settle();
    world.delete(30);
    assert_eq!(step(&mut world), ["stop c-0"]);
    assert_eq!(world.events().last().map(String::as_str), Some("Killing: Stopping container c"));
    later(&mut world, 29);
    assert_eq!(step(&mut world), [""; 0]);
    later(&mut world, 1);
    assert_eq!(step(&mut world), ["kill c-0"]);
    assert_eq!(step(&mut world), [""; 0], "once");
}

#[test]
fn f12_the_prestop_hook_comes_first_and_leaves_two_seconds() {
    let mut world = World::new(
        json!({"containers": [{"name": "c", "image": "x:1", "lifecycle": {"preStop": {"sleep": {"seconds": 60}}}}]}),
    );
    world.settle();
    world.delete(10);
    assert_eq!(step(&mut world), ["prestop c-0 10"]);
    later(&mut world, 9);
    assert_eq!(step(&mut world), [""; 0]);
    later(&mut world, 1);
    assert_eq!(step(&mut world), ["stop c-0"], "a hook that overruns does not hold the signal back");
    later(&mut world, 1);
    assert_eq!(step(&mut world), [""; 0]);
    later(&mut world, 1);
    assert_eq!(step(&mut world), ["kill c-0"]);
}

#[test]
fn f12_a_failing_hook_is_told_and_the_signal_follows() {
    let mut world = World::new(
        json!({"containers": [{"name": "c", "image": "x:1", "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}]}),
    );
    world.settle();
    world.delete(10);
    step(&mut world);
    world.report(Report::HookDone {
        id: "c-0".to_owned(),
        kind: HookKind::PreStop,
        error: Some("no".to_owned()),
    });
    assert_eq!(step(&mut world), ["stop c-0"]);
    assert!(world.events().contains(&"FailedPreStopHook: PreStopHook failed".to_owned()));
}

#[test]
fn f12_sidecars_stop_after_the_main_containers_last_started_first() {
    let sidecar = |name: &str| json!({"name": name, "image": "x:1", "restartPolicy": "Always"});
    let mut world = World::new(
        json!({"initContainers": [sidecar("s1"), sidecar("s2")], "containers": [{"name": "c", "image": "x:1"}]}),
    );
    world.settle();
    world.delete(30);
    for id in ["c-0", "s2-0", "s1-0"] {
        assert_eq!(step(&mut world), [format!("stop {id}")]);
        world.exit(id, 143);
    }
}

#[test]
fn f12_a_shorter_grace_is_taken_up_on_the_way() {
    let mut world = World::new(single());
    world.settle();
    world.delete(30);
    step(&mut world);
    later(&mut world, 5);
    world.delete(1);
    assert_eq!(step(&mut world), ["kill c-0"]);
}

#[test]
fn f13_f14_the_last_word_reaches_the_api_before_the_object_goes() {
    let mut world = World::new(single());
    world.settle();
    world.writes = false;
    world.delete(30);
    step(&mut world);
    world.exit("c-0", 0);
    assert_eq!(step(&mut world), ["StopSandbox"]);
    assert_eq!(world.phase(), "Succeeded");
    world.report(Report::SandboxGone);
    assert_eq!(step(&mut world), ["UnmountVolumes"]);
    world.report(Report::VolumesGone);
    assert_eq!(step(&mut world), [""; 0], "the status is not written yet");
    let status = world.last.status.clone();
    world.report(Report::Written(Box::new(status)));
    assert_eq!(step(&mut world), ["DeletePod"]);
    assert_eq!(step(&mut world), [""; 0], "once");
    world.report(Report::Gone);
    assert!(world.step().finished);
}

#[test]
fn a_pod_deleted_before_it_ran_fails() {
    let mut world = World::new(single());
    world.step();
    world.pending.clear();
    world.report(Report::VolumesMounted);
    world.delete(30);
    world.settle();
    assert_eq!(
        (world.phase(), world.state("c").as_str(), world.last.finished),
        ("Failed", "Waiting:ContainerCreating", true)
    );
}

#[test]
fn f13_a_pod_gone_from_the_api_is_ended_without_telling() {
    let mut world = World::new(single());
    world.settle();
    world.report(Report::Gone);
    world.settle();
    assert!(world.last.finished);
    assert!(world.runs.values().all(|run| run.exit().is_some()));
}

#[test]
fn a_start_that_is_under_way_is_awaited() {
    let mut world = World::new(single());
    world.report(Report::VolumesMounted);
    world.report(Report::SandboxReady { ips: Vec::new() });
    world.step();
    let pending = std::mem::take(&mut world.pending);
    world.delete(30);
    assert_eq!(step(&mut world), [""; 0]);
    world.answer(pending[0].clone());
    assert_eq!(step(&mut world), ["stop c-0"]);
}

fn later_ms(world: &mut World, ms: i64) {
    world.now = world.now.checked_add(jiff::SignedDuration::from_millis(ms)).expect("a time in range");
}

/// A pod told to go while nodes may still send it connections.
fn undrained(spec: serde_json::Value, grace: i64) -> World {
    let mut world = World::new(spec);
    world.settle();
    world.delete(grace);
    world.report(Report::Drained(false));
    world
}

#[test]
fn sigterm_never_comes_before_the_tables_have_it_and_a_moment_after() {
    let mut world = undrained(single(), 60);
    assert_eq!(step(&mut world), [""; 0]);
    assert_eq!(world.events().last().map(String::as_str), Some("Killing: Stopping container c"));
    later(&mut world, 9);
    assert_eq!(step(&mut world), [""; 0]);
    world.report(Report::Drained(true));
    assert_eq!(step(&mut world), [""; 0]);
    later_ms(&mut world, 249);
    world.report(Report::Drained(true));
    assert_eq!(step(&mut world), [""; 0], "being told twice starts no new moment");
    later_ms(&mut world, 1);
    assert_eq!(step(&mut world), ["stop c-0"]);
}

#[test]
fn a_pod_nobody_drains_is_stopped_after_ten_seconds_or_a_third_of_its_grace() {
    for (grace, wait) in [(60, 10), (30, 10), (12, 4), (3, 1)] {
        let mut world = undrained(single(), grace);
        assert_eq!(step(&mut world), [""; 0]);
        later_ms(&mut world, wait * 1000 - 1);
        assert_eq!(step(&mut world), [""; 0], "{grace}");
        later_ms(&mut world, 1);
        assert_eq!(step(&mut world), ["stop c-0"], "{grace}");
    }
}

#[test]
fn a_pod_deleted_in_haste_is_not_drained() {
    for grace in [0, 1] {
        let mut world = undrained(single(), grace);
        assert_eq!(step(&mut world), ["stop c-0"], "{grace}");
    }
}

#[test]
fn a_pod_that_nothing_leads_to_is_stopped_at_once() {
    let mut world = World::new(single());
    world.settle();
    world.delete(30);
    world.report(Report::Drained(true));
    assert_eq!(step(&mut world), ["stop c-0"]);
}

#[test]
fn the_prestop_hook_waits_for_the_drain_too() {
    let hooked = json!({"containers": [{"name": "c", "image": "x:1", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}]});
    let mut world = undrained(hooked, 30);
    assert_eq!(step(&mut world), [""; 0]);
    world.report(Report::Drained(true));
    later_ms(&mut world, 250);
    assert_eq!(step(&mut world), ["prestop c-0 30"]);
}

#[test]
fn a_container_that_is_being_killed_already_is_not_held_up() {
    let probed = json!({"containers": [{"name": "c", "image": "x:1",
        "livenessProbe": {"failureThreshold": 1, "exec": {"command": ["x"]}}}]});
    let mut world = World::new(probed);
    world.settle();
    world.report(Report::Probed {
        id: "c-0".to_owned(),
        kind: crate::ProbeKind::Liveness,
        outcome: crate::ProbeOutcome::Failure("no".to_owned()),
    });
    world.pending.clear();
    assert_eq!(step(&mut world), ["stop c-0"]);
    world.delete(30);
    world.report(Report::Drained(false));
    step(&mut world);
    later(&mut world, 30);
    assert!(step(&mut world).contains(&"kill c-0".to_owned()));
}

#[test]
fn f19_a_container_is_not_running_before_its_poststart_hook_is_over() {
    let mut world = World::new(json!({"containers": [
        {"name": "a", "image": "x:1", "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}},
        {"name": "b", "image": "x:1"},
    ]}));
    world.report(Report::VolumesMounted);
    world.report(Report::SandboxReady { ips: Vec::new() });
    for _ in 0..2 {
        world.step();
        for action in std::mem::take(&mut world.pending) {
            if !matches!(action, Action::Hook { .. }) {
                world.answer(action);
            }
        }
    }
    assert_eq!(
        (world.state("a").as_str(), world.state("b").as_str()),
        ("Waiting:ContainerCreating", "Waiting:ContainerCreating")
    );
    world.report(Report::HookDone { id: "a-0".to_owned(), kind: HookKind::PostStart, error: None });
    world.settle();
    assert_eq!((world.state("a").as_str(), world.state("b").as_str()), ("Running", "Running"));
}

#[test]
fn a_pod_that_takes_too_much_is_evicted_and_one_that_does_not_belong_here_rejected() {
    let mut world = World::new(single());
    world.settle();
    world.report(Report::Evicted("too much".to_owned()));
    assert_eq!(step(&mut world), ["stop c-0"]);
    assert!(world.events().contains(&"Evicted: too much".to_owned()));
    let mut world = World::new(single());
    world.report(Report::Rejected { reason: "NodeAffinity", message: "not here".to_owned() });
    assert_eq!(step(&mut world), [""; 0], "nothing is started");
    let status = world.step().status.clone();
    let told = (status.phase.as_deref(), status.reason.as_deref(), status.message.as_deref());
    assert_eq!(told, (Some("Failed"), Some("NodeAffinity"), Some("Pod was rejected: not here")));
    assert_eq!(status.container_statuses, None, "as upstream's, so that the reason is what is shown");
    assert!(world.events().contains(&"NodeAffinity: not here".to_owned()));
}
