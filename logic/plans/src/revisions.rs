//! The templates a StatefulSet or DaemonSet has had: ControllerRevisions (H4.9, H5.5).
//!
//! What `kubectl rollout history` and `undo` read. Invariant: there is one revision for each template in the history; a
//! template that comes back takes its revision up again under the next number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kelson_machinery::hash;
use serde_json::{Value, json};

use crate::key::Key;
use crate::kinds::Kept;
use crate::owners::controller_reference;
use crate::plan::{Action, Step};
use crate::view::View;

/// The label of a StatefulSet's revisions that holds their hash.
pub(crate) const HASH: &str = "controller.kubernetes.io/hash";
/// The label by which a pod says which revision it was made from.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";
/// Revisions kept besides the live ones, unless the set says otherwise.
const HISTORY: i32 = 10;
/// Characters of the owner's name that fit before the hash.
const PREFIX_MAX: usize = 223;

/// Where a set stands with its history.
pub(crate) enum Standing {
    /// The template's revision is there and is the newest.
    Settled(Arc<ControllerRevision>),
    /// The history is to be brought up to date first.
    Behind(Box<Step>),
    /// Somebody else has the name: the next hash takes the collision into account.
    Collided,
}

/// What makes a kind's revisions its own.
pub(crate) struct History<'a, O> {
    pub view: &'a View,
    pub owner: &'a O,
    pub template: &'a PodTemplateSpec,
    /// Under which label a revision holds its hash.
    pub hash_label: &'static str,
    pub collisions: Option<i32>,
}

impl<O: Kept> History<'_, O> {
    /// Where the set stands; `owned` are its revisions, oldest first.
    pub(crate) fn standing(&self, owned: &[Arc<ControllerRevision>]) -> Standing {
        let wanted = patch(self.template);
        let newest = owned.last().map_or(0, |revision| number(revision));
        let Some(same) = owned.iter().rev().find(|revision| revision.data.0 == wanted) else {
            return self.make(wanted, newest + 1);
        };
        if number(same) == newest {
            return Standing::Settled(same.clone());
        }
        let mut after = same.as_ref().clone();
        after.revision = Some(newest + 1);
        match Action::patch(same.as_ref(), &after) {
            Some(action) => Standing::Behind(Box::new(action.into())),
            None => Standing::Settled(same.clone()),
        }
    }

    fn make(&self, wanted: Value, revision: i64) -> Standing {
        let made = self.revision(wanted, revision);
        match self.view.controller_revisions.get(&Key::of(&made.metadata)) {
            Some(_) => Standing::Collided,
            None => Standing::Behind(Box::new(Action::create(&made).into())),
        }
    }

    fn revision(&self, data: Value, revision: i64) -> ControllerRevision {
        let meta = self.owner.metadata();
        let hash = hash_of(&data, self.collisions);
        let mut labels: BTreeMap<String, String> =
            self.template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
        labels.insert(self.hash_label.to_owned(), hash.clone());
        let prefix: String = meta.name.iter().flat_map(|name| name.chars()).take(PREFIX_MAX).collect();
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(format!("{prefix}-{hash}")),
                namespace: meta.namespace.clone(),
                labels: Some(labels),
                annotations: meta.annotations.clone(),
                owner_references: Some(vec![controller_reference(self.owner)]),
                ..ObjectMeta::default()
            },
            data: RawExtension(data),
            revision: Some(revision),
        }
    }
}

/// The hash of a revision's content, in the letters of names.
fn hash_of(data: &Value, collisions: Option<i32>) -> String {
    let mut bytes = data.to_string().into_bytes();
    bytes.extend(collisions.filter(|count| *count > 0).into_iter().flat_map(i32::to_le_bytes));
    hash::safe_encode(&hash::fnv32a(&bytes).to_string())
}

/// A template as `kubectl rollout undo` sends it back: a patch that replaces the whole of it.
pub(crate) fn patch(template: &PodTemplateSpec) -> Value {
    let mut template = serde_json::to_value(template).expect("API types have string keys only");
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision holds; `None` if it holds none.
pub(crate) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    // By way of its text: so templates have one reader, that of every other object.
    serde_json::from_str(&revision.data.0.pointer("/spec/template")?.to_string()).ok()
}

pub(crate) fn number(revision: &ControllerRevision) -> i64 {
    revision.revision.unwrap_or(0)
}

pub(crate) fn name(revision: &ControllerRevision) -> &str {
    revision.metadata.name.as_deref().unwrap_or_default()
}

/// Revisions, oldest first.
pub(crate) fn sorted(owned: Vec<&Arc<ControllerRevision>>) -> Vec<Arc<ControllerRevision>> {
    let mut owned: Vec<Arc<ControllerRevision>> = owned.into_iter().cloned().collect();
    owned.sort_by_key(|revision| {
        let made = revision.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (number(revision), made, revision.metadata.name.clone())
    });
    owned
}

/// Deletes the oldest revisions that nobody uses, beyond the history that is to be kept.
pub(crate) fn clean_up(
    owned: &[Arc<ControllerRevision>],
    live: &BTreeSet<&str>,
    limit: Option<i32>,
) -> Vec<Step> {
    let limit = usize::try_from(limit.unwrap_or(HISTORY)).unwrap_or(0);
    let idle: Vec<_> = owned.iter().filter(|revision| !live.contains(name(revision))).collect();
    let excess = idle.len().saturating_sub(limit);
    let going = idle.into_iter().take(excess);
    let going = going.filter(|revision| revision.metadata.deletion_timestamp.is_none());
    going.map(|revision| Action::delete(revision.as_ref()).into()).collect()
}
