//! Containers added to a pod that runs: started once, counted for nothing, ended with the pod.

use super::world::{World, single};
use crate::{Action, PullError, Report, RunState, StartError, ephemeral};
use serde_json::{Value, json};

/// Adds an ephemeral container as the API would.
fn add(world: &mut World, container: Value) {
    let list = world.pod.spec.as_mut().expect("a spec").ephemeral_containers.get_or_insert_default();
    list.push(serde_json::from_value(container).expect("an ephemeral container"));
}

fn debugger(name: &str) -> Value {
    json!({"name": name, "image": "nginx:1.14.2", "command": ["sh"]})
}

/// A pod that runs, with one container added to it.
fn debugged(spec: Value) -> World {
    let mut world = World::new(spec);
    world.settle();
    world.reasons.clear();
    add(&mut world, debugger("d"));
    world.settle();
    world
}

#[test]
fn it_is_started_beside_what_runs_and_told_of_apart() {
    let world = debugged(single());
    assert_eq!(
        (world.phase(), world.state("c").as_str(), world.state("d").as_str()),
        ("Running", "Running", "Running")
    );
    assert_eq!(
        world.events(),
        [
            "Pulled: Container image \"nginx:1.14.2\" already present on machine",
            "Created: Created container: d",
            "Started: Started container d"
        ]
    );
    assert_eq!(world.reasons[1].field_path.as_deref(), Some("spec.ephemeralContainers{d}"));
    let status = &world.last.status;
    assert_eq!(status.container_statuses.as_ref().map(Vec::len), Some(1));
    let told = serde_json::to_value(status.ephemeral_container_statuses.as_ref()).expect("serializes");
    let expected = json!([{"name": "d", "image": "docker.io/library/nginx:1.14.2", "imageID": "sha256:1", "ready": false,
        "restartCount": 0, "containerID": "kelson://d-0", "lastState": {},
        "state": {"running": {"startedAt": "2023-11-14T22:13:20Z"}}}]);
    assert_eq!(told, expected, "neither ready nor started are said of it");
}

#[test]
fn it_is_never_restarted_whatever_the_policy() {
    for (policy, code) in [("Always", 0), ("Always", 1), ("OnFailure", 1), ("Never", 0)] {
        let mut world =
            debugged(json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "x:1"}]}));
        world.exit("d-0", code);
        world.settle();
        world.pass(1000);
        let state = if code == 0 { "Terminated:Completed" } else { "Terminated:Error" };
        assert_eq!((world.phase(), world.state("d").as_str()), ("Running", state), "{policy} {code}");
        assert_eq!((world.status("d").restart_count, world.runs.len()), (0, 2));
        assert_eq!(world.condition("Ready"), "True");
    }
}

#[test]
fn it_counts_neither_for_the_phase_nor_for_readiness() {
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]});
    let mut world = debugged(spec);
    world.exit("c-0", 0);
    world.settle();
    assert_eq!(world.phase(), "Succeeded", "the pod is over though a debugger runs");
    assert_eq!(world.state("d"), "Terminated:Error", "and the debugger goes with it");
    assert!(world.events().contains(&"Killing: Stopping container d".to_owned()), "{:?}", world.events());
}

#[test]
fn a_pod_that_is_deleted_ends_it_too() {
    let mut world = debugged(single());
    world.delete(30);
    world.settle();
    assert!(world.last.finished);
    assert!(world.runs.values().all(|run| run.exit().is_some()));
}

#[test]
fn it_does_not_wait_for_init_containers() {
    let mut world = World::new(json!({
        "initContainers": [{"name": "i", "image": "x:1"}], "containers": [{"name": "c", "image": "x:1"}],
    }));
    world.settle();
    assert_eq!(
        (world.state("i").as_str(), world.state("c").as_str()),
        ("Running", "Waiting:PodInitializing")
    );
    let mut early = debugger("d");
    early["image"] = json!("x:1");
    add(&mut world, early);
    world.settle();
    assert_eq!((world.phase(), world.state("d").as_str()), ("Pending", "Running"));
    assert_eq!(
        world.condition("Initialized"),
        "False ContainersNotInitialized containers with incomplete status: [i]"
    );
}

