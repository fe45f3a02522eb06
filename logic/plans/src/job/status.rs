//! What a Job says of itself (H6.5, H6.7, H6.8).
//!
//! Invariant: an unchanged world gives an unchanged status; the end is told once, with the write that states it.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::tally::{self, Counted, Tally};
use super::verdict::{Outcome, Verdict};
use super::{Sight, Spec as _, condition};
use crate::plan::{Action, Reason, Step};
use crate::pod;
use crate::replica_set::count;

/// The write of the status, if there is anything new, with what is to be told of it.
pub(super) fn write(
    sight: &Sight,
    tally: &Tally,
    counted: &Counted,
    verdict: Option<&Verdict>,
    active: usize,
) -> Vec<Step> {
    let job = sight.job;
    let mut status = counts(sight, tally, counted, active);
    let mut reason = None;
    if status.start_time.is_none() && !job.is_suspended() {
        status.start_time = Some(Time(sight.now));
    }
    match verdict {
        Some(verdict) => reason = conclude(sight, tally, counted, verdict, active, &mut status),
        None if job.metadata.deletion_timestamp.is_none() => reason = suspend(sight, &mut status),
        None => {}
    }
    let after = Job { status: Some(status), ..job.clone() };
    let step = Action::patch_status(job, &after).map(Step::from);
    step.map(|step| match reason {
        Some(reason) => step.done(reason),
        None => step,
    })
    .into_iter()
    .collect()
}

fn counts(sight: &Sight, tally: &Tally, counted: &Counted, active: usize) -> JobStatus {
    let job = sight.job;
    let before = job.status.clone().unwrap_or_default();
    let whole = |number: usize| Some(i32::try_from(number).unwrap_or(i32::MAX));
    let ready = tally.active.iter().filter(|pod| pod::is_ready(pod)).count();
    let mut status = JobStatus {
        active: count(active),
        ready: whole(ready.min(active)),
        terminating: whole(tally.terminating),
        succeeded: (counted.succeeded > 0).then_some(counted.succeeded),
        failed: (counted.failed > 0).then_some(counted.failed),
        uncounted_terminated_pods: Some(counted.uncounted.clone()),
        ..before
    };
    if job.is_indexed() {
        let done = tally.succeeded_indexes.write();
        status.completed_indexes = (!done.is_empty()).then_some(done);
        if job.spec_ref().backoff_limit_per_index.is_some() {
            status.failed_indexes = Some(tally.failed_indexes.write());
        }
    }
    status
}

/// First the verdict; the end only when the last pod is gone and counted.
fn conclude(
    sight: &Sight,
    tally: &Tally,
    counted: &Counted,
    verdict: &Verdict,
    active: usize,
    status: &mut JobStatus,
) -> Option<Reason> {
    let (kind, end) = verdict.conditions();
    if condition(sight.job, kind).is_none() {
        set(status, made(kind, "True", &verdict.reason, &verdict.message, sight.now));
        return None;
    }
    let settled = tally::listed(&counted.uncounted) == 0 && counted.release.is_empty();
    if !settled || active > 0 || !tally.active.is_empty() || tally.terminating > 0 {
        return None;
    }
    set(status, made(end, "True", &verdict.reason, &verdict.message, sight.now));
    Some(match verdict.outcome {
        Outcome::Success => {
            status.completion_time = Some(Time(sight.now));
            Reason::normal(sight.job, "Completed", "Job completed")
        }
        Outcome::Failure => Reason::warning(sight.job, told(&verdict.reason), verdict.message.clone()),
    })
}

/// The reason as Events carry it: one of the words there are.
fn told(reason: &str) -> &'static str {
    let words = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "PodFailurePolicy",
        "MaxFailedIndexesExceeded",
        "FailedIndexes",
    ];
    words.into_iter().find(|word| *word == reason).unwrap_or("Failed")
}

/// Suspended and resumed: a job that goes on starts its clock again.
fn suspend(sight: &Sight, status: &mut JobStatus) -> Option<Reason> {
    let job = sight.job;
    let present = status.conditions.iter().flatten().find(|condition| condition.type_ == "Suspended");
    let was = present.map(|condition| condition.status == "True");
    match (job.is_suspended(), was) {
        (true, None | Some(false)) => {
            set(status, made("Suspended", "True", "JobSuspended", "Job suspended", sight.now));
            Some(Reason::normal(job, "Suspended", "Job suspended"))
        }
        (false, Some(true)) => {
            set(status, made("Suspended", "False", "JobResumed", "Job resumed", sight.now));
            status.start_time = Some(Time(sight.now));
            Some(Reason::normal(job, "Resumed", "Job resumed"))
        }
        _ => None,
    }
}

fn made(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

fn set(status: &mut JobStatus, condition: JobCondition) {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|other| other.type_ == condition.type_) {
        Some(present) => *present = condition,
        None => conditions.push(condition),
    }
}
