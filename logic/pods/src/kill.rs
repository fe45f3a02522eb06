//! Ending one container: preStop hook, its turn, stop signal, and SIGKILL when its grace is over (F12, F19). None of it
//! begins before the pod is drained.
//!
//! Invariant: SIGTERM is sent once, SIGKILL once, and never is a container left alone beyond its grace and the two
//! seconds that every stop signal is given.

use crate::backoff::later_seconds;
use crate::decision::{Action, Draft, Reason, StopSignal};
use crate::drain;
use crate::life::{Life, Memory};
use crate::reports::HookKind;
use crate::spec::{self, Role};
use crate::stop;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

/// Seconds between the stop signal and SIGKILL, whatever the hook has used up.
const SHORTEST: i64 = 2;

/// A container on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kill {
    pub since: Timestamp,
    pub grace: i64,
    pub hook: Hook,
    pub signalled_at: Option<Timestamp>,
    pub killed: bool,
}

impl Kill {
    /// Whether the container has not noticed yet.
    fn is_untouched(&self) -> bool {
        self.hook == Hook::Unasked && self.signalled_at.is_none()
    }
}

/// How far the preStop hook is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hook {
    Unasked,
    InFlight,
    Done,
}

/// Marks the container's run to be ended; `message` is that of the Killing event.
pub(crate) fn begin(
    memory: &mut Memory,
    pod: &Pod,
    name: &str,
    grace: i64,
    message: String,
    now: Timestamp,
    draft: &mut Draft,
) {
    if memory.kill.is_some() || memory.running().is_none() {
        return;
    }
    memory.kill = Some(Kill { since: now, grace, hook: Hook::Unasked, signalled_at: None, killed: false });
    draft.reasons.push(Reason::normal("Killing", message).about(spec::field_path(pod, name)));
}

/// Takes every container that is on its way out one step further.
pub(crate) fn drive_all(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    let names: Vec<String> = spec::names(pod).cloned().collect();
    let ending = life.ending_since;
    let undrained = drain::holds_back(life, pod, now);
    let grace = stop::grace(life, pod);
    for name in names {
        let hold = holds_back(life, pod, &name, now);
        let memory = life.memory(&name);
        // A second delete may have shortened the grace of a pod that is already ending.
        if let (Some(kill), Some(_)) = (&mut memory.kill, ending) {
            kill.grace = grace;
        }
        if let Some(until) = undrained.filter(|_| memory.kill.as_ref().is_some_and(Kill::is_untouched)) {
            draft.wake(until);
            continue;
        }
        drive(memory, pod, &name, hold, now, draft);
    }
}

/// Until when a sidecar's stop signal waits for the main containers.
fn holds_back(life: &Life, pod: &Pod, name: &str, now: Timestamp) -> Option<Timestamp> {
    let since = life.ending_since?;
    let waits = spec::role(pod, name) == Role::Sidecar && !turn_of_sidecar(life, pod, name);
    waits.then(|| later_seconds(since, stop::grace(life, pod))).filter(|until| now < *until)
}

/// Sidecars end after the main containers and after the sidecars that started later.
fn turn_of_sidecar(life: &Life, pod: &Pod, name: &str) -> bool {
    let after = spec::containers(pod).skip_while(|it| it.name != name).skip(1);
    after.into_iter().all(|it| life.remembered(&it.name).is_none_or(|memory| memory.running().is_none()))
}

fn drive(
    memory: &mut Memory,
    pod: &Pod,
    name: &str,
    hold: Option<Timestamp>,
    now: Timestamp,
    draft: &mut Draft,
) {
    let Some(id) = memory.running().map(|run| run.id.clone()) else {
        memory.kill = None;
        return;
    };
    let Some(kill) = &mut memory.kill else { return };
    let container = name.to_owned();
    if !hook_over(kill, pod, name, &id, now, draft) {
        return;
    }
    match (kill.signalled_at, hold) {
        (None, Some(until)) => draft.wake(until),
        (None, None) => {
            kill.signalled_at = Some(now);
            draft.wake(deadline(kill, now));
            draft.act(Action::Signal { container, id, signal: StopSignal::Stop });
        }
        (Some(at), _) if !kill.killed && now >= deadline(kill, at) => {
            kill.killed = true;
            draft.act(Action::Signal { container, id, signal: StopSignal::Kill });
        }
        (Some(at), _) if !kill.killed => draft.wake(deadline(kill, at)),
        (Some(_), _) => {}
    }
}

/// When SIGKILL follows: at the end of the grace, two seconds after the stop signal at the earliest.
fn deadline(kill: &Kill, signalled_at: Timestamp) -> Timestamp {
    later_seconds(kill.since, kill.grace).max(later_seconds(signalled_at, SHORTEST))
}

/// Runs the preStop hook, if there is one and time for it; true once it no longer holds back the signal.
fn hook_over(kill: &mut Kill, pod: &Pod, name: &str, id: &str, now: Timestamp, draft: &mut Draft) -> bool {
    let end = later_seconds(kill.since, kill.grace);
    let wanted = spec::container(pod, name)
        .and_then(|it| it.lifecycle.as_ref())
        .is_some_and(|it| it.pre_stop.is_some());
    match kill.hook {
        Hook::Done => true,
        Hook::Unasked if !wanted || kill.grace == 0 => true,
        Hook::Unasked => {
            kill.hook = Hook::InFlight;
            draft.wake(end);
            let (container, id, limit_seconds) = (name.to_owned(), id.to_owned(), kill.grace);
            draft.act(Action::Hook { container, id, kind: HookKind::PreStop, limit_seconds });
            false
        }
        Hook::InFlight if now < end => {
            draft.wake(end);
            false
        }
        Hook::InFlight => true,
    }
}

impl Life {
    /// A handler ended, for good or ill.
    pub(crate) fn hook_done(
        &mut self,
        pod: &Pod,
        id: &str,
        kind: HookKind,
        error: Option<String>,
        now: Timestamp,
    ) -> Vec<Reason> {
        let Some((name, memory)) =
            self.containers.iter_mut().find(|(_, memory)| memory.runs.iter().any(|run| run.id == id))
        else {
            return Vec::new();
        };
        let path = spec::field_path(pod, name);
        match (kind, error) {
            (HookKind::PreStop, error) => {
                if let Some(kill) = &mut memory.kill {
                    kill.hook = Hook::Done;
                }
                error
                    .map(|_| {
                        Reason::warning("FailedPreStopHook", "PreStopHook failed".to_owned()).about(path)
                    })
                    .into_iter()
                    .collect()
            }
            (HookKind::PostStart, None) => {
                memory.post_start = None;
                Vec::new()
            }
            (HookKind::PostStart, Some(message)) => {
                memory.post_start = None;
                memory.waiting = Some(crate::life::Waiting::new("PostStartHookError", message));
                let mut draft = Draft::default();
                let name = name.clone();
                begin(
                    memory,
                    pod,
                    &name,
                    spec::grace(pod),
                    "FailedPostStartHook".to_owned(),
                    now,
                    &mut draft,
                );
                let failed =
                    Reason::warning("FailedPostStartHook", "PostStartHook failed".to_owned()).about(path);
                std::iter::once(failed).chain(draft.reasons).collect()
            }
        }
    }
}
