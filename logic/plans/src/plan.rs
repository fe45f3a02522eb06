//! What a controller wants done: actions with their preconditions, when to look again, and the reasons.
//!
//! Made by every plan, carried out by `io/cluster`'s executor or by a simulation. Invariant: an action says
//! all there is to do and under which condition; whoever carries it out chooses nothing. A precondition
//! that does not hold is no error: the world moved on, and the task is planned again.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ObjectReference;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::key::{Key, Resource};
use crate::kinds::Kept;

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// An object that must not exist (under this uid) for a deletion to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    pub resource: Resource,
    pub key: Key,
    pub uid: String,
}

/// One request to the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// POST; the object has a name, or a `generateName` from which the API makes one.
    Create { resource: Resource, namespace: String, object: Value },
    /// PATCH with a JSON merge patch, of the object with this uid and (if stated) still at this version.
    Patch {
        resource: Resource,
        key: Key,
        uid: String,
        resource_version: Option<String>,
        subresource: Option<&'static str>,
        patch: Value,
    },
    /// DELETE of the object with this uid and (if stated) version, once each of `absent` is known to be gone.
    Delete {
        resource: Resource,
        key: Key,
        uid: String,
        resource_version: Option<String>,
        grace_seconds: Option<u32>,
        propagation: Option<Propagation>,
        absent: Vec<Absent>,
    },
    /// DELETE of all objects of a resource in a namespace.
    DeleteCollection { resource: Resource, namespace: String },
    /// POST of a Binding: the pod with this uid shall run on the node.
    Bind { pod: Key, uid: String, node: String },
    /// PUT of a Namespace's `finalize`, once each of `empty` has no object left in it.
    Finalize { namespace: String, object: Value, empty: Vec<Resource> },
}

impl Action {
    /// Creates an object of a kept kind.
    pub fn create<K: Kept + Serialize>(object: &K) -> Self {
        let namespace = object.metadata().namespace.clone().unwrap_or_default();
        Self::Create { resource: K::RESOURCE, namespace, object: json(object) }
    }

    /// Turns `before` into `after`, if they differ, on condition that `before` is still what is there.
    pub fn patch<K: Kept + Serialize>(before: &K, after: &K) -> Option<Self> {
        Self::patch_at(before, after, None)
    }

    /// As `patch`, but through the `status` subresource.
    pub fn patch_status<K: Kept + Serialize>(before: &K, after: &K) -> Option<Self> {
        Self::patch_at(before, after, Some("status"))
    }

    fn patch_at<K: Kept + Serialize>(
        before: &K,
        after: &K,
        subresource: Option<&'static str>,
    ) -> Option<Self> {
        let patch = difference(&json(before), &json(after))?;
        let meta = before.metadata();
        Some(Self::Patch {
            resource: K::RESOURCE,
            key: Key::of(meta),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone(),
            subresource,
            patch,
        })
    }

    /// Deletes an object of a kept kind, if it is still the one with this uid.
    pub fn delete<K: Kept>(object: &K) -> Self {
        Self::Delete {
            resource: K::RESOURCE,
            key: Key::of(object.metadata()),
            uid: object.metadata().uid.clone().unwrap_or_default(),
            resource_version: None,
            grace_seconds: None,
            propagation: None,
            absent: Vec::new(),
        }
    }
}

fn json<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("API types have string keys only, so they are always JSON")
}

/// The JSON merge patch (RFC 7386) that makes `after` of `before`; `None` if there is nothing to do.
pub fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in after {
        let change = match before.get(name) {
            Some(old) => difference(old, value),
            None => Some(value.clone()),
        };
        patch.extend(change.map(|change| (name.clone(), change)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// How much an Event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Normal,
    Warning,
}

/// What follows a reason's message once its action was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Nothing,
    /// The name of the object acted on, as the API gave it.
    Name,
    /// What the API said against it.
    Refusal,
}

/// Why something was done, or was not: what becomes an Event.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub regarding: ObjectReference,
    pub severity: Severity,
    pub reason: &'static str,
    pub message: String,
    pub ending: Ending,
}

impl Reason {
    pub fn normal<K: Kept>(regarding: &K, reason: &'static str, message: impl Into<String>) -> Self {
        let (severity, ending) = (Severity::Normal, Ending::Nothing);
        Self { regarding: reference(regarding), severity, reason, message: message.into(), ending }
    }

    pub fn warning<K: Kept>(regarding: &K, reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::normal(regarding, reason, message) }
    }

    /// The message goes on with what is known only afterwards.
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

/// An object as Events refer to it.
pub fn reference<K: Kept>(object: &K) -> ObjectReference {
    let meta = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// An action and what to tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub action: Action,
    pub done: Option<Reason>,
    pub failed: Option<Reason>,
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self { action, done: None, failed: None }
    }
}

impl Step {
    pub fn done(self, reason: Reason) -> Self {
        Self { done: Some(reason), ..self }
    }

    pub fn failed(self, reason: Reason) -> Self {
        Self { failed: Some(reason), ..self }
    }
}

/// The outcome of one look at the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Stages in order, the steps of one together; a stage with a failed step is the last to be tried.
    pub stages: Vec<Vec<Step>>,
    /// Look again after this long, even if nothing changes.
    pub requeue_after: Option<SignedDuration>,
    /// What to tell besides what the steps tell.
    pub reasons: Vec<Reason>,
}

impl Plan {
    /// Adds a stage, unless it would be empty.
    pub fn stage(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(steps);
        }
    }

    /// A plan of one stage.
    pub fn of(steps: Vec<Step>) -> Self {
        let mut plan = Self::default();
        plan.stage(steps);
        plan
    }

    /// Looks again no later than this.
    pub fn requeue(&mut self, after: SignedDuration) {
        let after = after.max(SignedDuration::ZERO);
        self.requeue_after = Some(self.requeue_after.map_or(after, |earlier| earlier.min(after)));
    }

    /// Nothing to do now and nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.reasons.is_empty()
    }

    /// All actions, stage by stage.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flatten().map(|step| &step.action)
    }
}
