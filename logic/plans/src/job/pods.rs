//! A Job's pod: how it is made and what it says of itself (H6.2, H6.3). Pure leaf.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::{Spec as _, TRACKING};
use crate::owners::controller_reference;
use crate::plan::{Action, Ending, Reason, Step};
use crate::pod;
use crate::replica_set::pod_of;

pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const INDEX_ENV: &str = "JOB_COMPLETION_INDEX";
/// Characters of a generated name before its random end.
const PREFIX_MAX: usize = 58;

/// A pod to be made: its index in an indexed job, and how often that index has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub index: Option<usize>,
    pub failures: Option<i32>,
}

pub(super) fn create(job: &Job, slot: &Slot) -> Step {
    Step::from(Action::create(&make(job, slot)))
        .done(Reason::normal(job, "SuccessfulCreate", "Created pod: ").ending(Ending::Name))
        .failed(Reason::warning(job, "FailedCreate", "Error creating: ").ending(Ending::Refusal))
}

pub(super) fn delete(job: &Job, pod: &Pod) -> Step {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Step::from(Action::delete(pod))
        .done(Reason::normal(job, "SuccessfulDelete", format!("Deleted pod: {name}")))
        .failed(Reason::warning(job, "FailedDelete", "Error deleting: ").ending(Ending::Refusal))
}

fn make(job: &Job, slot: &Slot) -> Pod {
    let mut pod = pod_of(&job.spec_ref().template, &job.metadata);
    pod.metadata.owner_references = Some(vec![controller_reference(job)]);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|name| name == TRACKING) {
        finalizers.push(TRACKING.to_owned());
    }
    if let Some(index) = slot.index {
        place(job, &mut pod, index);
    }
    if let Some(failures) = slot.failures {
        let notes = pod.metadata.annotations.get_or_insert_default();
        notes.insert(INDEX_FAILURES.to_owned(), failures.to_string());
    }
    pod
}

/// What tells a pod which part of the work is its own.
fn place(job: &Job, pod: &mut Pod, index: usize) {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let end = format!("-{index}-");
    let start: String = name.chars().take(PREFIX_MAX.saturating_sub(end.len())).collect();
    pod.metadata.generate_name = Some(format!("{start}{end}"));
    pod.metadata.annotations.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{name}-{index}"));
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(tell_index);
}

fn tell_index(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == INDEX_ENV) {
        return;
    }
    let field =
        ObjectFieldSelector { field_path: format!("metadata.labels['{INDEX}']"), ..Default::default() };
    variables.push(EnvVar {
        name: INDEX_ENV.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    });
}

/// Takes the finalizer from a pod that has it.
pub(super) fn untrack(pod: &Pod) -> Option<Step> {
    let mut after = pod.clone();
    let finalizers = after.metadata.finalizers.as_mut()?;
    finalizers.retain(|name| name != TRACKING);
    if finalizers.is_empty() {
        after.metadata.finalizers = None;
    }
    Action::patch(pod, &after).map(Step::from)
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|name| name == TRACKING)
}

/// Failed; or asked to go, unless the job waits for pods to end.
pub(super) fn has_failed(job: &Job, pod: &Pod) -> bool {
    match pod::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod::is_deleting(pod) && !job.waits_for_failure(),
    }
}

/// The pod's index, if it is one of the job's.
pub(super) fn index(job: &Job, pod: &Pod) -> Option<usize> {
    let index = pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()?;
    (index < job.completions()?).then_some(index)
}

/// How often its index had failed when the pod was made.
pub(super) fn index_failures(pod: &Pod) -> i32 {
    let notes = pod.metadata.annotations.as_ref();
    notes.and_then(|notes| notes.get(INDEX_FAILURES)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// When the pod came to its end, as far as can be told.
pub(super) fn finished(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ends = statuses.filter_map(|status| status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    let by_containers = ends.map(|time| time.0).max();
    let by_readiness =
        || pod::condition(pod, "Ready").and_then(|ready| Some(ready.last_transition_time.as_ref()?.0));
    let by_metadata = || {
        let meta = &pod.metadata;
        meta.deletion_timestamp.as_ref().or(meta.creation_timestamp.as_ref()).map(|time| time.0)
    };
    by_containers.or_else(by_readiness).or_else(by_metadata)
}
