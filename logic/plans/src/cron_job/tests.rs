//! CronJob: which times are served, by which policy, and what is kept.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use serde_json::{Value, json};

use crate::kinds::Kept;
use crate::world::{World, cron_job, time};
use crate::{Controller, Key, Plan, Task};

fn key() -> Key {
    Key::new("default", "tick")
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::CronJob, key()), world.now)
}

/// The world began at 22:13:20 UTC: the first time of `*/5` is 22:15, 100 s later.
fn world(spec: Value) -> World {
    World::with(vec![cron_job(spec)])
}

/// Plans until nothing is left to do at this second.
fn at(world: &mut World, seconds: i64) -> Option<SignedDuration> {
    world.now = time(seconds);
    for _ in 0..10 {
        let plan = plan(world);
        if plan.stages.is_empty() {
            world.told.extend(plan.reasons.iter().map(|one| format!("{}: {}", one.reason, one.message)));
            return plan.requeue_after;
        }
        world.carry(&plan);
        world.deliver_all();
    }
    panic!("it does not come to rest");
}

fn names(world: &World) -> Vec<String> {
    world.all::<Job>().into_iter().map(|job| job.metadata.name.unwrap()).collect()
}

fn status(world: &World) -> CronJobStatus {
    world.get::<CronJob>(&key()).unwrap().status.unwrap_or_default()
}

fn active(world: &World) -> Vec<String> {
    status(world).active.unwrap_or_default().into_iter().map(|one| one.name.unwrap()).collect()
}

/// A Job ends, with this condition.
fn end(world: &mut World, name: &str, condition: &str) {
    let now = world.now;
    world.edit::<Job>(&Key::new("default", name), |job| {
        job["status"] = json!({
            "startTime": now, "conditions": [{"type": condition, "status": "True", "lastTransitionTime": now}],
        });
        if condition == "Complete" {
            job["status"]["completionTime"] = json!(now);
        }
    });
    world.deliver_all();
}

fn minutes(at: Timestamp) -> i64 {
    at.as_second() / 60
}

#[test]
fn h7_1_a_job_is_named_after_its_time() {
    let mut world = world(json!({}));
    assert_eq!(at(&mut world, 0).map(|after| after.as_millis()), Some(100_100));
    assert!(names(&world).is_empty());
    let again = at(&mut world, 101);
    let name = format!("tick-{}", minutes(time(100)));
    assert_eq!(names(&world), [name.as_str()]);
    assert_eq!(again.map(|after| after.as_millis()), Some(299_100));
    let job = world.get::<Job>(&Key::new("default", name.as_str())).unwrap();
    let notes = job.metadata.annotations.unwrap();
    assert_eq!(notes["batch.kubernetes.io/cronjob-scheduled-timestamp"], "2023-11-14T22:15:00Z");
    assert_eq!(job.metadata.labels.unwrap()["made"], "by-tick");
    assert_eq!(job.metadata.owner_references.unwrap()[0].controller, Some(true));
    assert_eq!(active(&world), [name.as_str()]);
    assert_eq!(status(&world).last_schedule_time.unwrap().0, time(100));
    assert!(world.told.contains(&format!("SuccessfulCreate: Created job {name}")));
    at(&mut world, 200);
    assert_eq!(names(&world).len(), 1, "one time, one job");
}

#[test]
fn h7_2_times_are_by_the_clocks_of_the_zone() {
    let mut world = world(json!({"schedule": "45 3 * * *", "timeZone": "Asia/Kolkata"}));
    at(&mut world, 200);
    let job = world.all::<Job>().remove(0);
    let notes = job.metadata.annotations.unwrap();
    assert_eq!(notes["batch.kubernetes.io/cronjob-scheduled-timestamp"], "2023-11-15T03:45:00+05:30");
}

#[test]
fn h7_2_what_cannot_be_read_is_told() {
    let mut unknown = world(json!({"timeZone": "Mars/Olympus"}));
    at(&mut unknown, 101);
    assert_eq!(
        unknown.told,
        ["UnknownTimeZone: invalid timeZone: \"Mars/Olympus\": unknown time zone Mars/Olympus"]
    );
    let mut broken = world(json!({"schedule": "often"}));
    at(&mut broken, 101);
    assert_eq!(
        broken.told,
        [
            "UnparseableSchedule: unparseable schedule: \"often\" : expected exactly 5 fields, found 1: [often]"
        ]
    );
}

