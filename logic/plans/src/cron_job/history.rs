//! What has become of a CronJob's Jobs: which run, which ended, which are kept for memory (H7.6, H7.7).

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{SCHEDULED, Sight, delete, forget, note_active, tell};
use crate::job::{condition, ended};
use crate::plan::{Reason, Step};

/// Brings the list of active Jobs in line with what is there.
pub(super) fn take_stock(sight: &mut Sight) {
    for job in sight.jobs.clone() {
        let uid = job.metadata.uid.as_deref();
        let listed = sight.status.active.iter().flatten().any(|active| active.uid.as_deref() == uid);
        match ended(job) {
            None if !listed => met(sight, job),
            Some(end) if listed => {
                let name = job.metadata.name.as_deref().unwrap_or_default();
                let message = format!("Saw completed job: {name}, condition: {}", end.type_);
                tell(sight, Reason::normal(sight.cron, "SawCompletedJob", message));
                forget(&mut sight.status, uid);
            }
            _ => {}
        }
        note_success(sight, job);
    }
    let mut active = sight.status.active.clone().unwrap_or_default();
    active.retain(|active| !sight.jobs.iter().any(|job| job.metadata.uid == active.uid));
    for missing in active {
        let name = missing.name.as_deref().unwrap_or_default();
        tell(sight, Reason::normal(sight.cron, "MissingJob", format!("Active job went missing: {name}")));
        forget(&mut sight.status, missing.uid.as_deref());
    }
}

/// A running Job that is not on the list: one just made here, or one made by hand.
fn met(sight: &mut Sight, job: &Arc<Job>) {
    let notes = job.metadata.annotations.as_ref();
    let at = notes.and_then(|notes| notes.get(SCHEDULED)).and_then(|text| text.parse().ok());
    let name = job.metadata.name.as_deref().unwrap_or_default();
    match at {
        Some(at) if super::job_name(sight.cron, at) == name => note_active(sight, job, at),
        // Told as long as nobody has looked at the Job: after that it is known.
        _ if job.status.as_ref().is_none_or(|status| *status == Default::default()) => {
            let message = format!("Saw a job that the controller did not create or forgot: {name}");
            tell(sight, Reason::warning(sight.cron, "UnexpectedJob", message));
        }
        _ => {}
    }
}

fn note_success(sight: &mut Sight, job: &Job) {
    let end = job.status.as_ref().and_then(|status| status.completion_time.as_ref());
    let Some(end) = end.filter(|_| condition(job, "Complete").is_some()) else { return };
    if sight.status.last_successful_time.as_ref().is_none_or(|last| last.0 < end.0) {
        sight.status.last_successful_time = Some(Time(end.0));
    }
}

/// Deletes the oldest Jobs that ended, beyond what is to be kept of each kind.
pub(super) fn clean_up(sight: &mut Sight) -> Vec<Step> {
    let spec = &sight.cron.spec;
    let limits =
        [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)];
    let mut steps = Vec::new();
    for (kind, limit) in limits {
        let Some(limit) = limit.map(|limit| usize::try_from(limit).unwrap_or(0)) else { continue };
        let mut jobs: Vec<&Arc<Job>> = sight
            .jobs
            .iter()
            .copied()
            .filter(|job| ended(job).is_some_and(|end| end.type_ == kind))
            .collect();
        jobs.sort_by_key(|job| (started(job), job.metadata.name.clone()));
        let excess = jobs.len().saturating_sub(limit);
        let going = jobs.into_iter().take(excess).filter(|job| job.metadata.deletion_timestamp.is_none());
        steps.extend(going.map(|job| delete(sight.cron, job)));
    }
    steps
}

fn started(job: &Job) -> Option<jiff::Timestamp> {
    job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0)
}
