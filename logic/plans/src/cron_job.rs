//! CronJob: a Job at every time its schedule names (H7).
//!
//! View → Jobs made and deleted, the list of active ones, and when to look again. Control flow of upstream's controller.
//! Invariants: at one time at most one Job is made, named after that time, so that it is never made twice; of times that
//! were missed only the latest counts.

mod history;
mod times;

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kelson_machinery::cron::{self, Schedule};

use crate::job::ended;
use crate::key::Key;
use crate::kinds::Any;
use crate::owners::{controller_of, controller_reference, is_controlled_by};
use crate::plan::{Action, Ending, Plan, Propagation, Reason, Step};
use crate::view::{Changed, View};
use times::Missed;

/// The time a Job was made for.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// A CronJob, its Jobs, and the status it is going to have.
struct Sight<'a> {
    view: &'a View,
    cron: &'a CronJob,
    jobs: Vec<&'a Arc<Job>>,
    now: Timestamp,
    status: CronJobStatus,
    reasons: Vec<Reason>,
}

/// The next step for one CronJob.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let Some(cron) = view.cron_jobs.get(key) else { return Plan::default() };
    let jobs = jobs(view, cron);
    let status = cron.status.clone().unwrap_or_default();
    let mut sight = Sight { view, cron, jobs, now, status, reasons: Vec::new() };
    history::take_stock(&mut sight);
    let mut plan = Plan::default();
    let mut deleted = history::clean_up(&mut sight);
    if cron.metadata.deletion_timestamp.is_none() && cron.spec.suspend != Some(true) {
        let started = start(&mut sight, &mut plan);
        deleted.extend(started.replaced);
        plan.stage(deleted);
        plan.stage(started.create.into_iter().collect());
    } else {
        plan.stage(deleted);
    }
    let written = write(&sight);
    plan.stage(written);
    plan.reasons = sight.reasons;
    plan
}

/// What starting the next run takes.
#[derive(Default)]
struct Started {
    replaced: Vec<Step>,
    create: Option<Step>,
}

fn start(sight: &mut Sight, plan: &mut Plan) -> Started {
    let Some((schedule, zone)) = readable(sight) else { return Started::default() };
    let deadline = sight.cron.spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    let run = times::due(sight.cron, sight.now, deadline, &schedule, &zone);
    if let Some(next) = times::next(sight.cron, sight.now, &schedule, &zone) {
        plan.requeue(next.duration_since(sight.now));
    }
    if run.missed == Missed::Many {
        let message =
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        tell(sight, Reason::warning(sight.cron, "TooManyMissedTimes", message));
    }
    let Some(at) = run.at else { return Started::default() };
    if deadline.is_some_and(|deadline| at + deadline < sight.now) {
        let message = format!("Missed scheduled time to start a job: {}", times::rfc1123(at));
        tell(sight, Reason::warning(sight.cron, "MissSchedule", message));
        return Started::default();
    }
    begin(sight, at, &zone)
}

/// The schedule and its clocks; what cannot be read is told.
fn readable(sight: &mut Sight) -> Option<(Schedule, TimeZone)> {
    let spec = &sight.cron.spec;
    let name = spec.time_zone.as_deref().unwrap_or_default();
    let Some(zone) = cron::time_zone(name) else {
        let message = format!("invalid timeZone: {name:?}: unknown time zone {name}");
        tell(sight, Reason::warning(sight.cron, "UnknownTimeZone", message));
        return None;
    };
    match Schedule::parse(&spec.schedule) {
        Ok(schedule) => Some((schedule, zone)),
        Err(error) => {
            let message = format!("unparseable schedule: {:?} : {error}", spec.schedule);
            tell(sight, Reason::warning(sight.cron, "UnparseableSchedule", message));
            None
        }
    }
}

