//! What the API remembers of a container's runs, for a node that does not: it was restarted, or the pod ended long ago.
//!
//! Taken over once, at the first step. A container that ran and that the runtime does not know was lost; it counts as a
//! run that failed, so that a pod that must not run twice does not.

use crate::life::Life;
use crate::run::{Exit, Run, RunState, STATUS_UNKNOWN};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

/// What upstream says of a container that was running and cannot be found.
const LOST: &str =
    "The container could not be located when the pod was deleted.  The container used to be Running";
const UNSEEN_EXIT_CODE: i32 = 137;

/// Gives each container without a run those that its status tells of.
pub(crate) fn runs(life: &mut Life, pod: &Pod) {
    let status = pod.status.iter();
    let all = status.flat_map(|it| {
        let own = it.init_container_statuses.iter().chain(&it.container_statuses);
        own.chain(&it.ephemeral_container_statuses).flatten()
    });
    let now = life.now;
    for status in all {
        let Some(memory) = life.containers.get_mut(&status.name).filter(|memory| memory.runs.is_empty())
        else {
            continue;
        };
        for run in told(pod, status, now) {
            memory.learn(run);
        }
        // They belong to a sandbox that is no more.
        memory.sandbox_from = memory.last().map_or(0, |run| run.attempt + 1);
    }
}

/// The runs a status tells of: the latest, and the one before it.
fn told(pod: &Pod, status: &ContainerStatus, now: Timestamp) -> Vec<Run> {
    let attempt = u32::try_from(status.restart_count).unwrap_or(0);
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|it| it.terminated.as_ref());
    let exits = match (&state.running, &state.terminated) {
        (Some(running), _) => {
            let started_at = running.started_at.as_ref().map(|it| it.0);
            [(Some(attempt), Some(lost(started_at, now))), (attempt.checked_sub(1), last.map(exit))]
        }
        (None, Some(terminated)) => {
            [(Some(attempt), Some(exit(terminated))), (attempt.checked_sub(1), last.map(exit))]
        }
        (None, None) => [(Some(attempt), last.map(exit)), (None, None)],
    };
    let run = |(attempt, exit): (Option<u32>, Option<(Option<String>, Exit)>)| {
        let (id, exit) = exit?;
        let attempt = attempt?;
        let own =
            status.container_id.clone().filter(|_| i64::from(attempt) == i64::from(status.restart_count));
        let named = id.or(own).and_then(|it| it.split_once("://").map(|(_, id)| id.to_owned()));
        Some(Run {
            container: status.name.clone(),
            attempt,
            id: named.unwrap_or_else(|| format!("{}-{attempt}", status.name)),
            image: crate::spec::any_container(pod, &status.name)
                .and_then(|it| it.image.clone())
                .unwrap_or_default(),
            image_name: status.image.clone(),
            image_id: status.image_id.clone(),
            state: RunState::Exited(exit),
        })
    };
    exits.into_iter().filter_map(run).collect()
}

/// The id and end of a run that the API knows to have ended.
fn exit(terminated: &ContainerStateTerminated) -> (Option<String>, Exit) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let finished_at = terminated.finished_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |it| it.0);
    let exit = Exit {
        started_at: terminated.started_at.as_ref().map(|it| it.0),
        finished_at,
        exit_code: terminated.exit_code,
        reason: text(&terminated.reason),
        message: text(&terminated.message),
    };
    (terminated.container_id.clone(), exit)
}

fn lost(started_at: Option<Timestamp>, now: Timestamp) -> (Option<String>, Exit) {
    let reason = STATUS_UNKNOWN.to_owned();
    let exit =
        Exit { started_at, finished_at: now, exit_code: UNSEEN_EXIT_CODE, reason, message: LOST.to_owned() };
    (None, exit)
}
