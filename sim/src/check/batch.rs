//! Jobs have come to their end and say what happened; CronJobs keep as many as they may.

use kelson_machinery::meta;
use kelson_plans::Key;
use serde_json::Value;

use super::Judgement;
use crate::always::TRACKING;
use crate::api::Stored;
use crate::world::{World, resource};

pub(super) fn all(world: &World) -> Judgement {
    for (key, job) in world.api.all(&resource("jobs")) {
        is_as_it_says(world, key, job)?;
    }
    for (key, pod) in world.api.all(&resource("pods")) {
        let ended = matches!(meta::get_str(pod, &["status", "phase"]), "Failed" | "Succeeded");
        if ended && meta::finalizers(pod).contains(&TRACKING) {
            return Err(format!("{key} has ended and is still held for its job: {}", pod["metadata"]));
        }
    }
    for (key, cron) in world.api.all(&resource("cronjobs")) {
        keeps_its_history(world, key, cron)?;
    }
    Ok(())
}

fn has(job: &Value, kind: &str) -> bool {
    let conditions = meta::get_list(job, &["status", "conditions"]);
    conditions.iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn is_as_it_says(world: &World, key: &Key, job: &Stored) -> Judgement {
    let wrong = |what: &str| Err(format!("job {key} {what}: {} {}", job["spec"], job["status"]));
    let spec = |field: &str| meta::get_i64(job, &["spec", field]);
    let status = |field: &str| meta::get_i64(job, &["status", field]).unwrap_or(0);
    let (complete, failed) = (has(job, "Complete"), has(job, "Failed"));
    let succeeded = world.succeeded(meta::uid(job)) as i64;
    let indexed = meta::get_str(job, &["spec", "completionMode"]) == "Indexed";
    if !indexed && status("succeeded") != succeeded {
        return wrong(&format!("has had {succeeded} successes and counts others"));
    }
    if complete && failed {
        return wrong("has succeeded and failed");
    }
    if !complete && !failed {
        let held = meta::get_bool(job, &["spec", "suspend"]) || spec("parallelism") == Some(0);
        return if held { Ok(()) } else { wrong("never ends") };
    }
    if status("active") > 0 || meta::get(job, &["status", "uncountedTerminatedPods"]).is_some_and(has_any) {
        return wrong("has ended with something left");
    }
    if complete && status("succeeded") < spec("completions").unwrap_or(1) {
        return wrong("is complete too early");
    }
    if spec("ttlSecondsAfterFinished").is_some() {
        return wrong("has outlived its time");
    }
    Ok(())
}

fn has_any(uncounted: &Value) -> bool {
    ["succeeded", "failed"]
        .iter()
        .any(|list| uncounted[*list].as_array().is_some_and(|list| !list.is_empty()))
}

fn keeps_its_history(world: &World, key: &Key, cron: &Stored) -> Judgement {
    let jobs = world.api.all(&resource("jobs")).filter(|(_, job)| {
        meta::get_list(job, &["metadata", "ownerReferences"])
            .iter()
            .any(|owner| owner["uid"] == meta::uid(cron))
    });
    let jobs: Vec<&Value> = jobs.map(|(_, job)| &***job).collect();
    for (kind, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let limit = meta::get_i64(cron, &["spec", field]).unwrap_or(i64::MAX);
        let count = jobs.iter().filter(|job| has(job, kind)).count() as i64;
        if count > limit {
            return Err(format!("{key} keeps {count} jobs that are {kind}, of {limit}"));
        }
    }
    let running = jobs.iter().filter(|job| !has(job, "Complete") && !has(job, "Failed")).count();
    let listed = meta::get_list(cron, &["status", "active"]).len();
    if running != listed {
        return Err(format!("{key} has {running} jobs that run and lists {listed}: {}", cron["status"]));
    }
    Ok(())
}
