//! Probes: when each runs, what its results add up to, and what follows (F1–F8).
//!
//! A prober belongs to one run and is made anew for the next. Invariants: below its threshold a result changes nothing;
//! liveness and startup probes stop when the pod ends, readiness goes on; only readiness never restarts anything.

use crate::backoff::later_seconds;
use crate::decision::{Action, Draft, Reason};
use crate::kill;
use crate::life::{Life, Memory};
use crate::run::Run;
use crate::spec::{self, Role};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

/// What one probe found. The texts are the prober's output.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeOutcome {
    Success,
    /// A success with something to say: a redirect to another host.
    Warning(String),
    Failure(String),
    /// It could not be carried out; counts neither way.
    Errored(String),
}

const KINDS: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

impl ProbeKind {
    fn title(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }

    /// The container's probe of this kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            ProbeKind::Startup => container.startup_probe.as_ref(),
            ProbeKind::Liveness => container.liveness_probe.as_ref(),
            ProbeKind::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// One probe of one run.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    run: String,
    /// What the results add up to; None before the first for a startup probe.
    good: Option<bool>,
    last: Option<bool>,
    streak: i32,
    next_at: Timestamp,
    in_flight: bool,
    /// It has said its last word about this run.
    on_hold: bool,
}

/// Whether the run has passed its startup probe.
pub(crate) fn started(memory: &Memory, container: &Container) -> bool {
    let Some(run) = memory.running() else { return false };
    if memory.post_start.as_ref() == Some(&run.id) {
        return false;
    }
    container.startup_probe.is_none() || good(memory, ProbeKind::Startup, run) == Some(true)
}

/// Whether the run may be sent requests.
pub(crate) fn ready(memory: &Memory, container: &Container) -> bool {
    let Some(run) = memory.running() else { return false };
    started(memory, container)
        && (container.readiness_probe.is_none() || good(memory, ProbeKind::Readiness, run) == Some(true))
}

fn good(memory: &Memory, kind: ProbeKind, run: &Run) -> Option<bool> {
    memory.probes.get(&kind).filter(|prober| prober.run == run.id)?.good
}

/// Makes probers for new runs, hands out the probes that are due.
pub(crate) fn step(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    let ending = life.ending_since.is_some();
    for container in spec::containers(pod).filter(|it| spec::role(pod, &it.name) != Role::Init) {
        let memory = life.memory(&container.name);
        let Some(run) = memory.running().cloned() else { continue };
        for kind in KINDS {
            let Some(probe) = kind.of(container) else { continue };
            renew(memory, pod, container, kind, probe, &run);
            let started = started(memory, container);
            let silent = (ending && kind != ProbeKind::Readiness) || memory.post_start.is_some();
            let out_of_turn = (kind == ProbeKind::Startup) == started;
            if !silent && !out_of_turn {
                due(memory, container, kind, &run.id, now, draft);
            }
        }
    }
}

/// A prober for this run, unless there is one. A run that the API already calls started or ready stays so (adoption).
fn renew(memory: &mut Memory, pod: &Pod, container: &Container, kind: ProbeKind, probe: &Probe, run: &Run) {
    if memory.probes.get(&kind).is_some_and(|prober| prober.run == run.id) {
        return;
    }
    let (was_started, was_ready) = told(pod, container, &run.id);
    let good = match kind {
        ProbeKind::Startup => was_started.then_some(true),
        ProbeKind::Liveness => Some(true),
        ProbeKind::Readiness => Some(was_ready),
    };
    let started_at = run.running_since().unwrap_or(Timestamp::MIN);
    let next_at = later_seconds(started_at, i64::from(probe.initial_delay_seconds.unwrap_or(0)));
    let prober = Prober {
        run: run.id.clone(),
        good,
        last: None,
        streak: 0,
        next_at,
        in_flight: false,
        on_hold: false,
    };
    memory.probes.insert(kind, prober);
}

/// What the API was told about this very run: started, ready.
fn told(pod: &Pod, container: &Container, id: &str) -> (bool, bool) {
    let status = pod.status.as_ref();
    let all = status
        .into_iter()
        .flat_map(|it| it.init_container_statuses.iter().chain(&it.container_statuses))
        .flatten();
    let of_run = |it: &&k8s_openapi::api::core::v1::ContainerStatus| {
        it.name == container.name && it.container_id.as_deref() == Some(&crate::status::container_id(id))
    };
    all.into_iter().find(of_run).map_or((false, false), |it| (it.started.unwrap_or(false), it.ready))
}

