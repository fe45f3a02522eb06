//! A Deployment's ReplicaSets: which is the new one, how it is made, kept up to date and cleaned up after.
//!
//! Invariant: the new set is the oldest whose template equals the Deployment's but for the hash label, so
//! that going back to an earlier template takes its set up again (H2.4).

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kelson_machinery::hash;

use super::{annotations, limits};
use crate::owners::controller_reference;
use crate::plan::{Action, Plan, Reason, Step};

pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// The ReplicaSets of one Deployment, oldest first.
pub(super) struct Sets {
    pub new: Option<Arc<ReplicaSet>>,
    pub old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    pub(super) fn of(deployment: &Deployment, mut owned: Vec<Arc<ReplicaSet>>) -> Self {
        owned.sort_by_key(|set| age(set));
        let template = comparable(Some(&deployment.spec.template));
        let is_new = |set: &Arc<ReplicaSet>| comparable(set.spec.template.as_ref()) == template;
        let new = owned.iter().position(is_new).map(|index| owned.remove(index));
        Self { new, old: owned }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new)
    }

    /// The sum of a figure over all sets.
    pub(super) fn sum(&self, figure: fn(&ReplicaSet) -> i32) -> i32 {
        self.all().map(|set| figure(set)).sum()
    }

    /// The sets that want pods.
    pub(super) fn active(&self) -> Vec<&Arc<ReplicaSet>> {
        self.all().filter(|set| limits::wanted(set) > 0).collect()
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(|set| annotations::revision(set)).max().unwrap_or(0) + 1
    }

    /// Brings the Deployment's revision in line with its new set's.
    pub(super) fn revision_action(&self, deployment: &Deployment) -> Option<Action> {
        let new = self.new.as_ref()?;
        let revision = new.metadata.annotations.as_ref()?.get(annotations::REVISION)?;
        let mut after = deployment.clone();
        let annotations = after.metadata.annotations.get_or_insert_default();
        annotations.insert(annotations::REVISION.to_owned(), revision.clone());
        let mut action = Action::patch(deployment, &after)?;
        // Beside the status, as upstream: what the controller notes counts no generation.
        if let Action::Patch { subresource, .. } = &mut action {
            *subresource = Some("status");
        }
        Some(action)
    }

    /// Brings the new set's annotations and minReadySeconds in line with the Deployment.
    pub(super) fn refresh_new(&mut self, deployment: &Deployment) -> Vec<Step> {
        let Some(new) = &self.new else { return Vec::new() };
        let mut after = new.as_ref().clone();
        let annotations = after.metadata.annotations.get_or_insert_default();
        annotations::renew(annotations, deployment, self.next_revision(), true);
        let seconds = limits::min_ready_seconds(deployment);
        if after.spec.min_ready_seconds.unwrap_or(0) != seconds {
            after.spec.min_ready_seconds = Some(seconds);
        }
        Action::patch(new.as_ref(), &after).map(Step::from).into_iter().collect()
    }

    /// The set for the Deployment's template, of this size.
    pub(super) fn make_new(&self, deployment: &Deployment, size: i32) -> ReplicaSet {
        let spec = &deployment.spec;
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = template_hash(&spec.template, collisions);
        let mut template = spec.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
        let name = deployment.metadata.name.as_deref().unwrap_or_default();
        let mut notes = Default::default();
        annotations::renew(&mut notes, deployment, self.next_revision(), false);
        annotations::note_size(&mut notes, deployment);
        ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{name}-{hash}")),
                namespace: deployment.metadata.namespace.clone(),
                labels: Some(labels),
                annotations: Some(notes),
                owner_references: Some(vec![controller_reference(deployment)]),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec {
                replicas: Some(size),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            },
            status: None,
        }
    }

    /// Deletes the oldest sets beyond the history that is to be kept (H2.13).
    pub(super) fn clean_up(&self, deployment: &Deployment, plan: &mut Plan) {
        let Some(limit) = limits::history_limit(deployment) else { return };
        let mut old: Vec<&Arc<ReplicaSet>> =
            self.old.iter().filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
        let excess = old.len().saturating_sub(limit);
        old.sort_by_key(|set| (annotations::revision(set), age(set)));
        let gone = old.into_iter().take(excess).filter(|set| is_spent(set));
        plan.stage(gone.map(|set| Step::from(Action::delete(set.as_ref()))).collect());
    }
}

/// No pod is wanted, none is left, and the controller has seen that none is wanted.
fn is_spent(set: &ReplicaSet) -> bool {
    let observed = set.status.as_ref().and_then(|status| status.observed_generation);
    limits::actual(set) == 0 && limits::wanted(set) == 0 && observed >= set.metadata.generation
}

/// The order of age; the name decides between sets of one second.
pub(super) fn age(set: &ReplicaSet) -> (Option<jiff::Timestamp>, Option<String>) {
    (set.metadata.creation_timestamp.as_ref().map(|time| time.0), set.metadata.name.clone())
}

/// A template without its hash label, in one form whether maps are empty or missing.
fn comparable(template: Option<&PodTemplateSpec>) -> PodTemplateSpec {
    let mut template = template.cloned().unwrap_or_default();
    let meta = template.metadata.get_or_insert_default();
    meta.labels.get_or_insert_default().remove(HASH_LABEL);
    meta.annotations.get_or_insert_default();
    template
}

/// The hash in the names of sets and pods (H2.3): of the template's canonical JSON and the collisions met.
pub(super) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut bytes = serde_json::to_vec(template).expect("API types have string keys only");
    bytes.extend(collisions.into_iter().flat_map(i32::to_le_bytes));
    hash::safe_encode(&hash::fnv32a(&bytes).to_string())
}

/// Scales a set, noting the Deployment's size on it (H2.6, H2.14).
pub(super) fn scale(deployment: &Deployment, set: &ReplicaSet, size: i32) -> Option<Step> {
    let before = limits::wanted(set);
    let mut after = set.clone();
    after.spec.replicas = Some(size);
    annotations::note_size(after.metadata.annotations.get_or_insert_default(), deployment);
    let step = Step::from(Action::patch(set, &after)?);
    Some(if before == size { step } else { step.done(scaled(deployment, set, before, size)) })
}

/// The event of a change of size.
pub(super) fn scaled(deployment: &Deployment, set: &ReplicaSet, from: i32, to: i32) -> Reason {
    let direction = if to > from { "up" } else { "down" };
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
    Reason::normal(deployment, "ScalingReplicaSet", message)
}