fn begin(sight: &mut Sight, at: Timestamp, zone: &TimeZone) -> Started {
    let cron = sight.cron;
    let name = job_name(cron, at);
    let active = sight.status.active.clone().unwrap_or_default();
    let done = active.iter().any(|job| job.name.as_deref() == Some(name.as_str()))
        || sight.status.last_schedule_time.as_ref().is_some_and(|last| last.0 == at);
    if done {
        return Started::default();
    }
    let namespace = cron.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(present) = sight.view.jobs.get(&Key::new(namespace, &name)) {
        // Made before, and not yet noted; or somebody else's, and then this time is taken.
        if is_controlled_by(&present.metadata, cron.metadata.uid.as_deref()) {
            note_active(sight, present, at);
        }
        return Started::default();
    }
    let policy = cron.spec.concurrency_policy.as_deref().unwrap_or("Allow");
    if policy == "Forbid" && !active.is_empty() {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        tell(sight, Reason::normal(cron, "JobAlreadyActive", message));
        return Started::default();
    }
    let mut started = Started::default();
    if policy == "Replace" {
        let running: Vec<&Arc<Job>> = active.iter().filter_map(|job| find(sight, job)).collect();
        for job in running {
            forget(&mut sight.status, job.metadata.uid.as_deref());
            started.replaced.push(delete(cron, job));
        }
    }
    let step = Step::from(Action::create(&make(cron, at, zone)));
    started.create = Some(
        step.done(Reason::normal(cron, "SuccessfulCreate", format!("Created job {name}")))
            .failed(Reason::warning(cron, "FailedCreate", "Error creating job: ").ending(Ending::Refusal)),
    );
    started
}

/// The Job of a time. Its status entry follows when it is seen: only then is its uid known.
fn make(cron: &CronJob, at: Timestamp, zone: &TimeZone) -> Job {
    let template = &cron.spec.job_template;
    let meta = template.metadata.clone().unwrap_or_default();
    let mut notes = meta.annotations.unwrap_or_default();
    notes.insert(SCHEDULED.to_owned(), times::rfc3339(at, zone));
    Job {
        metadata: ObjectMeta {
            name: Some(job_name(cron, at)),
            namespace: cron.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: Some(notes),
            owner_references: Some(vec![controller_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// `<cron job>-<minutes since 1970>` (H7.1).
fn job_name(cron: &CronJob, at: Timestamp) -> String {
    format!("{}-{}", cron.metadata.name.as_deref().unwrap_or_default(), at.as_second() / 60)
}

fn delete(cron: &CronJob, job: &Job) -> Step {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let mut action = Action::delete(job);
    if let Action::Delete { propagation, .. } = &mut action {
        *propagation = Some(Propagation::Background);
    }
    Step::from(action)
        .done(Reason::normal(cron, "SuccessfulDelete", format!("Deleted job {name}")))
        .failed(Reason::warning(cron, "FailedDelete", "Deleted job: ").ending(Ending::Refusal))
}

fn note_active(sight: &mut Sight, job: &Job, at: Timestamp) {
    if ended(job).is_none() {
        sight.status.active.get_or_insert_default().push(reference(job));
    }
    sight.status.last_schedule_time = Some(Time(at));
}

fn reference(job: &Job) -> ObjectReference {
    ObjectReference { resource_version: job.metadata.resource_version.clone(), ..crate::plan::reference(job) }
}

/// Takes a Job from the list of active ones.
fn forget(status: &mut CronJobStatus, uid: Option<&str>) {
    let Some(active) = &mut status.active else { return };
    active.retain(|job| job.uid.as_deref() != uid);
    if active.is_empty() {
        status.active = None;
    }
}

fn find<'a>(sight: &Sight<'a>, reference: &ObjectReference) -> Option<&'a Arc<Job>> {
    sight.jobs.iter().copied().find(|job| job.metadata.uid == reference.uid)
}

fn tell(sight: &mut Sight, reason: Reason) {
    sight.reasons.push(reason);
}

fn write(sight: &Sight) -> Vec<Step> {
    let after = CronJob { status: Some(sight.status.clone()), ..sight.cron.clone() };
    Action::patch_status(sight.cron, &after).map(Step::from).into_iter().collect()
}

/// The Jobs that the CronJob controls, by name.
fn jobs<'a>(view: &'a View, cron: &CronJob) -> Vec<&'a Arc<Job>> {
    let uid = cron.metadata.uid.as_deref();
    let jobs = view.jobs.marked(uid.unwrap_or_default());
    jobs.filter(|job| is_controlled_by(&job.metadata, uid)).collect()
}

/// The CronJobs that a change concerns.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::CronJob(_) => keys.push(changed.key.clone()),
            Any::Job(job) => {
                let owner = controller_of(&job.metadata).filter(|owner| owner.kind == "CronJob");
                keys.extend(owner.map(|owner| Key::new(&changed.key.namespace, &owner.name)));
            }
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests;
