//! What the faked runtime makes of an action: a report, now and then a failure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kelson_plans::{Key, Resource};
use kelson_pods::{Action, ImageFacts, ProbeOutcome, PullError, Report, StartError, StopSignal};

use super::tended::Tended;
use super::{Node, Stopped};
use crate::api::{Api, Deletion, Place};
use crate::clock::later;
use crate::random::Random;

/// The label of pods whose programs end of themselves.
pub(crate) const ENDS: &str = "ends";

impl Node {
    /// Carries out one action of a pod's life; says so when it tells the pod to stop.
    pub(super) fn act(
        &mut self,
        uid: &str,
        tended: &mut Tended,
        action: Action,
        api: &mut Api,
        random: &mut Random,
        rough: bool,
    ) -> Option<Stopped> {
        let fails = rough && random.once_in(10);
        let now = self.clock.read(api.now);
        let report = match action {
            Action::MountVolumes if fails => Report::VolumesFailed(vec!["no luck".into()]),
            Action::MountVolumes => Report::VolumesMounted,
            Action::UnmountVolumes => Report::VolumesGone,
            Action::StartSandbox => self.start_sandbox(uid, Key::of(&tended.pod.metadata), fails),
            Action::StopSandbox => {
                self.machine.stop(uid);
                Report::SandboxGone
            }
            Action::Pull { container, image } if fails => {
                Report::PullFailed { container, image, error: PullError("no luck".into()) }
            }
            Action::Pull { container, image } => {
                let facts = ImageFacts { size: 1, imported: false };
                Report::Pulled { container, image, facts, took: jiff::SignedDuration::from_millis(5) }
            }
            Action::Start { container, attempt } if fails || self.machine.sandbox(uid).is_none() => {
                let error = StartError::Create("no luck".into());
                Report::StartFailed { container, attempt, error }
            }
            Action::Start { container, attempt } => {
                let image = image_of(&tended.pod, &container);
                let runs = self.machine.run(uid, &container, attempt, &image, now);
                if let Some(code) = exit_code(&tended.pod, random) {
                    let after = jiff::SignedDuration::from_millis(random.below(20_000) as i64);
                    self.machine.ends_at(uid, later(api.now, after), code);
                }
                Report::Runs(runs)
            }
            Action::Hook { id, kind, .. } => Report::HookDone { id, kind, error: None },
            Action::Signal { id, signal, .. } => return self.signal(uid, tended, &id, signal, now),
            Action::Probe { id, kind, .. } => {
                let outcome = match fails {
                    true => ProbeOutcome::Failure("no luck".into()),
                    false => ProbeOutcome::Success,
                };
                Report::Probed { id, kind, outcome }
            }
            Action::Remove { id, .. } => {
                if let Some(sandbox) = self.machine.sandbox(uid) {
                    sandbox.runs.retain(|run| run.id != id);
                }
                Report::Removed { id }
            }
            Action::DeletePod => {
                let place = Place { resource: Resource::of::<Pod>(true), key: Key::of(&tended.pod.metadata) };
                let how =
                    Deletion { uid: Some(uid), grace_seconds: Some(0), by_node: true, ..Deletion::default() };
                // Stale means that somebody else has done it.
                let _ = api.delete(&place, &how);
                return None;
            }
        };
        tended.tell(report);
        None
    }
}

impl Node {
    fn start_sandbox(&mut self, uid: &str, pod: Key, fails: bool) -> Report {
        match self.machine.start(uid, pod).filter(|_| !fails) {
            Some(address) => Report::SandboxReady { ips: vec![address] },
            None => {
                self.machine.stop(uid);
                Report::SandboxFailed("no luck".into())
            }
        }
    }

    /// Who dies at once of SIGTERM proves the most: nothing sent after it is answered.
    fn signal(
        &mut self,
        uid: &str,
        tended: &mut Tended,
        id: &str,
        signal: StopSignal,
        now: Timestamp,
    ) -> Option<Stopped> {
        let code = if signal == StopSignal::Stop { 143 } else { 137 };
        let sandbox = self.machine.sandbox(uid)?;
        let address = sandbox.address.parse().expect("an address");
        tended.tell(Report::Runs(sandbox.end(id, code, now)));
        Some(Stopped { address, pod: Box::new(tended.pod.clone()) })
    }
}

fn image_of(pod: &Pod, container: &str) -> String {
    kelson_pods::container(pod, container).and_then(|it| it.image.clone()).unwrap_or_default()
}

/// How the pod's program will end, if it is of those that end: two times of three well.
fn exit_code(pod: &Pod, random: &mut Random) -> Option<i32> {
    let ends = pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(ENDS));
    ends.then(|| i32::from(random.once_in(3)))
}
