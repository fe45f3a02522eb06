//! From bound to running, restarts and back-off, init containers and sidecars.

use super::world::{World, single};
use crate::{Action, Report, StartError};
use serde_json::json;

#[test]
fn a_pod_comes_up_with_upstreams_events_and_conditions() {
    let mut world = World::new(single());
    world.settle();
    assert_eq!(world.phase(), "Running");
    assert_eq!(
        world.events(),
        [
            "Pulled: Container image \"nginx:1.14.2\" already present on machine",
            "Created: Created container: c",
            "Started: Started container c"
        ]
    );
    assert_eq!(world.reasons[0].field_path.as_deref(), Some("spec.containers{c}"));
    let status = &world.last.status;
    let order: Vec<&str> = status.conditions.iter().flatten().map(|it| it.type_.as_str()).collect();
    assert_eq!(
        order,
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    );
    assert!(status.conditions.iter().flatten().all(|it| it.status == "True"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.244.0.5"));
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    let container = world.status("c");
    assert_eq!(container.container_id.as_deref(), Some("kelson://c-0"));
    assert_eq!(container.image, "docker.io/library/nginx:1.14.2");
    assert_eq!((container.ready, container.started, container.restart_count), (true, Some(true), 0));
}

#[test]
fn f9_before_it_runs_it_says_which_containers_are_unready() {
    let mut world =
        World::new(json!({"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "x:1"}]}));
    world.step();
    assert_eq!(world.phase(), "Pending");
    assert_eq!(world.state("a"), "Waiting:ContainerCreating");
    assert_eq!(
        world.condition("ContainersReady"),
        "False ContainersNotReady containers with unready status: [a b]"
    );
    assert_eq!(world.condition("Ready"), world.condition("ContainersReady"));
    assert_eq!(world.condition("PodReadyToStartContainers"), "False");
    assert!(world.last.settling);
}

#[test]
fn f10_a_readiness_gate_holds_ready_back() {
    let mut world = World::new(
        json!({"readinessGates": [{"conditionType": "x/y"}], "containers": [{"name": "c", "image": "x:1"}]}),
    );
    world.settle();
    assert_eq!(world.condition("ContainersReady"), "True");
    assert_eq!(
        world.condition("Ready"),
        "False ReadinessGatesNotReady corresponding condition of pod readiness gate \"x/y\" does not exist."
    );
    let gate = json!({"type": "x/y", "status": "False"});
    let mut status = world.last.status.clone();
    status.conditions.get_or_insert_default().push(serde_json::from_value(gate).expect("a condition"));
    world.pod.status = Some(status);
    world.step();
    assert_eq!(
        world.condition("Ready"),
        "False ReadinessGatesNotReady the status of pod readiness gate \"x/y\" is not \"True\", but False"
    );
}

#[test]
fn f16_a_transition_time_moves_only_when_the_condition_flips() {
    let mut world = World::new(single());
    world.settle();
    let times = |world: &World| -> Vec<_> {
        world.last.status.conditions.iter().flatten().map(|it| it.last_transition_time.clone()).collect()
    };
    let before = times(&world);
    world.pass(100);
    assert_eq!(times(&world), before);
}

#[test]
fn f18_a_crash_loop_waits_10_seconds_doubling_to_300() {
    let mut world = World::new(single());
    world.exits.insert("c".to_owned(), vec![1; 20]);
    world.settle();
    assert_eq!(world.state("c"), "Waiting:CrashLoopBackOff");
    assert_eq!(world.phase(), "Running");
    assert_eq!(world.condition("Ready"), "False ContainersNotReady containers with unready status: [c]");
    assert_eq!(world.status("c").restart_count, 1, "the first restart waits for nothing");
    for (wait, text) in
        [(10, "10s"), (20, "20s"), (40, "40s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s"), (300, "5m0s")]
    {
        let message = world.status("c").state.clone().and_then(|it| it.waiting).and_then(|it| it.message);
        assert_eq!(
            message.as_deref(),
            Some(format!("back-off {text} restarting failed container=c pod=p_ns(u1)").as_str())
        );
        let restarts = world.status("c").restart_count;
        world.pass(wait - 1);
        assert_eq!(world.status("c").restart_count, restarts, "not before {text}");
        world.pass(1);
        assert_eq!(world.status("c").restart_count, restarts + 1, "after {text}");
    }
    assert!(
        world
            .events()
            .contains(&"BackOff: Back-off restarting failed container c in pod p_ns(u1)".to_owned())
    );
}

#[test]
fn f18_ten_good_minutes_reset_the_back_off() {
    let mut world = World::new(single());
    world.exits.insert("c".to_owned(), vec![1, 1, 1]);
    world.settle();
    world.pass(10);
    world.pass(20);
    assert_eq!(world.state("c"), "Running");
    world.pass(601);
    world.exit("c-3", 1);
    world.settle();
    assert_eq!(world.state("c"), "Running", "restarted at once, as the first time");
}

#[test]
fn the_restart_policy_decides_what_an_exit_means() {
    let check = |policy: &str, code: i32, expected: (&str, &str)| {
        let mut world =
            World::new(json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "x:1"}]}));
        world.exits.insert("c".to_owned(), vec![code]);
        world.settle();
        assert_eq!((world.phase(), world.state("c").as_str()), expected, "{policy} {code}");
    };
    check("Always", 0, ("Running", "Running"));
    check("OnFailure", 0, ("Succeeded", "Terminated:Completed"));
    check("OnFailure", 3, ("Running", "Running"));
    check("Never", 0, ("Succeeded", "Terminated:Completed"));
    check("Never", 3, ("Failed", "Terminated:Error"));
}

#[test]
fn a_finished_pod_gives_back_what_it_held_and_keeps_its_status() {
    let mut world =
        World::new(json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}));
    world.exits.insert("c".to_owned(), vec![0]);
    world.settle();
    assert_eq!(world.condition("Ready"), "False PodCompleted");
    assert_eq!(world.condition("Initialized"), "True PodCompleted");
    assert_eq!(world.condition("PodReadyToStartContainers"), "False");
    assert_eq!(world.last.status.pod_ip.as_deref(), Some("10.244.0.5"));
    assert!(!world.last.finished, "it stays until the API forgets it");
    assert!(world.step().actions.is_empty());
}

