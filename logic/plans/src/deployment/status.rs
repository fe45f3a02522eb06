//! What a Deployment says of itself: counts, conditions, and when its deadline runs out (H2.9–H2.11).
//!
//! Upstream's order: counts from the sets' statuses, then Available, then Progressing, then ReplicaFailure.
//! Invariant: an unchanged world gives an unchanged status.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::limits;
use super::sets::{self, Sets};
use crate::controllers::{Controller, Task};
use crate::key::Key;
use crate::plan::{Action, Ending, Plan, Reason, Step};
use crate::view::View;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// Nothing but the status: for a Deployment that is being deleted.
pub(super) fn only(deployment: &Deployment, sets: &Sets, now: Timestamp) -> Plan {
    Plan::of(plain(deployment, sets, now))
}

/// The status of a Deployment that is scaled, not rolled out.
pub(super) fn plain(deployment: &Deployment, sets: &Sets, now: Timestamp) -> Vec<Step> {
    let mut status = counted(deployment, sets, now);
    pause(deployment, &mut status, now);
    write(deployment, status)
}

/// These steps of a rollout, then the status; when there is nothing left to roll, the history.
pub(super) fn rolling(deployment: &Deployment, sets: &Sets, steps: Vec<Step>, now: Timestamp) -> Plan {
    let idle = steps.is_empty();
    let mut plan = Plan::of(steps);
    let mut status = counted(deployment, sets, now);
    resume(&mut status, now);
    progress(deployment, sets, &mut status, now);
    failure(sets, &mut status);
    if idle && is_complete(deployment, &status) {
        sets.clean_up(deployment, &mut plan);
    }
    let unchanged = deployment.status.as_ref() == Some(&status);
    if let Some(after) = deadline_in(deployment, &status, now).filter(|_| unchanged) {
        plan.requeue(after);
    }
    plan.stage(write(deployment, status));
    plan
}

/// Makes the new set, and says so once it is made.
pub(super) fn creating(view: &View, deployment: &Deployment, sets: &Sets, size: i32, now: Timestamp) -> Plan {
    let new = sets.make_new(deployment, size);
    let name = new.metadata.name.clone().unwrap_or_default();
    if view.replica_sets.get(&Key::of(&new.metadata)).is_some() {
        return collided(deployment);
    }
    let failed = Reason::warning(
        deployment,
        "ReplicaSetCreateError",
        format!("Failed to create new replica set \"{name}\": "),
    );
    let step = Step::from(Action::create(&new)).failed(failed.ending(Ending::Refusal));
    let step = if size > 0 { step.done(sets::scaled(deployment, &new, 0, size)) } else { step };
    let mut plan = Plan::of(vec![step]);
    let mut status = deployment.status.clone().unwrap_or_default();
    resume(&mut status, now);
    let task = Task::new(Controller::Deployment, Key::of(&deployment.metadata));
    let failure = view.failures.get(&task);
    if limits::progress_deadline(deployment).is_some() {
        let condition = match failure {
            None => made(
                PROGRESSING,
                "True",
                "NewReplicaSetCreated",
                format!("Created new replica set \"{name}\""),
                now,
            ),
            Some(error) => made(PROGRESSING, "False", "ReplicaSetCreateError", error.clone(), now),
        };
        set(&mut status, condition);
    }
    match failure {
        // It was refused before: say so even if it is refused again.
        Some(_) => plan.stages.insert(0, write(deployment, status)),
        None => plan.stage(write(deployment, status)),
    }
    plan.stages.retain(|stage| !stage.is_empty());
    plan
}

/// Somebody else's set has the name: the next hash takes the collision into account (H2.3).
fn collided(deployment: &Deployment) -> Plan {
    let mut status = deployment.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
    Plan::of(write(deployment, status))
}

fn write(deployment: &Deployment, status: DeploymentStatus) -> Vec<Step> {
    let after = Deployment { status: Some(status), ..deployment.clone() };
    Action::patch_status(deployment, &after).map(Step::from).into_iter().collect()
}

fn positive(number: i32) -> Option<i32> {
    (number > 0).then_some(number)
}

/// The counts, and Available.
fn counted(deployment: &Deployment, sets: &Sets, now: Timestamp) -> DeploymentStatus {
    let available = sets.sum(limits::available);
    let before = deployment.status.clone().unwrap_or_default();
    let terminating =
        sets.sum(|set| set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or(0));
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: positive(sets.sum(limits::actual)),
        updated_replicas: positive(sets.new.as_ref().map_or(0, |set| limits::actual(set))),
        ready_replicas: positive(sets.sum(limits::ready)),
        available_replicas: positive(available),
        unavailable_replicas: positive(sets.sum(limits::wanted) - available),
        terminating_replicas: positive(terminating),
        collision_count: before.collision_count,
        conditions: before.conditions,
    };
    let least = limits::replicas(deployment) - limits::max_unavailable(deployment);
    let condition = match available >= least {
        true => {
            made(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
        }
        false => made(
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            now,
        ),
    };
    set(&mut status, condition);
    status
}

