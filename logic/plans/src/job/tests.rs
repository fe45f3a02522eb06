//! Job: how many run, what is counted, how it ends; by index, by policy, by clock.

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::indexes::Indexes;
use crate::kinds::Kept;
use crate::plan::Propagation;
use crate::world::{World, job, node};
use crate::{Action, Controller, Key, Plan, Task, pod};

fn key() -> Key {
    Key::new("default", "work")
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::Job, key()), world.now)
}

fn settled(spec: Value) -> World {
    let mut world = World::with(vec![node("n"), job(spec)]);
    world.settle(|_| {});
    world
}

fn status(world: &World) -> JobStatus {
    world.get::<Job>(&key()).unwrap().status.unwrap()
}

/// The conditions that hold, as `type reason message`.
fn conditions(world: &World) -> Vec<String> {
    let conditions = status(world).conditions.unwrap_or_default();
    let held = conditions.into_iter().filter(|one| one.status == "True");
    held.map(|one| format!("{} {}: {}", one.type_, one.reason.unwrap(), one.message.unwrap())).collect()
}

/// The pods that have not ended.
fn running(world: &World) -> Vec<Pod> {
    world.all::<Pod>().into_iter().filter(pod::is_active).collect()
}

/// Lets a pod end with an exit code now.
fn end(world: &mut World, pod: &Pod, code: i32) {
    let now = world.now;
    world.edit::<Pod>(&Key::of(&pod.metadata), |pod| {
        pod["status"] = json!({
            "phase": if code == 0 { "Succeeded" } else { "Failed" },
            "containerStatuses": [{
                "name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code, "finishedAt": now}},
            }],
        });
    });
}

fn end_one(world: &mut World, code: i32) {
    let pod = running(world).remove(0);
    end(world, &pod, code);
    world.settle(|_| {});
}

fn wait(world: &mut World, seconds: i64) {
    world.now += jiff::SignedDuration::from_secs(seconds);
    let plan = plan(world);
    world.carry(&plan);
    world.settle(|_| {});
}

#[test]
fn h6_1_as_many_run_as_in_parallel_and_no_more_than_are_missing() {
    let mut world = settled(json!({"completions": 3, "parallelism": 2}));
    assert_eq!(running(&world).len(), 2);
    assert_eq!((status(&world).active, status(&world).ready), (Some(2), Some(2)));
    end_one(&mut world, 0);
    assert_eq!((running(&world).len(), status(&world).succeeded), (2, Some(1)));
    end_one(&mut world, 0);
    assert_eq!(running(&world).len(), 1);
    end_one(&mut world, 0);
    let done = "CompletionsReached: Reached expected number of succeeded pods";
    assert_eq!(conditions(&world), [format!("SuccessCriteriaMet {done}"), format!("Complete {done}")]);
    let status = status(&world);
    assert_eq!((status.active, status.succeeded, status.failed), (None, Some(3), None));
    assert!(status.completion_time.is_some());
    assert!(world.told.contains(&"Completed: Job completed".to_owned()));
    assert!(world.all::<Pod>().iter().all(|pod| pod.metadata.finalizers.is_none()));
    assert_eq!(world.plans_left(), []);
}

#[test]
fn h6_1_a_queue_of_work_ends_with_its_first_success() {
    let mut world = settled(json!({"parallelism": 3}));
    assert_eq!(running(&world).len(), 3);
    end_one(&mut world, 0);
    assert_eq!(
        (running(&world).len(), conditions(&world).len()),
        (2, 0),
        "the others go on, no further one comes"
    );
    end_one(&mut world, 1);
    end_one(&mut world, 0);
    assert_eq!(conditions(&world).len(), 2);
}

#[test]
fn h6_1_one_plan_makes_five_hundred_pods_at_most() {
    for mode in ["Indexed", "NonIndexed"] {
        let spec = json!({"completions": i32::MAX, "parallelism": i32::MAX, "completionMode": mode});
        let world = World::with(vec![job(spec)]);
        let creates = plan(&world).actions().filter(|one| matches!(one, Action::Create { .. })).count();
        assert_eq!(creates, 500, "{mode}");
    }
}

#[test]
fn h6_2_a_job_on_its_way_out_holds_nobody() {
    let mut world = settled(json!({"completions": 2, "parallelism": 2, "podReplacementPolicy": "Failed"}));
    world.delete(&Job::RESOURCE, &key(), Some(Propagation::Foreground), false);
    world.settle(|_| {});
    assert!(world.all::<Pod>().is_empty() && world.get::<Job>(&key()).is_none());
}

