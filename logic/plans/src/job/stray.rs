//! Pods that are held for a job that is no longer theirs: their finalizer would keep them for ever.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::{Spec as _, pods};
use crate::key::Key;
use crate::owners::controller_of;
use crate::plan::Step;
use crate::select;
use crate::view::View;

const NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// Lets go the pods held for a job of this name that is gone, or that has let them go itself.
pub(super) fn release(view: &View, key: &Key, job: Option<&Arc<Job>>) -> Vec<Step> {
    let pods = view.pods.within(&key.namespace).map(|(_, pod)| pod);
    let held = pods.filter(|pod| pods::is_tracked(pod) && is_stray(pod, key, job));
    held.filter_map(|pod| pods::untrack(pod)).collect()
}

fn is_stray(pod: &Pod, key: &Key, job: Option<&Arc<Job>>) -> bool {
    match controller_of(&pod.metadata) {
        Some(owner) => {
            let named = owner.kind == "Job" && owner.name == key.name;
            named && job.and_then(|job| job.metadata.uid.as_ref()) != Some(&owner.uid)
        }
        None => {
            let selected = |job: &Arc<Job>| {
                let selector = job.spec_ref().selector.as_ref();
                selector.is_some_and(|selector| select::matches(selector, pod.metadata.labels.as_ref()))
            };
            job_named_by(pod).as_ref() == Some(key) && !job.is_some_and(selected)
        }
    }
}

/// The job for which a pod is held that nobody controls.
pub(super) fn job_named_by(pod: &Pod) -> Option<Key> {
    if controller_of(&pod.metadata).is_some() || !pods::is_tracked(pod) {
        return None;
    }
    let name = pod.metadata.labels.as_ref()?.get(NAME_LABEL)?;
    Some(Key::new(pod.metadata.namespace.as_deref().unwrap_or_default(), name))
}
