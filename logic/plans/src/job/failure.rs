//! What a pod's failure means: the policy's rules, restarts, back-off, and failures by index (H6.4, H6.6). Pure leaf.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{
    Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::tally::Tally;
use super::{Sight, Spec as _, pods};
use crate::key::Key;
use crate::pod;

/// The wait after a first failure; each further one doubles it.
const BACKOFF: SignedDuration = SignedDuration::from_secs(10);
const BACKOFF_MAX: SignedDuration = SignedDuration::from_mins(10);

/// The rule that a failed pod meets, and why.
struct Match<'a> {
    rule: &'a PodFailurePolicyRule,
    message: String,
}

fn matched<'a>(job: &'a Job, pod: &Pod) -> Option<Match<'a>> {
    let policy = job.spec_ref().pod_failure_policy.as_ref()?;
    let mut rules = policy.rules.iter().enumerate();
    rules.find_map(|(place, rule)| {
        let what = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
            (Some(codes), _) => by_exit_code(codes, pod)?,
            (None, Some(patterns)) => by_condition(patterns, pod)?,
            (None, None) => return None,
        };
        let message = format!("{what} matching {} rule at index {place}", rule.action);
        Some(Match { rule, message })
    })
}

fn by_exit_code(codes: &PodFailurePolicyOnExitCodesRequirement, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let mut containers =
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    containers.find_map(|container| {
        let named = codes.container_name.as_ref().is_none_or(|name| *name == container.name);
        let code = exit_code(container).filter(|code| *code != 0 && named)?;
        let listed = codes.values.contains(&code);
        let meets = if codes.operator == "NotIn" { !listed } else { listed };
        let (name, key) = (&container.name, Key::of(&pod.metadata));
        meets.then(|| format!("Container {name} for pod {key} failed with exit code {code}"))
    })
}

fn exit_code(container: &ContainerStatus) -> Option<i32> {
    container.state.as_ref()?.terminated.as_ref().map(|terminated| terminated.exit_code)
}

fn by_condition(patterns: &[PodFailurePolicyOnPodConditionsPattern], pod: &Pod) -> Option<String> {
    let meets = |pattern: &&PodFailurePolicyOnPodConditionsPattern| {
        let wanted = pattern.status.as_deref().unwrap_or("True");
        pod::condition(pod, &pattern.type_).is_some_and(|condition| condition.status == wanted)
    };
    let pattern = patterns.iter().find(meets)?;
    Some(format!("Pod {} has condition {}", Key::of(&pod.metadata), pattern.type_))
}

fn action(job: &Job, pod: &Pod) -> Option<String> {
    matched(job, pod).map(|matched| matched.rule.action.clone())
}

/// Whether a failed pod counts as a failure: a rule may say that it is to be ignored.
pub(super) fn counts(job: &Job, pod: &Pod) -> bool {
    action(job, pod).as_deref() != Some("Ignore")
}

/// Why the policy ends the whole job, if it does.
pub(super) fn ends_job(sight: &Sight) -> Option<String> {
    let failed = sight.pods.iter().filter(|pod| pods::has_failed(sight.job, pod));
    let mut matches = failed.filter_map(|pod| matched(sight.job, pod));
    matches.find(|matched| matched.rule.action == "FailJob").map(|matched| matched.message)
}

/// Whether a pod's failure is its index's last.
pub(super) fn fails_index(job: &Job, pod: &Pod) -> bool {
    let Some(limit) = job.spec_ref().backoff_limit_per_index else { return false };
    if !pods::has_failed(job, pod) {
        return false;
    }
    match action(job, pod).as_deref() {
        Some("FailIndex") => true,
        Some("Ignore") => false,
        _ => pods::index_failures(pod) >= limit,
    }
}

/// Whether a failed pod is kept until its index has its next one, which takes its count from it.
pub(super) fn is_awaited(sight: &Sight, tally: &Tally, pod: &Pod) -> bool {
    let job = sight.job;
    let Some(index) = pods::index(job, pod).filter(|_| job.spec_ref().backoff_limit_per_index.is_some())
    else {
        return false;
    };
    let settled = tally.failed_indexes.has(index) || tally.succeeded_indexes.has(index);
    let of_index =
        |other: &&&Arc<Pod>| other.metadata.uid != pod.metadata.uid && pods::index(job, other) == Some(index);
    let made = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let later = |other: &&Arc<Pod>| pod::is_active(other) || made(other) > made(pod);
    !settled && !job.is_suspended() && !sight.pods.iter().filter(of_index).any(later)
}

/// How often an index has failed so far, and when last; `None` if it has not.
pub(super) fn of_index(sight: &Sight, index: usize) -> Option<(i32, Option<Timestamp>)> {
    let job = sight.job;
    let failed = sight.pods.iter().filter(|pod| pods::index(job, pod) == Some(index));
    let failed = failed.filter(|pod| pods::has_failed(job, pod));
    let last = failed.max_by_key(|pod| (pods::index_failures(pod), pods::finished(pod)))?;
    let more = i32::from(counts(job, last));
    Some((pods::index_failures(last).saturating_add(more), pods::finished(last)))
}

/// How long to wait after so many failures in a row, the last of them then.
pub(super) fn wait(failures: u32, last: Option<Timestamp>, now: Timestamp) -> SignedDuration {
    let Some(last) = last.filter(|_| failures > 0) else { return SignedDuration::ZERO };
    let doubled = 1i32.checked_shl(failures - 1).filter(|times| *times > 0 && failures < 31);
    let pause = doubled.and_then(|times| BACKOFF.checked_mul(times)).unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX);
    pause - now.duration_since(last)
}

/// The wait of the whole job: failures since the last success.
pub(super) fn wait_of_job(sight: &Sight) -> SignedDuration {
    let job = sight.job;
    let ends = |succeeded: bool| {
        let pods = sight.pods.iter().filter(move |pod| match succeeded {
            true => pod::phase(pod) == "Succeeded",
            false => pods::has_failed(job, pod) && counts(job, pod),
        });
        pods.filter_map(|pod| pods::finished(pod))
    };
    let success = ends(true).max();
    let failures: Vec<Timestamp> =
        ends(false).filter(|end| success.is_none_or(|success| *end > success)).collect();
    wait(u32::try_from(failures.len()).unwrap_or(u32::MAX), failures.into_iter().max(), sight.now)
}

/// Whether containers that restart in place have done so more often than the limit allows.
pub(super) fn restarts_exceed(sight: &Sight) -> bool {
    let spec = sight.job.spec_ref().template.spec.as_ref();
    if spec.and_then(|spec| spec.restart_policy.as_deref()) != Some("OnFailure") {
        return false;
    }
    let running = sight.pods.iter().filter(|pod| matches!(pod::phase(pod), "Running" | "Pending"));
    let restarts = running.flat_map(|pod| pod.status.as_ref()).flat_map(|status| {
        let containers = status.container_statuses.iter().flatten();
        containers
            .chain(status.init_container_statuses.iter().flatten())
            .map(|one| i64::from(one.restart_count))
    });
    let restarts: i64 = restarts.sum();
    match sight.job.backoff_limit() {
        0 => restarts > 0,
        limit => restarts >= limit,
    }
}