#[test]
fn h6_2_pods_are_held_until_they_are_counted() {
    let mut world = World::with(vec![node("n"), job(json!({"completions": 1}))]);
    world.settle(|world| {
        for pod in world.all::<Pod>() {
            assert_eq!(pod.metadata.finalizers, Some(vec!["batch.kubernetes.io/job-tracking".to_owned()]));
        }
    });
    let pod = running(&world).remove(0);
    end(&mut world, &pod, 0);
    // Deleted in the same moment: its result is not lost.
    world.delete(&Pod::RESOURCE, &Key::of(&pod.metadata), None, true);
    world.deliver_all();
    let first = plan(&world);
    let uid = json!([pod.metadata.uid.unwrap()]);
    let Some(Action::Patch { subresource: Some("status"), patch, .. }) = first.actions().next() else {
        panic!("the status comes first: {first:?}")
    };
    assert_eq!(patch["status"]["uncountedTerminatedPods"]["succeeded"], uid);
    world.settle(|_| {});
    assert_eq!(status(&world).succeeded, Some(1));
    assert_eq!(world.all::<Pod>().len(), 0);
    assert_eq!(conditions(&world).len(), 2);
}

#[test]
fn h6_2_pods_of_a_job_that_is_gone_are_let_go() {
    let mut world = settled(json!({"completions": 2, "parallelism": 2}));
    world.delete(&Job::RESOURCE, &key(), None, false);
    world.settle(|_| {});
    assert_eq!(world.all::<Pod>().len(), 0, "the garbage collector takes them, the finalizer is gone");
}

#[test]
fn h6_3_each_index_has_a_pod_of_its_own() {
    let mut world = settled(json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}));
    let mut pods = running(&world);
    pods.sort_by_key(|pod| {
        pod.metadata.annotations.clone().unwrap()["batch.kubernetes.io/job-completion-index"].clone()
    });
    for (index, pod) in pods.iter().enumerate() {
        let name = pod.metadata.name.clone().unwrap();
        assert!(name.starts_with(&format!("work-{index}-")), "{name}");
        assert_eq!(
            pod.metadata.labels.as_ref().unwrap()["batch.kubernetes.io/job-completion-index"],
            index.to_string()
        );
        let spec = pod.spec.as_ref().unwrap();
        assert_eq!(spec.hostname, Some(format!("work-{index}")));
        let variable = &spec.containers[0].env.as_ref().unwrap()[0];
        assert_eq!(variable.name, "JOB_COMPLETION_INDEX");
        let field = variable.value_from.as_ref().unwrap().field_ref.as_ref().unwrap();
        assert_eq!(field.field_path, "metadata.labels['batch.kubernetes.io/job-completion-index']");
    }
    end(&mut world, &pods[2], 0);
    world.settle(|_| {});
    end(&mut world, &pods[0], 0);
    world.settle(|_| {});
    assert_eq!(status(&world).completed_indexes.as_deref(), Some("0,2"));
    end(&mut world, &pods[1], 1);
    world.settle(|_| {});
    wait(&mut world, 30);
    let again = running(&world);
    assert!(again[0].metadata.name.as_ref().unwrap().starts_with("work-1-"));
    end_one(&mut world, 0);
    assert_eq!(status(&world).completed_indexes.as_deref(), Some("0-2"));
    assert_eq!((status(&world).succeeded, status(&world).failed), (Some(3), Some(1)));
    assert_eq!(conditions(&world).len(), 2);
}

#[test]
fn h6_3_indexes_are_written_in_runs() {
    for (text, written) in
        [("", ""), ("1", "1"), ("1,2", "1,2"), ("0-2,4,7-9", "0-2,4,7-9"), ("3,1,2", "1-3"), ("x,2-", "")]
    {
        assert_eq!(Indexes::parse(text, 10).write(), written, "{text}");
    }
    assert_eq!(Indexes::parse("0-99999999999", 4).write(), "0-3");
}

