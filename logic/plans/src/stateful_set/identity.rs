//! Who a StatefulSet's pod is: its ordinal, the names and labels that follow from it, its volumes (H4.1). Pure leaf.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, Pod, Volume};

use super::claims;
use crate::owners::controller_reference;
use crate::replica_set::pod_of;
use crate::revisions::{self, REVISION_LABEL};

pub(super) const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
pub(super) const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The number at the end of a pod's name; `None` if it is none of the set's names.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let (parent, digits) = pod.metadata.name.as_deref()?.rsplit_once('-')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && Some(parent) == set.metadata.name.as_deref()).then(|| digits.parse().ok()).flatten()
}

pub(super) fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.metadata.name.as_deref().unwrap_or_default())
}

/// The name of the revision that a pod was made from.
pub(super) fn revision(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

/// The pod of an ordinal as a revision says.
pub(super) fn pod(set: &StatefulSet, made_from: &ControllerRevision, ordinal: i32) -> Pod {
    let template = revisions::template(made_from).unwrap_or_else(|| set.spec.template.clone());
    let mut pod = pod_of(&template, &set.metadata);
    pod.metadata.owner_references = Some(vec![controller_reference(set)]);
    pod.metadata.name = Some(pod_name(set, ordinal));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.to_owned(), revisions::name(made_from).to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(pod_name(set, ordinal));
    spec.subdomain = set.spec.service_name.clone().filter(|name| !name.is_empty());
    spec.volumes = volumes(set, ordinal, spec.volumes.take());
    label(set, &mut pod, ordinal);
    pod
}

/// The labels by which a pod is found by its name and its index.
pub(super) fn label(set: &StatefulSet, pod: &mut Pod, ordinal: i32) {
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME.to_owned(), pod_name(set, ordinal));
    labels.insert(POD_INDEX.to_owned(), ordinal.to_string());
}

/// The set's claims first, then the template's own volumes that none of them replaces.
fn volumes(set: &StatefulSet, ordinal: i32, own: Option<Vec<Volume>>) -> Option<Vec<Volume>> {
    let claimed = claims::templates(set).map(|template| Volume {
        name: template.metadata.name.clone().unwrap_or_default(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claims::name(set, template, ordinal),
            read_only: None,
        }),
        ..Volume::default()
    });
    let mut volumes: Vec<Volume> = claimed.collect();
    for volume in own.into_iter().flatten() {
        if !volumes.iter().any(|claimed| claimed.name == volume.name) {
            volumes.push(volume);
        }
    }
    (!volumes.is_empty()).then_some(volumes)
}
