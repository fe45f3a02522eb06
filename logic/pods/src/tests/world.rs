//! A node made of nothing: answers actions with reports, at the test's pace.

use crate::reports::ImageFacts;
use crate::{Action, Decision, Exit, Life, NodeFacts, Reason, Report, Run, RunState, StopSignal};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct World {
    pub pod: Pod,
    pub life: Life,
    pub now: Timestamp,
    pub runs: BTreeMap<String, Run>,
    pub pending: Vec<Action>,
    pub reasons: Vec<Reason>,
    pub last: Decision,
    /// Exit codes that containers end with as soon as they start, in turn.
    pub exits: BTreeMap<String, Vec<i32>>,
    /// What the API holds of the status, if the test writes it.
    pub writes: bool,
}

pub fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time in range")
}

/// A pod named p in ns; `spec` in JSON.
pub fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"app": "web"}},
        "spec": spec,
    }))
    .expect("a pod")
}

/// One container named c.
pub fn single() -> Value {
    json!({"containers": [{"name": "c", "image": "nginx:1.14.2"}]})
}

impl World {
    pub fn new(spec: Value) -> World {
        let now = start();
        let mut life = Life::new(NodeFacts { ips: vec!["192.0.2.1".to_owned()] }, now);
        let pod = pod(spec);
        life.report(&pod, Report::ServicesKnown, now);
        let mut world = World {
            pod,
            life,
            now,
            runs: BTreeMap::new(),
            pending: Vec::new(),
            reasons: Vec::new(),
            last: Decision::default(),
            exits: BTreeMap::new(),
            writes: true,
        };
        let images = crate::containers(&world.pod)
            .filter_map(|it| it.image.clone())
            .map(|it| (it, ImageFacts { size: 7, imported: false }));
        let images = images.collect();
        world.report(Report::Images(images));
        world
    }

    pub fn step(&mut self) -> &Decision {
        let decision = self.life.step(&self.pod, self.now);
        self.pending.extend(decision.actions.iter().cloned());
        self.reasons.extend(decision.reasons.iter().cloned());
        if self.writes {
            self.pod.status = Some(decision.status.clone());
            let reasons =
                self.life.report(&self.pod, Report::Written(Box::new(decision.status.clone())), self.now);
            assert_eq!(reasons, []);
        }
        self.last = decision;
        &self.last
    }

    pub fn report(&mut self, report: Report) {
        let reasons = self.life.report(&self.pod, report, self.now);
        self.reasons.extend(reasons);
    }

    /// Answers every action until nothing more is asked for.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            let before = self.last.status.clone();
            self.step();
            // A status that was written is news too.
            if self.pending.is_empty() && self.last.status == before {
                return;
            }
            for action in std::mem::take(&mut self.pending) {
                self.answer(action);
            }
        }
        panic!("never settles: {:?}", self.last);
    }

    /// Lets `seconds` pass and settles.
    pub fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).expect("a time in range");
        self.settle();
    }

    pub fn answer(&mut self, action: Action) {
        match action {
            Action::MountVolumes => self.report(Report::VolumesMounted),
            Action::StartSandbox => self.report(Report::SandboxReady { ips: vec!["10.244.0.5".to_owned()] }),
            Action::Pull { container, image } => {
                let took = SignedDuration::from_millis(1200);
                self.report(Report::Pulled {
                    container,
                    image,
                    facts: ImageFacts { size: 9, imported: false },
                    took,
                });
            }
            Action::Start { container, attempt } => self.start(&container, attempt),
            Action::Signal { id, signal: StopSignal::Stop, .. } => self.exit(&id, 143),
            Action::Signal { id, signal: StopSignal::Kill, .. } => self.exit(&id, 137),
            Action::Remove { id, .. } => {
                self.runs.remove(&id);
                self.report(Report::Removed { id });
            }
            Action::StopSandbox => self.report(Report::SandboxGone),
            Action::UnmountVolumes => self.report(Report::VolumesGone),
            Action::DeletePod => self.report(Report::Gone),
            Action::Hook { id, kind, .. } => self.report(Report::HookDone { id, kind, error: None }),
            Action::Probe { .. } => {}
        }
    }

    fn start(&mut self, container: &str, attempt: u32) {
        let id = format!("{container}-{attempt}");
        let image =
            crate::any_container(&self.pod, container).and_then(|it| it.image.clone()).unwrap_or_default();
        let state = RunState::Running { started_at: self.now };
        let run = Run {
            container: container.to_owned(),
            attempt,
            id: id.clone(),
            image_name: format!("docker.io/library/{image}"),
            image,
            image_id: "sha256:1".to_owned(),
            state,
        };
        self.runs.insert(id.clone(), run);
        self.tell_runs();
        let codes = self.exits.get_mut(container);
        if let Some(code) = codes.filter(|codes| !codes.is_empty()).map(|codes| codes.remove(0)) {
            self.exit(&id, code);
        }
    }

    pub fn exit(&mut self, id: &str, exit_code: i32) {
        let run = self.runs.get_mut(id).expect("a run of this world");
        if run.exit().is_some() {
            return;
        }
        let reason = Exit::reason_for(exit_code, false).to_owned();
        let message = String::new();
        run.state = RunState::Exited(Exit {
            started_at: run.running_since(),
            finished_at: self.now,
            exit_code,
            reason,
            message,
        });
        self.tell_runs();
    }

    pub fn tell_runs(&mut self) {
        self.report(Report::Runs(self.runs.values().cloned().collect()));
    }

    pub fn delete(&mut self, grace: i64) {
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.now);
        self.pod.metadata.deletion_timestamp = Some(time);
        self.pod.metadata.deletion_grace_period_seconds = Some(grace);
    }

    pub fn phase(&self) -> &str {
        self.last.status.phase.as_deref().unwrap_or_default()
    }

    pub fn status(&self, container: &str) -> &ContainerStatus {
        let status = &self.last.status;
        let own = status.init_container_statuses.iter().chain(&status.container_statuses);
        let mut all = own.chain(&status.ephemeral_container_statuses).flatten();
        all.find(|it| it.name == container).expect("a status of each container")
    }

    /// `Running`, `Waiting:reason` or `Terminated:reason`.
    pub fn state(&self, container: &str) -> String {
        let state = self.status(container).state.clone().unwrap_or_default();
        match (state.running, state.waiting, state.terminated) {
            (Some(_), ..) => "Running".to_owned(),
            (_, Some(it), _) => format!("Waiting:{}", it.reason.unwrap_or_default()),
            (.., Some(it)) => format!("Terminated:{}", it.reason.unwrap_or_default()),
            _ => "none".to_owned(),
        }
    }

    pub fn condition(&self, name: &str) -> String {
        let found =
            self.last.status.conditions.iter().flatten().find(|it| it.type_ == name).expect("a condition");
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        format!("{} {} {}", found.status, text(&found.reason), text(&found.message)).trim().to_owned()
    }

    /// `Reason: message` of every event so far.
    pub fn events(&self) -> Vec<String> {
        self.reasons.iter().map(|it| format!("{}: {}", it.reason, it.message)).collect()
    }
}
