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

#[test]
fn a_pod_that_still_gets_connections_is_not_told_to_stop_for_half_its_grace() {
    let mut world = World::new(single());
    world.settle();
    world.report(Report::Drained(false));
    world.delete(30);
    assert_eq!(step(&mut world), [""; 0]);
    later(&mut world, 14);
    assert_eq!(step(&mut world), [""; 0]);
    let mut drained = World {
        last: world.last.clone(),
        pod: world.pod.clone(),
        life: world.life.clone(),
        runs: world.runs.clone(),
        reasons: Vec::new(),
        pending: Vec::new(),
        exits: Default::default(),
        ..world
    };
    drained.report(Report::Drained(true));
    assert_eq!(step(&mut drained), ["stop c-0"]);
}

#[test]
fn a_pod_nobody_drains_is_stopped_at_half_its_grace() {
    let mut world = World::new(single());
    world.settle();
    world.report(Report::Drained(false));
    world.delete(30);
    step(&mut world);
    later(&mut world, 15);
    assert_eq!(step(&mut world), ["stop c-0"]);
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
