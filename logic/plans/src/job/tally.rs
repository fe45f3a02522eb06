//! A job's pods, counted: who runs, who succeeded, who failed, and what of it is already written down.
//!
//! Invariant: a pod counts once. As long as it has its finalizer it is found here; once its uid is in the status it is
//! found there; once the finalizer is gone the uid becomes part of a number.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::indexes::Indexes;
use super::verdict::{Outcome, Verdict};
use super::{Sight, Spec as _, failure, pods};
use crate::pod;

/// Uids that may stand uncounted in a status at once, as upstream.
const UNCOUNTED_MAX: usize = 500;

/// The pods of a job at one look.
pub(super) struct Tally<'a> {
    /// Neither ended nor asked to go.
    pub active: Vec<&'a Arc<Pod>>,
    /// Asked to go and not yet ended.
    pub terminating: usize,
    pub succeeded: usize,
    pub failed: i64,
    /// Of an indexed job.
    pub succeeded_indexes: Indexes,
    pub failed_indexes: Indexes,
}

/// What is to be written down now, and which pods may go once it is.
pub(super) struct Counted<'a> {
    pub succeeded: i32,
    pub failed: i32,
    pub uncounted: UncountedTerminatedPods,
    pub release: Vec<&'a Arc<Pod>>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(sight: &Sight<'a>) -> Self {
        let job = sight.job;
        let status = job.status.clone().unwrap_or_default();
        let known = uncounted(&status);
        let fresh = |pod: &&&Arc<Pod>| pods::is_tracked(pod) && !is_known(&known, pod);
        let succeeded = sight.pods.iter().filter(fresh).filter(|pod| pod::phase(pod) == "Succeeded").count();
        let failed = sight.pods.iter().filter(fresh).filter(|pod| pods::has_failed(job, pod));
        let failed = failed.filter(|pod| failure::counts(job, pod)).count();
        let before = |number: Option<i32>| usize::try_from(number.unwrap_or(0)).unwrap_or(0);
        let listed = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
        let failed = before(status.failed) + listed(&known.failed) + failed;
        let mut tally = Self {
            active: sight.pods.iter().copied().filter(|pod| pod::is_active(pod)).collect(),
            terminating: sight.pods.iter().filter(|pod| is_terminating(pod)).count(),
            succeeded: before(status.succeeded) + listed(&known.succeeded) + succeeded,
            failed: i64::try_from(failed).unwrap_or(i64::MAX),
            succeeded_indexes: Indexes::default(),
            failed_indexes: Indexes::default(),
        };
        if let Some(completions) = job.completions().filter(|_| job.is_indexed()) {
            tally.by_index(sight, &status, completions);
        }
        tally
    }

    fn by_index(&mut self, sight: &Sight, status: &JobStatus, completions: usize) {
        let job = sight.job;
        let held = || sight.pods.iter().filter(|pod| pods::is_tracked(pod));
        let done = held().filter(|pod| pod::phase(pod) == "Succeeded");
        self.succeeded_indexes =
            Indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), completions);
        self.succeeded_indexes.0.extend(done.filter_map(|pod| pods::index(job, pod)));
        self.succeeded = self.succeeded_indexes.len();
        if job.spec_ref().backoff_limit_per_index.is_some() {
            let failed = held().filter(|pod| failure::fails_index(job, pod));
            self.failed_indexes =
                Indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), completions);
            self.failed_indexes.0.extend(failed.filter_map(|pod| pods::index(job, pod)));
        }
    }

    /// Moves results one step on: to uids in the status, and from there to numbers.
    pub(super) fn count(&self, sight: &Sight<'a>, verdict: Option<&Verdict>) -> Counted<'a> {
        let job = sight.job;
        let status = job.status.clone().unwrap_or_default();
        let held: BTreeSet<&str> =
            sight.pods.iter().filter(|pod| pods::is_tracked(pod)).map(|pod| uid(pod)).collect();
        let mut counted = settle(&status, &held);
        let lost = verdict.is_some_and(|verdict| verdict.outcome == Outcome::Failure);
        let over = verdict.is_some() || job.metadata.deletion_timestamp.is_some();
        for pod in sight.pods.iter().filter(|pod| pods::is_tracked(pod)) {
            let full = listed(&counted.uncounted) >= UNCOUNTED_MAX;
            let failed = pods::has_failed(job, pod);
            let going = over && pod::is_deleting(pod);
            let known = is_known(&counted.uncounted, pod);
            if pod::phase(pod) == "Succeeded" {
                // An index that is written down as completed needs no uid.
                if !job.is_indexed() && !known && !full {
                    push(&mut counted.uncounted.succeeded, pod);
                }
            } else if !(failed || going) || (!over && failure::is_awaited(sight, self, pod)) {
                continue;
            } else if (failed || lost) && failure::counts(job, pod) && !known && !full {
                push(&mut counted.uncounted.failed, pod);
            }
            if !full || known {
                counted.release.push(*pod);
            }
        }
        if job.is_indexed() {
            counted.succeeded = i32::try_from(self.succeeded_indexes.len()).unwrap_or(i32::MAX);
        }
        counted
    }
}

/// What of the uncounted has lost its finalizer, and so becomes a number.
fn settle<'a>(status: &JobStatus, held: &BTreeSet<&str>) -> Counted<'a> {
    let before = uncounted(status);
    let split = |list: Option<Vec<String>>| -> (i32, Option<Vec<String>>) {
        let (stay, gone): (Vec<String>, Vec<String>) =
            list.unwrap_or_default().into_iter().partition(|uid| held.contains(uid.as_str()));
        (i32::try_from(gone.len()).unwrap_or(i32::MAX), (!stay.is_empty()).then_some(stay))
    };
    let (succeeded, left_succeeded) = split(before.succeeded);
    let (failed, left_failed) = split(before.failed);
    Counted {
        succeeded: status.succeeded.unwrap_or(0).saturating_add(succeeded),
        failed: status.failed.unwrap_or(0).saturating_add(failed),
        uncounted: UncountedTerminatedPods { succeeded: left_succeeded, failed: left_failed },
        release: Vec::new(),
    }
}

fn uncounted(status: &JobStatus) -> UncountedTerminatedPods {
    status.uncounted_terminated_pods.clone().unwrap_or_default()
}

/// How many uids are still to become numbers.
pub(super) fn listed(uncounted: &UncountedTerminatedPods) -> usize {
    let lists = [&uncounted.succeeded, &uncounted.failed];
    lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)).sum()
}

fn is_known(uncounted: &UncountedTerminatedPods, pod: &Pod) -> bool {
    let mut known = uncounted.succeeded.iter().chain(&uncounted.failed).flatten();
    known.any(|known| known == uid(pod))
}

fn push(list: &mut Option<Vec<String>>, pod: &Pod) {
    list.get_or_insert_default().push(uid(pod).to_owned());
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

fn is_terminating(pod: &Pod) -> bool {
    pod::is_deleting(pod) && !pod::is_terminal(pod)
}