#[test]
fn an_image_that_cannot_be_had_is_tried_again_and_holds_nobody_back() {
    let mut world = World::new(single());
    world.settle();
    world.reasons.clear();
    add(&mut world, json!({"name": "d", "image": "nosuch:1"}));
    world.step();
    assert_eq!(world.pending, [Action::Pull { container: "d".to_owned(), image: "nosuch:1".to_owned() }]);
    world.pending.clear();
    let (container, image) = ("d".to_owned(), "nosuch:1".to_owned());
    world.report(Report::PullFailed { container, image, error: PullError("no such host".to_owned()) });
    world.settle();
    assert_eq!((world.phase(), world.state("d").as_str()), ("Running", "Waiting:ErrImagePull"));
    assert_eq!(
        world.events(),
        [
            "Pulling: Pulling image \"nosuch:1\"",
            "Failed: Failed to pull image \"nosuch:1\": no such host",
            "Failed: Error: ErrImagePull"
        ]
    );
    world.exit("c-0", 1);
    world.settle();
    assert_eq!((world.state("c").as_str(), world.status("c").restart_count), ("Running", 1));
    world.pass(5);
    assert_eq!(world.state("d"), "Waiting:ImagePullBackOff");
    world.pass(10);
    assert_eq!(world.state("d"), "Running", "the second try succeeds");
}

#[test]
fn one_that_could_not_be_made_is_tried_again_one_that_could_not_run_is_not() {
    let check = |error: StartError, state: &str, later: &str| {
        let mut world = World::new(single());
        world.settle();
        add(&mut world, debugger("d"));
        world.step();
        world.pending.clear();
        world.report(Report::StartFailed { container: "d".to_owned(), attempt: 0, error });
        world.step();
        assert_eq!((world.phase(), world.state("d").as_str()), ("Running", state));
        world.pass(11);
        assert_eq!(world.state("d"), later);
    };
    let target = "unable to find target container x".to_owned();
    check(StartError::Config(target), "Waiting:CreateContainerConfigError", "Running");
    let (id, message) = ("d-0".to_owned(), "exec: \"nope\": not found".to_owned());
    let (image_name, image_id) = (String::new(), String::new());
    let run = StartError::Run { id, message, image_name, image_id };
    check(run, "Waiting:RunContainerError", "Waiting:RunContainerError");
}

#[test]
fn one_that_ran_before_a_restart_of_the_node_does_not_run_again() {
    let world = debugged(single());
    let mut adopted = World::new(single());
    adopted.pod = world.pod.clone();
    adopted.life.adopt(vec!["10.244.0.5".to_owned()], world.runs.values().cloned().collect());
    adopted.step();
    assert_eq!((adopted.last.actions.as_slice(), &adopted.last.status), (&[][..], &world.last.status));

    let mut lost = World::new(single());
    lost.pod = world.pod.clone();
    lost.settle();
    assert_eq!(
        (lost.state("c").as_str(), lost.state("d").as_str()),
        ("Running", "Terminated:ContainerStatusUnknown")
    );
}

#[test]
fn the_target_is_the_latest_run_of_the_container_it_names() {
    let mut world = World::new(single());
    world.exits.insert("c".to_owned(), vec![1]);
    world.settle();
    let mut beside = debugger("d");
    beside["targetContainerName"] = json!("c");
    add(&mut world, beside);
    beside = debugger("e");
    beside["targetContainerName"] = json!("x");
    add(&mut world, beside);
    add(&mut world, debugger("f"));
    let runs: Vec<_> = world.runs.values().cloned().collect();
    let of = |name| ephemeral::target(&world.pod, name, &runs);
    let found = of("d").expect("there is one").expect("it names one");
    assert_eq!((found.id.as_str(), matches!(found.state, RunState::Running { .. })), ("c-1", true));
    assert_eq!(of("e"), Err("unable to find target container x".to_owned()));
    assert_eq!((of("f"), of("c")), (Ok(None), Ok(None)));
}