fn due(
    memory: &mut Memory,
    container: &Container,
    kind: ProbeKind,
    id: &str,
    now: Timestamp,
    draft: &mut Draft,
) {
    let Some(prober) = memory.probes.get_mut(&kind).filter(|prober| !prober.in_flight && !prober.on_hold)
    else {
        return;
    };
    if now < prober.next_at {
        return draft.wake(prober.next_at);
    }
    prober.in_flight = true;
    draft.act(Action::Probe { container: container.name.clone(), id: id.to_owned(), kind });
}

impl Life {
    /// Adds one result up.
    pub(crate) fn probed(
        &mut self,
        pod: &Pod,
        id: &str,
        kind: ProbeKind,
        outcome: ProbeOutcome,
        now: Timestamp,
    ) -> Vec<Reason> {
        let ending = self.ending_since.is_some();
        let found = spec::containers(pod).find(|it| {
            self.containers.get(&it.name).and_then(|memory| memory.running()).is_some_and(|run| run.id == id)
        });
        let Some(container) = found else { return Vec::new() };
        let Some(probe) = kind.of(container) else { return Vec::new() };
        let memory = self.memory(&container.name);
        let Some(prober) = memory.probes.get_mut(&kind).filter(|prober| prober.run == id) else {
            return Vec::new();
        };
        prober.in_flight = false;
        prober.next_at = later_seconds(now, i64::from(probe.period_seconds.unwrap_or(10).max(1)));
        let mut reasons: Vec<Reason> = unhealthy(kind, &outcome)
            .map(|it| it.about(spec::field_path(pod, &container.name)))
            .into_iter()
            .collect();
        let verdict = prober.count(kind, probe, &outcome);
        match (kind, verdict) {
            (ProbeKind::Startup, Some(true)) => memory.wake_probes(now),
            (ProbeKind::Startup | ProbeKind::Liveness, Some(false)) if !ending => {
                let mut draft = Draft::default();
                let grace = probe.termination_grace_period_seconds.unwrap_or(spec::grace(pod));
                let word = kind.title().to_lowercase();
                let message = format!("Container {} failed {word} probe, will be restarted", container.name);
                kill::begin(memory, pod, &container.name, grace, message, now, &mut draft);
                reasons.extend(draft.reasons);
            }
            _ => {}
        }
        reasons
    }
}

impl Memory {
    /// The other probes need not wait for their period when the startup probe has just succeeded.
    fn wake_probes(&mut self, now: Timestamp) {
        for (kind, prober) in &mut self.probes {
            if *kind != ProbeKind::Startup {
                prober.next_at = prober.next_at.min(now);
            }
        }
    }
}

impl Prober {
    /// Counts one result; returns what they add up to when the threshold is reached (F4).
    fn count(&mut self, kind: ProbeKind, probe: &Probe, outcome: &ProbeOutcome) -> Option<bool> {
        let good = match outcome {
            ProbeOutcome::Success | ProbeOutcome::Warning(_) => true,
            ProbeOutcome::Failure(_) => false,
            ProbeOutcome::Errored(_) => return None,
        };
        self.streak = if self.last == Some(good) { self.streak + 1 } else { 1 };
        self.last = Some(good);
        let threshold =
            if good { probe.success_threshold.unwrap_or(1) } else { probe.failure_threshold.unwrap_or(3) };
        if self.streak < threshold {
            return None;
        }
        self.good = Some(good);
        if kind == ProbeKind::Startup || (kind == ProbeKind::Liveness && !good) {
            self.on_hold = true;
        }
        Some(good)
    }
}

/// The event a result gives rise to, if any.
fn unhealthy(kind: ProbeKind, outcome: &ProbeOutcome) -> Option<Reason> {
    let title = kind.title();
    match outcome {
        ProbeOutcome::Success => None,
        ProbeOutcome::Warning(text) => {
            Some(Reason::warning("ProbeWarning", format!("{title} probe warning: {text}")))
        }
        ProbeOutcome::Failure(text) => {
            Some(Reason::warning("Unhealthy", format!("{title} probe failed: {text}")))
        }
        ProbeOutcome::Errored(text) => {
            Some(Reason::warning("Unhealthy", format!("{title} probe errored: {text}")))
        }
    }
}