#[test]
fn h7_3_policies_of_concurrency() {
    let (first, second) = (format!("tick-{}", minutes(time(100))), format!("tick-{}", minutes(time(400))));
    let mut allow = world(json!({}));
    at(&mut allow, 101);
    at(&mut allow, 401);
    assert_eq!(active(&allow), [first.clone(), second.clone()]);

    let mut forbid = world(json!({"concurrencyPolicy": "Forbid"}));
    at(&mut forbid, 101);
    at(&mut forbid, 401);
    assert_eq!(names(&forbid), [first.as_str()]);
    let told = "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    assert!(forbid.told.contains(&told.to_owned()));
    end(&mut forbid, &first, "Complete");
    at(&mut forbid, 450);
    assert_eq!(active(&forbid), [second.as_str()], "as soon as it may, the latest time is served");

    let mut replace = world(json!({"concurrencyPolicy": "Replace"}));
    at(&mut replace, 101);
    at(&mut replace, 401);
    assert_eq!(names(&replace), [second.as_str()]);
    assert_eq!(active(&replace), [second]);
    assert!(replace.told.contains(&format!("SuccessfulDelete: Deleted job {first}")));
}

#[test]
fn h7_4_of_missed_times_the_latest_counts_unless_it_is_too_late() {
    let mut missed = world(json!({}));
    at(&mut missed, 100 + 300 * 7 + 20);
    assert_eq!(names(&missed), [format!("tick-{}", minutes(time(100 + 300 * 7)))]);

    // The next time looked at lies within the deadline, so what is older is no longer seen.
    let mut late = world(json!({"startingDeadlineSeconds": 60}));
    at(&mut late, 100 + 300 * 2 + 100);
    assert!(names(&late).is_empty());

    let mut many = world(json!({"schedule": "* * * * *"}));
    at(&mut many, 60 * 200);
    assert_eq!(names(&many).len(), 1);
    let told = "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    assert!(many.told.contains(&told.to_owned()));
}

#[test]
fn h7_5_suspended_nothing_starts_and_then_the_latest() {
    let mut world = world(json!({"suspend": true}));
    assert_eq!(at(&mut world, 401), None);
    assert!(names(&world).is_empty());
    world.edit::<CronJob>(&key(), |cron| cron["spec"]["suspend"] = false.into());
    world.deliver_all();
    at(&mut world, 420);
    assert_eq!(names(&world), [format!("tick-{}", minutes(time(400)))]);
}

#[test]
fn h7_6_so_many_of_each_end_are_kept() {
    let mut world = world(json!({"successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1}));
    let mut made = Vec::new();
    for round in 0..6 {
        at(&mut world, 101 + 300 * round);
        let name = format!("tick-{}", minutes(time(100 + 300 * round)));
        end(&mut world, &name, if round % 2 == 0 { "Complete" } else { "Failed" });
        made.push(name);
    }
    at(&mut world, 101 + 300 * 5 + 10);
    assert_eq!(names(&world), [made[2].clone(), made[4].clone(), made[5].clone()]);
    assert!(
        world.told.contains(&format!("SawCompletedJob: Saw completed job: {}, condition: Failed", made[1]))
    );
    assert!(world.told.contains(&format!("SuccessfulDelete: Deleted job {}", made[0])));
    assert_eq!(active(&world), Vec::<String>::new());
    assert_eq!(status(&world).last_successful_time.unwrap().0, time(101 + 300 * 4));
}

#[test]
fn h7_6_jobs_that_vanish_or_appear_are_told() {
    let mut world = world(json!({}));
    at(&mut world, 101);
    let name = active(&world).remove(0);
    world.delete(&Job::RESOURCE, &Key::new("default", name.as_str()), None, false);
    world.deliver_all();
    at(&mut world, 110);
    assert!(world.told.contains(&format!("MissingJob: Active job went missing: {name}")));
    assert!(active(&world).is_empty() && names(&world).is_empty(), "its time was served");
    let owner = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "cron", "controller": true}]);
    world
        .create(json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "by-hand", "namespace": "default", "ownerReferences": owner},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "work"}]}}},
        }))
        .unwrap();
    world.deliver_all();
    at(&mut world, 120);
    let told = "UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand";
    assert!(world.told.contains(&told.to_owned()));
    assert!(active(&world).is_empty());
}

#[test]
fn a_cron_job_that_is_going_starts_nothing() {
    let mut world = world(json!({}));
    world.edit::<CronJob>(&key(), |cron| {
        cron["metadata"]["finalizers"] = json!(["hold"]);
        cron["metadata"]["deletionTimestamp"] = json!(time(0));
    });
    world.deliver_all();
    at(&mut world, 101);
    assert!(names(&world).is_empty());
    assert_eq!(CronJob::RESOURCE.plural, "cronjobs");
}