#[test]
fn init_containers_run_in_order_before_the_main_ones() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "i1", "image": "x:1"}, {"name": "i2", "image": "x:1"}],
        "containers": [{"name": "c", "image": "x:1"}],
    }));
    world.settle();
    assert_eq!(
        (world.state("i1").as_str(), world.state("i2").as_str(), world.state("c").as_str()),
        ("Running", "Waiting:PodInitializing", "Waiting:PodInitializing")
    );
    assert_eq!(
        world.condition("Initialized"),
        "False ContainersNotInitialized containers with incomplete status: [i1 i2]"
    );
    world.exit("i1-0", 0);
    world.settle();
    assert_eq!(world.state("i2"), "Running");
    world.exit("i2-0", 0);
    world.settle();
    assert_eq!(
        (world.phase(), world.state("c").as_str(), world.condition("Initialized").as_str()),
        ("Running", "Running", "True")
    );
    assert!(world.status("i1").ready);
}

#[test]
fn a_failed_init_container_fails_the_pod_or_backs_off() {
    let spec = |policy: &str| json!({"restartPolicy": policy, "initContainers": [{"name": "i", "image": "x:1"}], "containers": [{"name": "c", "image": "x:1"}]});
    let mut world = World::new(spec("Never"));
    world.exits.insert("i".to_owned(), vec![2]);
    world.settle();
    assert_eq!((world.phase(), world.state("c").as_str()), ("Failed", "Waiting:PodInitializing"));
    let mut world = World::new(spec("Always"));
    world.exits.insert("i".to_owned(), vec![2, 2]);
    world.settle();
    assert_eq!((world.phase(), world.state("i").as_str()), ("Pending", "Waiting:CrashLoopBackOff"));
}

#[test]
fn f11_a_sidecar_stays_and_counts_for_readiness() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "s", "image": "x:1", "restartPolicy": "Always", "readinessProbe": {"exec": {"command": ["true"]}}}],
        "containers": [{"name": "c", "image": "x:1"}],
    }));
    world.settle();
    assert_eq!(
        (world.phase(), world.state("s").as_str(), world.state("c").as_str()),
        ("Running", "Running", "Running")
    );
    assert_eq!(world.condition("Ready"), "False ContainersNotReady containers with unready status: [s]");
}

#[test]
fn a_missing_config_map_waits_and_starts_when_it_appears() {
    let mut world = World::new(single());
    world.answer(Action::MountVolumes);
    world.step();
    world.pending.clear();
    world.answer(Action::StartSandbox);
    assert_eq!(world.step().actions, [Action::Start { container: "c".to_owned(), attempt: 0 }]);
    world.pending.clear();
    let error = StartError::Config("configmap \"x\" not found".to_owned());
    world.report(Report::StartFailed { container: "c".to_owned(), attempt: 0, error });
    world.settle();
    assert_eq!((world.phase(), world.state("c").as_str()), ("Pending", "Waiting:CreateContainerConfigError"));
    assert!(world.events().contains(&"Failed: Error: configmap \"x\" not found".to_owned()));
    world.report(Report::SourcesChanged);
    world.settle();
    assert_eq!(world.state("c"), "Running");
}

