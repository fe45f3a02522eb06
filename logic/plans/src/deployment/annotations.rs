//! The annotations by which a Deployment and its ReplicaSets keep account (H2.6). Pure leaf.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::limits;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
/// Characters of revision history kept on one ReplicaSet.
const HISTORY_MAX: usize = 2000;

type Annotations = BTreeMap<String, String>;

/// The revision of a ReplicaSet; one without counts as zero.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set.metadata.annotations.as_ref(), REVISION).unwrap_or(0)
}

/// The size its Deployment had when the set was last scaled.
pub(super) fn desired(set: &ReplicaSet) -> Option<i32> {
    number(set.metadata.annotations.as_ref(), DESIRED).and_then(|number| number.try_into().ok())
}

/// The most pods its Deployment could have when the set was last scaled.
pub(super) fn max(set: &ReplicaSet) -> Option<i32> {
    number(set.metadata.annotations.as_ref(), MAX).and_then(|number| number.try_into().ok())
}

fn number(annotations: Option<&Annotations>, name: &str) -> Option<i64> {
    annotations?.get(name)?.parse().ok()
}

/// Copies the Deployment's annotations to the newest set and raises its revision.
pub(super) fn renew(annotations: &mut Annotations, deployment: &Deployment, revision: i64, exists: bool) {
    for (name, value) in deployment.metadata.annotations.iter().flatten().filter(|(name, _)| is_copied(name))
    {
        annotations.insert(name.clone(), value.clone());
    }
    let old = annotations.get(REVISION).cloned();
    let old_number = old.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    if old_number >= revision {
        return;
    }
    annotations.insert(REVISION.to_owned(), revision.to_string());
    if let Some(old) = old.filter(|_| exists) {
        let history = annotations.entry(REVISION_HISTORY.to_owned()).or_default();
        *history = extended(history, &old);
    }
}

fn is_copied(name: &str) -> bool {
    ![LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX, ROLLBACK_TO].contains(&name)
}

/// The history with one more revision, the oldest dropped as long as it is too long.
fn extended(history: &str, revision: &str) -> String {
    let mut revisions: Vec<&str> = history.split(',').filter(|text| !text.is_empty()).collect();
    revisions.push(revision);
    while revisions.len() > 1 && revisions.join(",").len() > HISTORY_MAX {
        revisions.remove(0);
    }
    revisions.join(",")
}

/// Notes the Deployment's size on a set that is being scaled.
pub(super) fn note_size(annotations: &mut Annotations, deployment: &Deployment) {
    let desired = limits::replicas(deployment);
    annotations.insert(DESIRED.to_owned(), desired.to_string());
    annotations.insert(MAX.to_owned(), (desired + limits::max_surge(deployment)).to_string());
}
