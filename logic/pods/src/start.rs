//! A pod on its way up: volumes, sandbox, init containers in order, main containers, restarts.
//!
//! One start of a pod is in flight at a time, in the order of the specification, as upstream does it, so a container's
//! postStart hook holds back those after it. What fails waits for its own back-off and does not hold back the others.

use crate::backoff::{self, RESTART, SETUP};
use crate::decision::{Action, Draft, Reason};
use crate::ephemeral;
use crate::image::{self, Verdict};
use crate::kill;
use crate::life::{Life, Memory, Step, Waiting};
use crate::probe;
use crate::reports::{HookKind, ImageFacts};
use crate::restart::{self, current};
use crate::spec::{self, Role};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

/// How long `ErrImagePull` shows before it becomes `ImagePullBackOff`.
const SHOW_PULL_ERROR: SignedDuration = SignedDuration::from_secs(2);
/// How often an image that may not be pulled is looked for again.
const LOOK_FOR_IMAGE: SignedDuration = SignedDuration::from_secs(10);

pub(crate) fn step(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    if !set_up(life, now, draft) || !life.services_known {
        return;
    }
    replaced_images(life, pod, now, draft);
    post_start(life, pod, draft);
    kill::drive_all(life, pod, now, draft);
    for name in due(life, pod) {
        if life.containers.values().any(busy) {
            return;
        }
        let container = spec::any_container(pod, &name).expect("names come from the pod's containers");
        start(life, pod, &container, now, draft);
    }
}

/// Whether something of the container is on its way that others wait for.
fn busy(memory: &Memory) -> bool {
    memory.starting.is_some() || memory.pulling || memory.post_start.is_some()
}

/// Volumes, then the sandbox; true once both are there.
fn set_up(life: &mut Life, now: Timestamp, draft: &mut Draft) -> bool {
    if life.volumes != Step::Done {
        if attempt(&mut life.volumes, &life.setup_backoff, now, draft) {
            draft.act(Action::MountVolumes);
        }
        return false;
    }
    if life.sandbox != Step::Done {
        if attempt(&mut life.sandbox, &life.setup_backoff, now, draft) {
            draft.act(Action::StartSandbox);
        }
        return false;
    }
    true
}

/// Moves a step to "in flight" if it is due now.
fn attempt(step: &mut Step, backoff: &Option<backoff::Backoff>, now: Timestamp, draft: &mut Draft) -> bool {
    let due = match step {
        Step::Absent => true,
        Step::Failed { at } => match backoff::pending(backoff, SETUP, *at, now) {
            Some(until) => {
                draft.wake(until);
                false
            }
            None => true,
        },
        Step::InFlight | Step::Done | Step::Leaving | Step::Gone => false,
    };
    if due {
        *step = Step::InFlight;
    }
    due
}

/// A container whose image was changed in the pod ends and starts anew.
fn replaced_images(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    for container in spec::containers(pod) {
        let memory = life.memory(&container.name);
        let wanted = container.image.as_deref().unwrap_or_default();
        let changed = memory.running().is_some_and(|run| !run.image.is_empty() && run.image != wanted);
        if changed && memory.kill.is_none() && spec::role(pod, &container.name) != Role::Init {
            let message = format!("Container {} definition changed, will be restarted", container.name);
            kill::begin(memory, pod, &container.name, spec::grace(pod), message, now, draft);
        }
    }
}

/// Hands out the postStart hook of each run that has just begun.
fn post_start(life: &mut Life, pod: &Pod, draft: &mut Draft) {
    for container in spec::containers(pod) {
        if container.lifecycle.as_ref().is_none_or(|it| it.post_start.is_none()) {
            continue;
        }
        let memory = life.memory(&container.name);
        let Some(id) = memory.running().map(|run| run.id.clone()) else { continue };
        if memory.post_started.as_ref() == Some(&id) {
            continue;
        }
        (memory.post_start, memory.post_started) = (Some(id.clone()), Some(id.clone()));
        let limit_seconds = spec::grace(pod).max(1);
        draft.act(Action::Hook {
            container: container.name.clone(),
            id,
            kind: HookKind::PostStart,
            limit_seconds,
        });
    }
}

/// The containers whose turn it is and that do not run, in order. It is always an ephemeral one's.
fn due(life: &Life, pod: &Pod) -> Vec<String> {
    let initialized = restart::initialized(life, pod);
    let mut due: Vec<String> = ephemeral::due(life, pod).collect();
    for container in spec::init_containers(pod) {
        let memory = &life.containers[&container.name];
        let passed = match spec::init_role(container) {
            Role::Sidecar => memory.running().is_some() && (initialized || probe::started(memory, container)),
            _ => {
                initialized
                    || current(memory).and_then(|run| run.exit()).is_some_and(|exit| exit.exit_code == 0)
            }
        };
        if !passed && memory.running().is_none() {
            due.push(container.name.clone());
        }
        if !passed && !initialized {
            return due;
        }
    }
    let idle = |it: &&Container| wants_start(pod, it, &life.containers[&it.name]);
    due.extend(spec::main_containers(pod).iter().filter(idle).map(|it| it.name.clone()));
    due
}

fn wants_start(pod: &Pod, container: &Container, memory: &Memory) -> bool {
    match memory.last() {
        Some(run) if run.running_since().is_some() => false,
        Some(run) => run.exit().is_none_or(|exit| restart::restarts(pod, container, exit.exit_code)),
        None => true,
    }
}