#[test]
fn a_process_that_cannot_start_is_a_failed_run() {
    let mut world =
        World::new(json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}));
    world.report(Report::VolumesMounted);
    world.report(Report::SandboxReady { ips: vec!["10.244.0.5".to_owned()] });
    world.step();
    world.pending.clear();
    let error = StartError::Run {
        id: "c-0".to_owned(),
        message: "exec: \"nope\": not found".to_owned(),
        image_name: String::new(),
        image_id: String::new(),
    };
    world.report(Report::StartFailed { container: "c".to_owned(), attempt: 0, error });
    world.settle();
    assert_eq!((world.phase(), world.state("c").as_str()), ("Failed", "Terminated:StartError"));
    let terminated = world.status("c").state.clone().and_then(|it| it.terminated).expect("terminated");
    assert_eq!(
        (terminated.exit_code, terminated.message.as_deref()),
        (128, Some("exec: \"nope\": not found"))
    );
}

#[test]
fn volumes_that_fail_are_tried_again_with_back_off() {
    let mut world = World::new(single());
    world.step();
    world.pending.clear();
    world.report(Report::VolumesFailed(vec![
        "MountVolume.SetUp failed for volume \"v\" : configmap \"y\" not found".to_owned(),
    ]));
    assert!(world.step().actions.is_empty());
    assert!(world.last.wake_at.is_some() && !world.last.settling);
    world.pass(1);
    assert_eq!(world.phase(), "Running");
    assert_eq!(
        world.events()[0],
        "FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"y\" not found"
    );
}

#[test]
fn a_lost_sandbox_is_made_again_and_its_containers_restarted() {
    let mut world = World::new(
        json!({"initContainers": [{"name": "i", "image": "x:1"}], "containers": [{"name": "c", "image": "x:1"}]}),
    );
    world.exits.insert("i".to_owned(), vec![0, 0]);
    world.settle();
    world.runs.clear();
    world.report(Report::SandboxLost);
    world.settle();
    assert_eq!(
        (world.phase(), world.status("c").restart_count, world.status("i").restart_count),
        ("Running", 1, 1)
    );
    assert!(
        world
            .events()
            .contains(&"SandboxChanged: Pod sandbox changed, it will be killed and re-created.".to_owned())
    );
}

#[test]
fn an_adopted_pod_is_left_alone() {
    let mut world = World::new(
        json!({"containers": [{"name": "c", "image": "x:1", "readinessProbe": {"exec": {"command": ["true"]}}, "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}]}),
    );
    world.settle();
    let probe = crate::ProbeKind::Readiness;
    world.report(Report::Probed { id: "c-0".to_owned(), kind: probe, outcome: crate::ProbeOutcome::Success });
    world.settle();
    assert_eq!(world.condition("Ready"), "True");
    let mut after = World::new(single());
    after.pod = world.pod.clone();
    after.life.adopt(vec!["10.244.0.5".to_owned()], world.runs.values().cloned().collect());
    after.step();
    assert!(
        after.last.actions.iter().all(|it| matches!(it, Action::Probe { .. })),
        "{:?}",
        after.last.actions
    );
    assert_eq!(after.last.status, world.last.status, "not even a word is different");
}

#[test]
fn a_container_lost_with_its_node_counts_as_a_restart() {
    let mut world = World::new(single());
    world.settle();
    let mut after = World::new(single());
    after.pod = world.pod.clone();
    after.settle();
    assert_eq!((after.phase(), after.status("c").restart_count), ("Running", 1));
}

#[test]
fn a_container_lost_with_its_node_does_not_run_twice_if_it_must_not() {
    let mut world =
        World::new(json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}));
    world.settle();
    let mut after = World::new(single());
    after.pod = world.pod.clone();
    after.settle();
    assert_eq!((after.phase(), after.state("c").as_str()), ("Failed", "Terminated:ContainerStatusUnknown"));
    assert!(after.runs.is_empty());
}

#[test]
fn a_pod_that_ended_keeps_every_word_of_its_status() {
    let mut world =
        World::new(json!({"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "x:1"}]}));
    world.exits.insert("c".to_owned(), vec![1, 0]);
    world.settle();
    assert_eq!((world.phase(), world.status("c").restart_count), ("Succeeded", 1));
    let mut after = World::new(single());
    after.pod = world.pod.clone();
    after.step();
    assert_eq!(after.last.status, world.last.status);
    assert_eq!(after.last.actions, []);
}

#[test]
fn a_pod_past_its_deadline_fails() {
    let mut world =
        World::new(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "c", "image": "x:1"}]}));
    world.settle();
    world.pass(60);
    assert_eq!((world.phase(), world.last.status.reason.as_deref()), ("Failed", Some("DeadlineExceeded")));
    assert!(world.runs.values().all(|run| run.exit().is_some()));
}

#[test]
fn a_changed_image_restarts_the_container() {
    let mut world = World::new(single());
    world.settle();
    let spec = world.pod.spec.as_mut().expect("a spec");
    spec.containers[0].image = Some("nginx:1.15".to_owned());
    world.settle();
    assert_eq!((world.state("c").as_str(), world.status("c").restart_count), ("Running", 1));
    assert!(
        world.events().contains(&"Killing: Container c definition changed, will be restarted".to_owned())
    );
}