/// Progressing while paused: unknown, unless its deadline had already run out.
fn pause(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    if limits::progress_deadline(deployment).is_none() {
        return;
    }
    let reason = progressing(status).and_then(|condition| condition.reason.clone());
    if limits::is_paused(deployment) && !matches!(reason.as_deref(), Some(PAUSED | TIMED_OUT)) {
        set(status, made(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now));
    } else if !limits::is_paused(deployment) {
        resume(status, now);
    }
}

fn resume(status: &mut DeploymentStatus, now: Timestamp) {
    let reason = progressing(status).and_then(|condition| condition.reason.as_deref());
    if reason == Some(PAUSED) {
        set(status, made(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", now));
    }
}

fn progressing(status: &DeploymentStatus) -> Option<&DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(PROGRESSING))
}

/// Progressing: done, under way, or stuck.
fn progress(deployment: &Deployment, sets: &Sets, status: &mut DeploymentStatus, now: Timestamp) {
    if limits::progress_deadline(deployment).is_none() {
        return remove(status, PROGRESSING);
    }
    let current = progressing(status).cloned();
    let was_done =
        current.as_ref().is_some_and(|condition| condition.reason.as_deref() == Some(NEW_AVAILABLE));
    if was_done && status.replicas == status.updated_replicas {
        return;
    }
    let subject = match &sets.new {
        Some(new) => format!("ReplicaSet \"{}\"", new.metadata.name.as_deref().unwrap_or_default()),
        None => format!("Deployment \"{}\"", deployment.metadata.name.as_deref().unwrap_or_default()),
    };
    let before = deployment.status.clone().unwrap_or_default();
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        set(status, made(PROGRESSING, "True", NEW_AVAILABLE, message, now));
    } else if has_advanced(&before, status) {
        let mut condition =
            made(PROGRESSING, "True", "ReplicaSetUpdated", format!("{subject} is progressing."), now);
        if let Some(current) = current.filter(|current| current.status.as_deref() == Some("True")) {
            condition.last_transition_time = current.last_transition_time;
        }
        remove(status, PROGRESSING);
        set(status, condition);
    } else if has_timed_out(deployment, status, now) {
        set(
            status,
            made(PROGRESSING, "False", TIMED_OUT, format!("{subject} has timed out progressing."), now),
        );
    } else if current.is_none() && sets.new.is_some() {
        let name = sets.new.as_ref().and_then(|new| new.metadata.name.clone()).unwrap_or_default();
        set(
            status,
            made(PROGRESSING, "True", "FoundNewReplicaSet", format!("Found new replica set \"{name}\""), now),
        );
    }
}

/// ReplicaFailure is the sets' own, the new one's first.
fn failure(sets: &Sets, status: &mut DeploymentStatus) {
    remove(status, FAILURE);
    let failed = sets.new.iter().chain(&sets.old).find_map(|set| {
        set.status
            .as_ref()?
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_.as_deref() == Some(FAILURE))
            .cloned()
    });
    let Some(failed) = failed else { return };
    let condition = DeploymentCondition {
        type_: Some(FAILURE.to_owned()),
        status: failed.status,
        reason: failed.reason,
        message: failed.message,
        last_update_time: failed.last_transition_time.clone(),
        last_transition_time: failed.last_transition_time,
    };
    status.conditions.get_or_insert_default().push(condition);
}

fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let replicas = positive(limits::replicas(deployment));
    let counts = [status.updated_replicas, status.replicas, status.available_replicas];
    counts.iter().all(|count| *count == replicas)
        && status.observed_generation >= deployment.metadata.generation
}

fn has_advanced(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let count = |number: Option<i32>| number.unwrap_or(0);
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(after.updated_replicas) > count(before.updated_replicas)
        || old(after) < old(before)
        || count(after.ready_replicas) > count(before.ready_replicas)
        || count(after.available_replicas) > count(before.available_replicas)
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    match progressing(status) {
        Some(condition) if condition.reason.as_deref() == Some(NEW_AVAILABLE) => false,
        Some(condition) if condition.reason.as_deref() == Some(TIMED_OUT) => true,
        Some(condition) => deadline(deployment, condition).is_some_and(|at| at < now),
        None => false,
    }
}

fn deadline(deployment: &Deployment, condition: &DeploymentCondition) -> Option<Timestamp> {
    let seconds = limits::progress_deadline(deployment)?;
    let since = condition.last_update_time.as_ref()?.0;
    since.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

/// How long until the deadline is to be judged again; `None` if there is nothing to judge.
fn deadline_in(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<SignedDuration> {
    let condition = progressing(status)?;
    let judged = condition.reason.as_deref() == Some(TIMED_OUT) || is_complete(deployment, status);
    let at = deadline(deployment, condition).filter(|_| !judged)?;
    Some(at.duration_since(now) + SignedDuration::from_secs(1))
}

fn made(
    kind: &str,
    status: &str,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// Sets a condition, unless it already says so; its transition time is of the change of status alone.
fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    let conditions = status.conditions.get_or_insert_default();
    if let Some(current) = conditions.iter().find(|other| other.type_ == condition.type_) {
        if current.status == condition.status && current.reason == condition.reason {
            return;
        }
        if current.status == condition.status {
            condition.last_transition_time.clone_from(&current.last_transition_time);
        }
    }
    conditions.retain(|other| other.type_ != condition.type_);
    conditions.push(condition);
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_.as_deref() != Some(kind));
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}
