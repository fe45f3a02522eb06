//! The figures of a Deployment's spec, with upstream's rounding (H2.2). Pure leaf.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How the API says "no deadline".
const NO_DEADLINE: i32 = i32::MAX;

pub(super) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1).max(0)
}

pub(super) fn min_ready_seconds(deployment: &Deployment) -> i32 {
    deployment.spec.min_ready_seconds.unwrap_or(0)
}

pub(super) fn is_paused(deployment: &Deployment) -> bool {
    deployment.spec.paused == Some(true)
}

pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"))
}

/// Seconds without progress after which a rollout counts as stuck.
pub(super) fn progress_deadline(deployment: &Deployment) -> Option<i32> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    (seconds != NO_DEADLINE).then_some(seconds)
}

/// Old ReplicaSets to keep; `None`: all.
pub(super) fn history_limit(deployment: &Deployment) -> Option<usize> {
    let limit = deployment.spec.revision_history_limit?;
    (limit != i32::MAX).then(|| usize::try_from(limit).unwrap_or(0))
}

/// Pods allowed above `replicas`; nothing for Recreate.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) { 0 } else { fences(deployment).0 }
}

/// Pods that may be missing from `replicas`; nothing for Recreate.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) || replicas(deployment) == 0 {
        return 0;
    }
    fences(deployment).1.min(replicas(deployment))
}

/// Surge rounds up, unavailable rounds down, and both may not come out as nothing.
fn fences(deployment: &Deployment) -> (i32, i32) {
    let strategy = deployment.spec.strategy.as_ref();
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.clone());
    let RollingUpdateDeployment { max_surge, max_unavailable } = rolling.unwrap_or_default();
    let quarter = || IntOrString::String("25%".to_owned());
    let surge = scaled(&max_surge.unwrap_or_else(quarter), replicas(deployment), true);
    let unavailable = scaled(&max_unavailable.unwrap_or_else(quarter), replicas(deployment), false);
    match (surge, unavailable) {
        (0, 0) => (0, 1),
        fences => fences,
    }
}

/// A number as it stands, or a percentage of `total`; what is neither counts as nothing.
pub(crate) fn scaled(value: &IntOrString, total: i32, round_up: bool) -> i32 {
    let percent = match value {
        IntOrString::Int(number) => return (*number).max(0),
        IntOrString::String(text) => text.strip_suffix('%').and_then(|digits| digits.parse::<i64>().ok()),
    };
    let product = percent.unwrap_or(0).max(0).saturating_mul(total.into());
    let rounded = if round_up { product.saturating_add(99) / 100 } else { product / 100 };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

pub(super) fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1).max(0)
}

pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

pub(super) fn ready(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}