#[test]
fn h6_4_failures_are_retried_after_longer_and_longer_waits() {
    let mut world = settled(json!({"completions": 1, "backoffLimit": 2}));
    end_one(&mut world, 1);
    // Settling passes the first ten seconds.
    assert_eq!((running(&world).len(), status(&world).failed), (1, Some(1)));
    let before = world.now;
    end_one(&mut world, 1);
    assert_eq!(running(&world).len(), 1);
    assert!(world.now.duration_since(before).as_secs() >= 20, "the second wait is twice the first");
    end_one(&mut world, 1);
    let why = "BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(conditions(&world), [format!("FailureTarget {why}"), format!("Failed {why}")]);
    assert!(world.told.contains(&why.to_owned()));
    assert_eq!(status(&world).failed, Some(3));
    assert!(status(&world).completion_time.is_none());
    assert_eq!(world.plans_left(), []);
}

#[test]
fn h6_4_containers_that_restart_in_place_count_too() {
    let mut world = settled(json!({"completions": 1, "backoffLimit": 2, "template": {
        "metadata": {"labels": {"batch.kubernetes.io/controller-uid": "job"}},
        "spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "work"}]},
    }}));
    let pod = running(&world).remove(0);
    world.edit::<Pod>(&Key::of(&pod.metadata), |pod| {
        pod["status"]["containerStatuses"] =
            json!([{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 2}]);
    });
    world.settle(|_| {});
    assert!(conditions(&world).iter().any(|one| one.starts_with("Failed BackoffLimitExceeded")));
    assert_eq!(world.all::<Pod>().len(), 0);
}

#[test]
fn h6_4_a_job_has_only_so_long() {
    let mut world = settled(json!({"completions": 1, "activeDeadlineSeconds": 300}));
    assert_eq!(plan(&world).requeue_after.map(|after| after.as_secs()), Some(300));
    wait(&mut world, 300);
    let why = "DeadlineExceeded: Job was active longer than specified deadline";
    assert_eq!(conditions(&world), [format!("FailureTarget {why}"), format!("Failed {why}")]);
    assert_eq!((running(&world).len(), status(&world).failed), (0, Some(1)));
}

#[test]
fn h6_4_finished_jobs_go_when_their_time_is_up() {
    let mut world = settled(json!({"completions": 1, "ttlSecondsAfterFinished": 100}));
    end_one(&mut world, 0);
    assert_eq!(plan(&world).requeue_after.map(|after| after.as_secs()), Some(100));
    world.now += jiff::SignedDuration::from_secs(100);
    let last = plan(&world);
    let foreground =
        |action: &Action| matches!(action, Action::Delete { propagation: Some(Propagation::Foreground), .. });
    assert!(last.actions().any(foreground), "{last:?}");
    world.carry(&last);
    world.settle(|_| {});
    assert!(world.get::<Job>(&key()).is_none() && world.all::<Pod>().is_empty());
}

#[test]
fn h6_6_the_policy_tells_failures_apart() {
    let policy = json!({"rules": [
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42], "containerName": "c"}},
    ]});
    let mut world = settled(
        json!({"completions": 1, "backoffLimit": 0, "podFailurePolicy": policy, "podReplacementPolicy": "Failed"}),
    );
    end_one(&mut world, 3);
    assert_eq!((status(&world).failed, running(&world).len()), (None, 1), "it was not the program's fault");
    let name = running(&world)[0].metadata.name.clone().unwrap();
    end_one(&mut world, 42);
    let why = format!(
        "Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 1"
    );
    assert_eq!(
        conditions(&world),
        [format!("FailureTarget PodFailurePolicy: {why}"), format!("Failed PodFailurePolicy: {why}")]
    );
}

#[test]
fn h6_6_indexes_fail_each_for_themselves() {
    let mut world = settled(json!({
        "completions": 2, "parallelism": 2, "completionMode": "Indexed",
        "backoffLimit": i32::MAX, "backoffLimitPerIndex": 1,
    }));
    let of = |world: &World, index: &str| {
        let mut pods = running(world);
        pods.retain(|pod| {
            pod.metadata.annotations.as_ref().unwrap()["batch.kubernetes.io/job-completion-index"] == index
        });
        pods.pop()
    };
    for _ in 0..2 {
        let pod = of(&world, "0").unwrap();
        end(&mut world, &pod, 1);
        world.settle(|_| {});
    }
    assert_eq!(of(&world, "0").map(|pod| pod.metadata.name), None);
    assert_eq!(status(&world).failed_indexes.as_deref(), Some("0"));
    end_one(&mut world, 0);
    let why = "FailedIndexes: Job has failed indexes";
    assert_eq!(conditions(&world), [format!("FailureTarget {why}"), format!("Failed {why}")]);
    assert_eq!((status(&world).succeeded, status(&world).failed), (Some(1), Some(2)));
}

