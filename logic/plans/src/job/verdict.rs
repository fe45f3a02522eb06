//! Whether a job has come to its end, which way, and in which words (H6.4–H6.6). Pure leaf.
//!
//! Invariant: a verdict that is written stays; what happens afterwards does not turn it.

use jiff::SignedDuration;

use super::indexes::Indexes;
use super::tally::Tally;
use super::{Sight, Spec as _, condition, failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
}

/// How it ends, as the conditions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub outcome: Outcome,
    pub reason: String,
    pub message: String,
}

impl Verdict {
    /// The condition of the verdict, and the one of the end.
    pub(super) fn conditions(&self) -> (&'static str, &'static str) {
        match self.outcome {
            Outcome::Success => ("SuccessCriteriaMet", "Complete"),
            Outcome::Failure => ("FailureTarget", "Failed"),
        }
    }
}

fn success(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict { outcome: Outcome::Success, reason: reason.to_owned(), message: message.into() }
}

fn failure(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict { outcome: Outcome::Failure, reason: reason.to_owned(), message: message.into() }
}

/// The verdict that holds whatever the pods still do.
pub(super) fn reached(sight: &Sight, tally: &Tally) -> Option<Verdict> {
    written(sight)
        .or_else(|| failed(sight, tally))
        .or_else(|| by_index(sight, tally))
        .or_else(|| by_policy(sight, tally))
}

fn written(sight: &Sight) -> Option<Verdict> {
    let of = |kind: &str, outcome: Outcome| {
        let condition = condition(sight.job, kind)?;
        let (reason, message) =
            (condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default());
        Some(Verdict { outcome, reason, message })
    };
    of("SuccessCriteriaMet", Outcome::Success).or_else(|| of("FailureTarget", Outcome::Failure))
}

fn failed(sight: &Sight, tally: &Tally) -> Option<Verdict> {
    if let Some(message) = failure::ends_job(sight) {
        return Some(failure("PodFailurePolicy", message));
    }
    if tally.failed > sight.job.backoff_limit() || failure::restarts_exceed(sight) {
        return Some(failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let late = deadline_in(sight).is_some_and(|left| !left.is_positive());
    late.then(|| failure("DeadlineExceeded", "Job was active longer than specified deadline"))
}

/// How long until the job has been active for too long.
pub(super) fn deadline_in(sight: &Sight) -> Option<SignedDuration> {
    let seconds = sight.job.spec_ref().active_deadline_seconds?;
    let start = sight.job.status.as_ref()?.start_time.as_ref().filter(|_| !sight.job.is_suspended())?.0;
    Some(SignedDuration::from_secs(seconds) - sight.now.duration_since(start))
}

fn by_index(sight: &Sight, tally: &Tally) -> Option<Verdict> {
    let spec = sight.job.spec_ref();
    spec.backoff_limit_per_index.filter(|_| sight.job.is_indexed())?;
    let (failed, completions) = (tally.failed_indexes.len(), sight.job.completions()?);
    let most = spec.max_failed_indexes.map(|most| usize::try_from(most).unwrap_or(0));
    if most.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(failure("MaxFailedIndexesExceeded", message));
    }
    let over = failed > 0 && failed + tally.succeeded_indexes.len() >= completions;
    over.then(|| failure("FailedIndexes", "Job has failed indexes"))
}

fn by_policy(sight: &Sight, tally: &Tally) -> Option<Verdict> {
    let policy = sight.job.spec_ref().success_policy.as_ref().filter(|_| sight.job.is_indexed())?;
    let completions = sight.job.completions()?;
    let meets = |rule: &k8s_openapi::api::batch::v1::SuccessPolicyRule| {
        let wanted = rule.succeeded_indexes.as_deref().map(|text| Indexes::parse(text, completions));
        let done = tally.succeeded_indexes.0.iter();
        let done = done.filter(|index| wanted.as_ref().is_none_or(|wanted| wanted.has(**index))).count();
        let count = rule.succeeded_count.map(|count| usize::try_from(count).unwrap_or(0));
        count.or(wanted.as_ref().map(Indexes::len)).is_some_and(|count| done >= count)
    };
    let place = policy.rules.iter().position(meets)?;
    Some(success("SuccessPolicy", format!("Matched rules at index {place}")))
}

/// The verdict of enough successes, once nothing runs any more.
pub(super) fn completed(sight: &Sight, tally: &Tally, active: usize) -> Option<Verdict> {
    let enough = match sight.job.completions() {
        None => tally.succeeded > 0,
        Some(wanted) => tally.succeeded >= wanted,
    };
    let done = enough && active == 0;
    done.then(|| success("CompletionsReached", "Reached expected number of succeeded pods"))
}
