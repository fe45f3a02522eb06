//! One status a container: state, last state, ready, started, restart count, image and ids.

use crate::ephemeral;
use crate::life::{Life, Memory};
use crate::probe;
use crate::restart;
use crate::run::{Exit, Run, RunState, STATUS_UNKNOWN};
use crate::spec::{self, Role};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, EphemeralContainer, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What upstream says of a container that was not seen to end.
const LOST_AT_END: &str = "The container could not be located when the pod was terminated";
const UNSEEN_EXIT_CODE: i32 = 137;

/// The statuses of `containers`, in their order.
pub(super) fn statuses(life: &Life, pod: &Pod, containers: &[Container]) -> Vec<ContainerStatus> {
    containers.iter().map(|container| one(life, pod, container)).collect()
}

/// The statuses of the ephemeral containers: never ready, never said to have started.
pub(super) fn of_ephemeral(life: &Life, pod: &Pod) -> Vec<ContainerStatus> {
    let of = |it: &EphemeralContainer| basic(life, pod, &ephemeral::container(it)).0;
    ephemeral::all(pod).iter().map(of).collect()
}

/// What any container has to say, and what is remembered of it.
fn basic<'a>(life: &'a Life, pod: &Pod, container: &Container) -> (ContainerStatus, Option<&'a Memory>) {
    let memory = life.remembered(&container.name);
    let mut status = match memory.and_then(|memory| Some((memory, memory.last()?))) {
        Some((memory, run)) => known(container, memory, run, pod),
        None => unknown(pod, container),
    };
    if let Some(memory) = memory {
        waiting(pod, container, memory, &mut status);
    }
    (status, memory)
}

fn one(life: &Life, pod: &Pod, container: &Container) -> ContainerStatus {
    let empty = Memory::default();
    let (mut status, memory) = basic(life, pod, container);
    let memory = memory.unwrap_or(&empty);
    let init = spec::role(pod, &container.name) == Role::Init;
    status.started = Some(probe::started(memory, container));
    status.ready = match init {
        true => {
            status.state.as_ref().and_then(|it| it.terminated.as_ref()).is_some_and(|it| it.exit_code == 0)
        }
        false => probe::ready(memory, container),
    };
    resources(container, memory, &mut status);
    status
}

/// The status of a container whose latest run is known.
fn known(container: &Container, memory: &Memory, run: &Run, pod: &Pod) -> ContainerStatus {
    let before = memory.runs.iter().rev().nth(1).and_then(|run| Some(terminated(run.exit()?, &run.id)));
    let state = match &run.state {
        RunState::Created => fresh(pod),
        RunState::Running { .. } if memory.post_start.as_ref() == Some(&run.id) => fresh(pod),
        RunState::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(super::whole_second(*started_at))) }),
            ..ContainerState::default()
        },
        RunState::Exited(exit) => terminated(exit, &run.id),
    };
    ContainerStatus {
        name: container.name.clone(),
        image: Some(run.image_name.clone()).filter(|it| !it.is_empty()).unwrap_or_else(|| spelled(container)),
        image_id: run.image_id.clone(),
        container_id: Some(super::container_id(&run.id)),
        restart_count: i32::try_from(run.attempt).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: Some(before.unwrap_or_default()),
        ..ContainerStatus::default()
    }
}

/// The status of a container that has never run.
fn unknown(pod: &Pod, container: &Container) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: spelled(container),
        state: Some(fresh(pod)),
        last_state: Some(ContainerState::default()),
        ..ContainerStatus::default()
    }
}

/// A container that is to run again and cannot yet shows why; its end moves to the last state.
fn waiting(pod: &Pod, container: &Container, memory: &Memory, status: &mut ContainerStatus) {
    let Some(waiting) = memory.waiting.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none()) else {
        return;
    };
    let code = memory.last().and_then(|run| run.exit()).map(|exit| exit.exit_code);
    let init_done = spec::role(pod, &container.name) == Role::Init && code == Some(0);
    if memory.running().is_some()
        || init_done
        || code.is_some_and(|code| !restart::restarts(pod, container, code))
    {
        return;
    }
    let state = status.state.take().unwrap_or_default();
    if state.terminated.is_some() {
        status.last_state = Some(state);
    }
    let why = ContainerStateWaiting {
        reason: Some(waiting.reason.to_owned()),
        message: Some(waiting.message.clone()).filter(|message| !message.is_empty()),
    };
    status.state = Some(ContainerState { waiting: Some(why), ..ContainerState::default() });
}

/// What a container shows that has not run: it is being created, or init containers come first.
fn fresh(pod: &Pod) -> ContainerState {
    let reason = if spec::init_containers(pod).is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: None };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated(exit: &Exit, id: &str) -> ContainerState {
    let terminated = ContainerStateTerminated {
        container_id: Some(super::container_id(id)),
        exit_code: exit.exit_code,
        started_at: exit.started_at.map(|at| Time(super::whole_second(at))),
        finished_at: Some(Time(super::whole_second(exit.finished_at))),
        reason: Some(exit.reason.clone()).filter(|it| !it.is_empty()),
        message: Some(exit.message.clone()).filter(|it| !it.is_empty()),
        signal: None,
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn unseen() -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: UNSEEN_EXIT_CODE,
        reason: Some(STATUS_UNKNOWN.to_owned()),
        message: Some(LOST_AT_END.to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// The last word about a pod that has ended: what ran and was not seen to end counts as failed.
pub(super) fn close(life: &Life, pod: &Pod, init: &mut [ContainerStatus], main: &mut [ContainerStatus]) {
    let began = |status: &ContainerStatus| {
        let of = |state: &Option<ContainerState>| {
            state.as_ref().is_some_and(|it| it.running.is_some() || it.terminated.is_some())
        };
        of(&status.state) || of(&status.last_state)
    };
    let ended = |status: &ContainerStatus| status.state.as_ref().is_some_and(|it| it.terminated.is_some());
    let last_begun = init.iter().rposition(began).map_or(0, |at| at + 1);
    let initialized = restart::initialized(life, pod) || main.iter().any(began);
    let all_begun = if initialized { init.len() } else { last_begun };
    let main_begun = if initialized { main.len() } else { 0 };
    for status in init[..all_begun].iter_mut().chain(&mut main[..main_begun]).filter(|it| !ended(it)) {
        status.state = Some(unseen());
        status.ready = false;
        status.started = Some(false);
    }
}

fn spelled(container: &Container) -> String {
    container.image.clone().unwrap_or_default()
}

/// What the container was given, shown while it runs.
fn resources(container: &Container, memory: &Memory, status: &mut ContainerStatus) {
    let Some(resources) = container.resources.as_ref().filter(|_| memory.running().is_some()) else { return };
    status.allocated_resources = resources.requests.clone().filter(|it| !it.is_empty());
    status.resources = Some(resources.clone()).filter(|it| *it != Default::default());
}
