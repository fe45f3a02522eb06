//! The end of a pod: why it ends, ending its containers, giving back what it held, and telling the API (F12–F14).
//!
//! Invariant: the API object goes only after the API holds the final status and the node holds nothing of the pod; a pod
//! that the API no longer has is ended the same way, without telling anybody.

use crate::backoff::later_seconds;
use crate::decision::{Action, Draft, Reason};
use crate::kill;
use crate::life::{Life, Step};
use crate::{restart, spec};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

/// Seconds an evicted pod gets, as upstream gives it where a hard threshold was met.
const EVICTED_GRACE: i64 = 1;

/// Notices that the pod has to end: it was deleted, its deadline has passed, or it has nothing left to do.
pub(crate) fn notice(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    deadline(life, pod, now, draft);
    let ends = pod.metadata.deletion_timestamp.is_some()
        || life.gone
        || life.failed.is_some()
        || reported_over(pod)
        || restart::over(life, pod);
    if ends && life.ending_since.is_none() {
        life.ending_since = Some(now);
    }
}

/// Whether the API already says that the pod has ended; there is no way back from there.
pub(crate) fn reported_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// `activeDeadlineSeconds`, counted from the pod's start on the node.
fn deadline(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    let Some(seconds) = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) else { return };
    if life.ending_since.is_some() {
        return;
    }
    let started =
        pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map_or(life.seen_at, |time| time.0);
    let end = later_seconds(started, seconds);
    if now < end {
        return draft.wake(end);
    }
    let message = "Pod was active on the node longer than the specified deadline".to_owned();
    draft.reasons.push(Reason::normal("DeadlineExceeded", message.clone()));
    life.failed = Some(("DeadlineExceeded".to_owned(), message));
}

pub(crate) fn step(life: &mut Life, pod: &Pod, now: Timestamp, draft: &mut Draft) {
    let grace = grace(life, pod);
    for name in spec::names(pod) {
        let message = format!("Stopping container {name}");
        kill::begin(life.memory(name), pod, name, grace, message, now, draft);
    }
    kill::drive_all(life, pod, now, draft);
    if quiet(life) {
        release(life, draft);
    }
}

/// Seconds the pod has to end. One that has to go for what it uses gets one at most.
pub(crate) fn grace(life: &Life, pod: &Pod) -> i64 {
    let evicted = life.failed.as_ref().is_some_and(|(reason, _)| reason == "Evicted");
    let longest = if evicted { EVICTED_GRACE } else { i64::MAX };
    spec::grace(pod).min(longest)
}

/// No container runs and none is being started.
pub(crate) fn quiet(life: &Life) -> bool {
    life.containers.values().all(|memory| memory.running().is_none() && memory.starting.is_none())
}

/// Gives back the sandbox, then the volumes.
fn release(life: &mut Life, draft: &mut Draft) {
    if life.sandbox == Step::Done {
        life.sandbox = Step::Leaving;
        return draft.act(Action::StopSandbox);
    }
    if held(&life.sandbox) {
        return;
    }
    if life.volumes == Step::Done || matches!(life.volumes, Step::Failed { .. }) {
        life.volumes = Step::Leaving;
        draft.act(Action::UnmountVolumes);
    }
}

/// Whether a step still holds something of the node.
fn held(step: &Step) -> bool {
    matches!(step, Step::InFlight | Step::Done | Step::Leaving)
}

/// Whether nothing of the pod is left on the node.
pub(crate) fn released(life: &Life) -> bool {
    quiet(life) && !held(&life.sandbox) && !held(&life.volumes)
}

/// Asks for the API object's removal once all is told; true when the pod can be forgotten.
pub(crate) fn finish(life: &mut Life, pod: &Pod, status: &PodStatus, draft: &mut Draft) -> bool {
    if life.ending_since.is_none() || !released(life) {
        return false;
    }
    let deleted = pod.metadata.deletion_timestamp.is_some();
    if deleted && !life.gone && !life.delete_asked && life.written.as_ref() == Some(status) {
        life.delete_asked = true;
        draft.act(Action::DeletePod);
    }
    life.gone
}