/// Starts one container, or says why it has to wait.
fn start(life: &mut Life, pod: &Pod, container: &Container, now: Timestamp, draft: &mut Draft) {
    let facts = life.images.get(container.image.as_deref().unwrap_or_default()).cloned();
    let memory = life.memory(&container.name);
    let attempt = next_attempt(memory);
    if let Some(at) = memory.retry_at.filter(|at| now < *at) {
        return draft.wake(at);
    }
    if crash_looping(memory, pod, container, now, draft)
        || !image_ready(memory, pod, container, facts.as_ref(), now, draft)
    {
        return;
    }
    if let Some(exit) = memory.last().and_then(|run| run.exit()) {
        memory.crash_backoff = backoff::raised(&memory.crash_backoff, RESTART, exit.finished_at, now);
    }
    memory.starting = Some(attempt);
    memory.retry_at = None;
    draft.act(Action::Start { container: container.name.clone(), attempt });
}

/// The number of the next run.
fn next_attempt(memory: &Memory) -> u32 {
    memory.last().map_or(0, |run| run.attempt + 1)
}

/// Whether the container sits out a back-off (F18); says so once a crash.
fn crash_looping(
    memory: &mut Memory,
    pod: &Pod,
    container: &Container,
    now: Timestamp,
    draft: &mut Draft,
) -> bool {
    let Some(ended) = memory.last().and_then(|run| run.exit()).map(|exit| exit.finished_at) else {
        return false;
    };
    let Some(until) = backoff::pending(&memory.crash_backoff, RESTART, ended, now) else { return false };
    draft.wake(until);
    let (name, pod_name) = (&container.name, spec::full_name(pod));
    let delay =
        memory.crash_backoff.as_ref().map(|entry| backoff::go_duration(entry.delay)).unwrap_or_default();
    let message = format!("back-off {delay} restarting failed container={name} pod={pod_name}");
    memory.waiting = Some(Waiting::new("CrashLoopBackOff", message));
    if memory.backoff_said.replace(ended) != Some(ended) {
        let message = format!("Back-off restarting failed container {name} in pod {pod_name}");
        draft.reasons.push(Reason::warning("BackOff", message).about(spec::field_path(pod, name)));
    }
    true
}

/// Whether the image is there as its pull policy wants it; asks for the pull, or says what is wrong.
fn image_ready(
    memory: &mut Memory,
    pod: &Pod,
    container: &Container,
    facts: Option<&ImageFacts>,
    now: Timestamp,
    draft: &mut Draft,
) -> bool {
    let path = spec::field_path(pod, &container.name);
    let image = container.image.clone().unwrap_or_default();
    match image::verdict(container, facts, memory.pulled) {
        Verdict::Pulled => return true,
        Verdict::Present => {
            let message = format!("Container image \"{image}\" already present on machine");
            draft.reasons.push(Reason::normal("Pulled", message).about(path));
            return true;
        }
        Verdict::Invalid(message) => {
            refuse(memory, "InspectFailed", "InvalidImageName", message, &path, draft)
        }
        Verdict::MayNotPull(message) => {
            draft.wake(backoff::later(now, LOOK_FOR_IMAGE));
            refuse(memory, "ErrImageNeverPull", "ErrImageNeverPull", message, &path, draft);
        }
        Verdict::Pull => pull(memory, container, image, &path, now, draft),
    }
    false
}

/// Shows that the image cannot be had; the events are given when that is new.
fn refuse(
    memory: &mut Memory,
    event: &'static str,
    reason: &'static str,
    message: String,
    path: &str,
    draft: &mut Draft,
) {
    let waiting = Waiting::new(reason, message.clone());
    if memory.waiting.replace(waiting.clone()) != Some(waiting) {
        draft.reasons.push(Reason::warning(event, message).about(path.to_owned()));
        draft.reasons.push(Reason::warning("Failed", format!("Error: {reason}")).about(path.to_owned()));
    }
}

fn pull(
    memory: &mut Memory,
    container: &Container,
    image: String,
    path: &str,
    now: Timestamp,
    draft: &mut Draft,
) {
    let failed_at = memory.pull_failed_at.unwrap_or(Timestamp::MIN);
    if let Some(until) = backoff::pending(&memory.pull_backoff, RESTART, failed_at, now) {
        draft.wake(until);
        return pull_backing_off(
            memory,
            &image,
            path,
            backoff::later(failed_at, SHOW_PULL_ERROR),
            now,
            draft,
        );
    }
    draft
        .reasons
        .push(Reason::normal("Pulling", format!("Pulling image \"{image}\"")).about(path.to_owned()));
    memory.pulling = true;
    draft.act(Action::Pull { container: container.name.clone(), image });
}

/// Between two tries: first the error itself, then `ImagePullBackOff`.
fn pull_backing_off(
    memory: &mut Memory,
    image: &str,
    path: &str,
    show_until: Timestamp,
    now: Timestamp,
    draft: &mut Draft,
) {
    if now < show_until {
        return draft.wake(show_until);
    }
    let short = format!("Back-off pulling image \"{image}\"");
    let waiting = Waiting::new("ImagePullBackOff", format!("{short}: ErrImagePull: {}", memory.pull_error));
    if memory.waiting.replace(waiting.clone()) != Some(waiting) {
        draft.reasons.push(Reason::normal("BackOff", short).about(path.to_owned()));
        draft
            .reasons
            .push(Reason::warning("Failed", "Error: ImagePullBackOff".to_owned()).about(path.to_owned()));
    }
}
