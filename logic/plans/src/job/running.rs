//! How many pods a job has running now: those missing are made, those too many deleted (H6.1, H6.4, H6.7).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;

use super::pods::Slot;
use super::tally::Tally;
use super::{Sight, Spec as _, failure, pods};
use crate::plan::Plan;
use crate::pod;
use crate::replica_set::{choose_victims, slow_start};

/// Creations or deletions in one plan at most, as upstream.
const BURST: usize = 500;

/// What is to be made and deleted.
#[derive(Default)]
pub(super) struct Running<'a> {
    pub create: Vec<Slot>,
    pub delete: Vec<&'a Arc<Pod>>,
    /// Whether those to be deleted no longer count, whichever way they end.
    uncounted: bool,
    pub again: Option<SignedDuration>,
}

impl<'a> Running<'a> {
    /// The job has come to its end: nothing may run on.
    pub(super) fn stop_all(&mut self, tally: &Tally<'a>) {
        self.delete = tally.active.clone();
    }

    pub(super) fn manage(&mut self, sight: &Sight<'a>, tally: &Tally<'a>) {
        let job = sight.job;
        self.uncounted = true;
        if job.is_suspended() {
            self.delete = tally.active.iter().copied().take(BURST).collect();
            return;
        }
        let wanted = wanted(sight, tally);
        let active = tally.active.len();
        self.delete = excess(sight, tally, active.saturating_sub(wanted));
        if !self.delete.is_empty() {
            return;
        }
        let leaving = if job.waits_for_failure() { tally.terminating } else { 0 };
        let missing = wanted.saturating_sub(active + leaving).min(BURST);
        if missing > 0 {
            self.fill(sight, tally, missing);
        }
    }

    fn fill(&mut self, sight: &Sight, tally: &Tally, missing: usize) {
        let by_index = sight.job.spec_ref().backoff_limit_per_index.is_some();
        if !by_index {
            let wait = failure::wait_of_job(sight);
            if wait.is_positive() {
                self.again = Some(wait);
                return;
            }
        }
        match sight.job.completions().filter(|_| sight.job.is_indexed()) {
            None => self.create = vec![Slot::default(); missing],
            Some(completions) => {
                for index in pending(sight, tally, completions, missing) {
                    self.place(sight, index, by_index);
                }
            }
        }
    }

    fn place(&mut self, sight: &Sight, index: usize, by_index: bool) {
        let (failures, last) = failure::of_index(sight, index).filter(|_| by_index).unwrap_or((0, None));
        let wait = failure::wait(u32::try_from(failures).unwrap_or(0), last, sight.now);
        if wait.is_positive() {
            self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
            return;
        }
        self.create.push(Slot { index: Some(index), failures: by_index.then_some(failures) });
    }

    /// The stages that carry it out.
    pub(super) fn stages(&self, sight: &Sight, plan: &mut Plan) {
        if self.uncounted {
            plan.stage(self.delete.iter().filter_map(|pod| pods::untrack(pod)).collect());
        }
        plan.stage(self.delete.iter().map(|pod| pods::delete(sight.job, pod)).collect());
        let mut slots = self.create.iter();
        plan.stages.extend(slow_start(self.create.len(), || {
            pods::create(sight.job, slots.next().expect("there are as many slots as were counted"))
        }));
    }
}

/// How many should run: as many as in parallel, but no more than successes are missing.
fn wanted(sight: &Sight, tally: &Tally) -> usize {
    let parallel = sight.job.parallelism();
    match sight.job.completions() {
        // A queue of work: once a pod has found it empty, no further one is started.
        None if tally.succeeded > 0 => tally.active.len().min(parallel),
        None => parallel,
        Some(completions) => parallel.min(completions.saturating_sub(tally.succeeded)),
    }
}

/// The pods too many: those without a valid index of their own first, then the least useful.
fn excess<'a>(sight: &Sight<'a>, tally: &Tally<'a>, count: usize) -> Vec<&'a Arc<Pod>> {
    let (mut doubled, mut rest) = (Vec::new(), Vec::new());
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    for pod in &tally.active {
        let index = pods::index(sight.job, pod);
        let valid = index.is_some_and(|index| !tally.succeeded_indexes.has(index) && seen.insert(index));
        if sight.job.is_indexed() && !valid { doubled.push(*pod) } else { rest.push(*pod) }
    }
    let more = count.saturating_sub(doubled.len());
    doubled.extend(choose_victims(&rest, &[], more, sight.now));
    doubled.truncate(BURST);
    doubled
}

/// The first so many indexes that nobody works on and that are still to be done.
fn pending(sight: &Sight, tally: &Tally, completions: usize, count: usize) -> Vec<usize> {
    let job = sight.job;
    let taken = sight.pods.iter().filter(|pod| {
        pod::is_active(pod) || (job.waits_for_failure() && pod::is_deleting(pod) && !pod::is_terminal(pod))
    });
    let taken: BTreeSet<usize> = taken.filter_map(|pod| pods::index(job, pod)).collect();
    let open = (0..completions).filter(|index| {
        !taken.contains(index) && !tally.succeeded_indexes.has(*index) && !tally.failed_indexes.has(*index)
    });
    open.take(count).collect()
}