#[test]
fn h6_6_a_success_policy_ends_the_job_early() {
    let mut world = settled(json!({
        "completions": 3, "parallelism": 3, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "1-2", "succeededCount": 1}]},
    }));
    let leader =
        running(&world).into_iter().find(|pod| pod.metadata.name.as_ref().unwrap().starts_with("work-2-"));
    end(&mut world, &leader.unwrap(), 0);
    world.settle(|_| {});
    let why = "SuccessPolicy: Matched rules at index 0";
    assert_eq!(conditions(&world), [format!("SuccessCriteriaMet {why}"), format!("Complete {why}")]);
    assert_eq!(running(&world).len(), 0);
}

#[test]
fn h6_7_a_suspended_job_rests_and_goes_on() {
    let mut world = settled(json!({"completions": 2, "parallelism": 2}));
    let began = status(&world).start_time;
    world.edit::<Job>(&key(), |job| job["spec"]["suspend"] = true.into());
    world.settle(|_| {});
    assert_eq!(conditions(&world), ["Suspended JobSuspended: Job suspended"]);
    assert_eq!((world.all::<Pod>().len(), status(&world).active, status(&world).failed), (0, None, None));
    world.now += jiff::SignedDuration::from_secs(60);
    world.edit::<Job>(&key(), |job| job["spec"]["suspend"] = false.into());
    world.settle(|_| {});
    assert_eq!((conditions(&world).len(), running(&world).len()), (0, 2));
    assert_ne!(status(&world).start_time, began, "its clock starts again");
    let told: Vec<&String> = world
        .told
        .iter()
        .filter(|one| one.ends_with("Job suspended") || one.ends_with("Job resumed"))
        .collect();
    assert_eq!(told, ["Suspended: Job suspended", "Resumed: Job resumed"]);
}

#[test]
fn h6_7_another_controllers_jobs_are_left_alone() {
    let world = settled(json!({"completions": 1, "managedBy": "example.com/kueue"}));
    assert!(world.all::<Pod>().is_empty());
}

#[test]
fn h6_8_fewer_in_parallel_means_that_some_are_deleted_without_counting() {
    let mut world = settled(json!({"completions": 5, "parallelism": 4}));
    world.edit::<Job>(&key(), |job| job["spec"]["parallelism"] = 1.into());
    world.settle(|_| {});
    assert_eq!((running(&world).len(), status(&world).failed), (1, None));
}

/// Whatever the order of events, nothing is counted twice and nothing is lost.
#[test]
fn every_result_counts_once() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.create(node("n")).unwrap();
        let mode = if seed % 2 == 0 { "Indexed" } else { "NonIndexed" };
        let spec = json!({"completions": 6, "parallelism": 3, "completionMode": mode, "backoffLimit": 100});
        world.create(job(spec)).unwrap();
        let mut failed = 0;
        for _ in 0..60_000 {
            world.step(|world| failed += disturb(world));
            // Back-off is waited for.
            if world.random.below(20) == 0 {
                world.now += jiff::SignedDuration::from_secs(30);
            }
            if world.get::<Job>(&key()).is_some_and(|job| super::ended(&job).is_some()) {
                break;
            }
        }
        world.settle(|_| {});
        assert!(
            conditions(&world).iter().any(|one| one.starts_with("Complete")),
            "seed {seed}: {:?}",
            status(&world)
        );
        let status = status(&world);
        assert_eq!((status.succeeded, status.failed.unwrap_or(0)), (Some(6), failed), "seed {seed}");
        assert_eq!(world.plans_left(), [], "seed {seed}");
    }
}

/// A running pod ends by chance, well or badly; some are deleted when they have ended. How many failed.
fn disturb(world: &mut World) -> i32 {
    let pods: Vec<Pod> = running(world).into_iter().filter(pod::is_ready).collect();
    let dice = world.random.below(6);
    if dice > 2 || pods.is_empty() {
        return 0;
    }
    let pod = &pods[world.random.below(pods.len())];
    let code = i32::from(dice == 0);
    end(world, pod, code);
    if world.random.below(2) == 0 {
        world.delete(&Pod::RESOURCE, &Key::of(&pod.metadata), None, true);
    }
    code
}
