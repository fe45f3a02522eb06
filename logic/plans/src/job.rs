//! Job: pods that run until enough of them have succeeded, or too many have failed (H6).
//!
//! View → pods made and deleted, their results counted, and the status. Every pod carries a finalizer until its result is
//! written down, so that none is lost and none counts twice: first its uid stands in `uncountedTerminatedPods`, then the
//! finalizer goes, then the uid becomes a number. Invariants: one plan writes the status before it touches a pod; the
//! verdict (SuccessCriteriaMet, FailureTarget) is written before the end (Complete, Failed), which waits for the last pod.

mod failure;
mod indexes;
mod pods;
mod running;
mod status;
mod stray;
mod tally;
mod verdict;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use crate::key::Key;
use crate::kinds::Any;
use crate::plan::{Action, Plan, Propagation};
use crate::view::{Changed, View};
use crate::{claiming, select};
use tally::Tally;

/// The finalizer that holds a pod until its result is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Who runs a job that names nobody.
const CONTROLLER: &str = "kubernetes.io/job-controller";

/// All that one look at a job is about.
struct Sight<'a> {
    job: &'a Job,
    pods: Vec<&'a Arc<Pod>>,
    now: Timestamp,
}

/// The next step for one Job.
pub fn plan(view: &View, key: &Key, now: Timestamp) -> Plan {
    let job = view.jobs.get(key);
    let strays = stray::release(view, key, job);
    if !strays.is_empty() {
        return Plan::of(strays);
    }
    let Some(job) = job else { return Plan::default() };
    let elsewhere = job.spec_ref().managed_by.as_deref().is_some_and(|name| name != CONTROLLER);
    let Some(selector) = job.spec_ref().selector.as_ref() else { return Plan::default() };
    if elsewhere || select::is_empty(selector) {
        return Plan::default();
    }
    match claiming::pods(view, job.as_ref(), selector) {
        Err(steps) => Plan::of(steps),
        Ok(pods) => {
            let sight = Sight { job, pods, now };
            if let Some(ended) = ended(job) { after(&sight, ended) } else { step(&sight) }
        }
    }
}

fn step(sight: &Sight) -> Plan {
    let tally = Tally::of(sight);
    let mut plan = Plan::default();
    let mut verdict = verdict::reached(sight, &tally);
    let mut running = running::Running::default();
    match (&verdict, sight.job.metadata.deletion_timestamp.is_some()) {
        (Some(_), _) => running.stop_all(&tally),
        (None, true) => {}
        (None, false) => running.manage(sight, &tally),
    }
    if verdict.is_none() && running.create.is_empty() {
        verdict = verdict::completed(sight, &tally, tally.active.len() - running.delete.len());
    }
    if let Some(after) = running.again {
        plan.requeue(after);
    }
    if let Some(after) = verdict::deadline_in(sight).filter(|_| verdict.is_none()) {
        plan.requeue(after);
    }
    let counted = tally.count(sight, verdict.as_ref());
    let active = tally.active.len() - running.delete.len();
    plan.stage(status::write(sight, &tally, &counted, verdict.as_ref(), active));
    plan.stage(counted.release.iter().filter_map(|pod| pods::untrack(pod)).collect());
    running.stages(sight, &mut plan);
    plan
}

/// What is left to do for a job that has ended: let its last pods go, and the job itself when its time is up.
fn after(sight: &Sight, ended: &JobCondition) -> Plan {
    let held = sight.pods.iter().filter_map(|pod| pods::untrack(pod)).collect();
    let mut plan = Plan::of(held);
    let seconds = sight.job.spec_ref().ttl_seconds_after_finished;
    let since = ended.last_transition_time.as_ref().map(|time| time.0);
    let Some((seconds, since)) = seconds.zip(since) else { return plan };
    if sight.job.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let left = SignedDuration::from_secs(seconds.into()) - sight.now.duration_since(since);
    if left.is_positive() {
        plan.requeue(left);
        return plan;
    }
    let mut action = Action::delete(sight.job);
    if let Action::Delete { propagation, resource_version, .. } = &mut action {
        *propagation = Some(Propagation::Foreground);
        // It may have been given more time since.
        resource_version.clone_from(&sight.job.metadata.resource_version);
    }
    plan.stage(vec![action.into()]);
    plan
}

/// The condition that says the job has ended, one way or the other.
pub(crate) fn ended(job: &Job) -> Option<&JobCondition> {
    condition(job, "Complete").or_else(|| condition(job, "Failed"))
}

/// A condition of the job that holds.
pub(crate) fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// The Jobs that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::Job(_) => keys.push(changed.key.clone()),
            Any::Pod(pod) => {
                let meta = &pod.metadata;
                keys.extend(claiming::owners_of::<Job>(view, meta, |job| job.spec_ref().selector.as_ref()));
                keys.extend(stray::job_named_by(pod));
            }
            _ => {}
        }
    }
    keys
}

/// The parts of a Job's spec, with the API's defaults for what is not there.
trait Spec {
    fn spec_ref(&self) -> &k8s_openapi::api::batch::v1::JobSpec;
    fn parallelism(&self) -> usize;
    fn completions(&self) -> Option<usize>;
    fn backoff_limit(&self) -> i64;
    fn is_indexed(&self) -> bool;
    fn is_suspended(&self) -> bool;
    fn waits_for_failure(&self) -> bool;
}

impl Spec for Job {
    fn spec_ref(&self) -> &k8s_openapi::api::batch::v1::JobSpec {
        static EMPTY: std::sync::LazyLock<k8s_openapi::api::batch::v1::JobSpec> =
            std::sync::LazyLock::new(Default::default);
        self.spec.as_ref().unwrap_or(&EMPTY)
    }

    fn parallelism(&self) -> usize {
        usize::try_from(self.spec_ref().parallelism.unwrap_or(1)).unwrap_or(0)
    }

    fn completions(&self) -> Option<usize> {
        self.spec_ref().completions.map(|number| usize::try_from(number).unwrap_or(0))
    }

    fn backoff_limit(&self) -> i64 {
        self.spec_ref().backoff_limit.unwrap_or(6).into()
    }

    fn is_indexed(&self) -> bool {
        self.spec_ref().completion_mode.as_deref() == Some("Indexed")
    }

    fn is_suspended(&self) -> bool {
        self.spec_ref().suspend == Some(true)
    }

    /// Whether a pod is replaced only when it has failed, not while it is still on its way out.
    fn waits_for_failure(&self) -> bool {
        self.spec_ref().pod_replacement_policy.as_deref() == Some("Failed")
    }
}

#[cfg(test)]
mod tests;
