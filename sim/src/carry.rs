//! Carries out plans as `io/cluster`'s executor does: stage by stage, a precondition that fails is no error.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kelson_machinery::meta;
use kelson_plans::{Action, Key, Plan, Resource};
use serde_json::json;

use crate::api::{Api, Deletion, Part, Place, Refusal};

/// How a plan went.
#[derive(Debug, Default)]
pub struct Carried {
    /// What the planner must have heard before it plans the same task again.
    pub written: Vec<(Resource, u64)>,
    /// A precondition did not hold.
    pub stale: bool,
    /// What the API said against the first step it refused.
    pub refusal: Option<String>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// Another write came first.
    Conflict,
    /// It never arrived.
    Lost,
    /// It was carried out, and the answer never arrived.
    Unanswered,
}

impl Luck {
    /// What a client has that hears nothing.
    fn silence() -> Refusal {
        Refusal::Invalid("connection reset by peer".to_owned())
    }
}

/// Carries out a plan, each request with the luck it has.
pub fn carry(api: &mut Api, plan: &Plan, mut luck: impl FnMut(&Action) -> Luck) -> Carried {
    let mut carried = Carried::default();
    for stage in &plan.stages {
        for step in stage {
            let before = api.version();
            let done = match luck(&step.action) {
                Luck::Good => act(api, &step.action),
                Luck::Conflict => Err(Refusal::Stale),
                Luck::Lost => Err(Luck::silence()),
                Luck::Unanswered => act(api, &step.action).and(Err(Luck::silence())),
            };
            match done {
                Ok(resource) if api.version() > before => carried.written.push((resource, api.version())),
                Ok(_) | Err(Refusal::Closing) => {}
                Err(Refusal::Stale | Refusal::Exists) => carried.stale = true,
                Err(Refusal::Invalid(why)) => drop(carried.refusal.get_or_insert(why)),
            }
        }
        if carried.stale || carried.refusal.is_some() {
            break;
        }
    }
    carried
}

fn act(api: &mut Api, action: &Action) -> Result<Resource, Refusal> {
    match action {
        Action::Create { resource, object, .. } => api.create(object.clone()).map(|_| resource.clone()),
        Action::Patch { resource, key, uid, resource_version, subresource, patch } => {
            let part = if subresource.is_some() { Part::Status } else { Part::Main };
            let place = Place { resource: resource.clone(), key: key.clone() };
            api.patch(&place, part, Some(uid), resource_version.as_deref(), patch)?;
            Ok(resource.clone())
        }
        Action::Delete { resource, key, uid, resource_version, grace_seconds, propagation, absent } => {
            let place = Place { resource: resource.clone(), key: key.clone() };
            let how = Deletion {
                uid: Some(uid),
                version: resource_version.as_deref(),
                grace_seconds: grace_seconds.map(i64::from),
                propagation: *propagation,
                absent,
                by_node: false,
            };
            api.delete(&place, &how)?;
            Ok(resource.clone())
        }
        Action::DeleteCollection { resource, namespace } => {
            api.delete_collection(resource, namespace);
            Ok(resource.clone())
        }
        Action::Bind { pod, uid, node } => bind(api, pod, uid, node),
        Action::Finalize { namespace, empty, .. } => finalize(api, namespace, empty),
    }
}

fn bind(api: &mut Api, pod: &Key, uid: &str, node: &str) -> Result<Resource, Refusal> {
    let place = Place { resource: Resource::of::<Pod>(true), key: pod.clone() };
    let bound = api.get(&place.resource, pod).ok_or(Refusal::Stale)?;
    if meta::uid(bound) != uid || !meta::get_str(bound, &["spec", "nodeName"]).is_empty() {
        return Err(Refusal::Stale);
    }
    let since = api.time();
    api.edit(&place, Part::Internal, |pod| {
        meta::set(pod, &["spec", "nodeName"], node);
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": since});
        meta::set(pod, &["status", "conditions"], vec![scheduled]);
    })?;
    Ok(place.resource)
}

fn finalize(api: &mut Api, namespace: &str, empty: &[Resource]) -> Result<Resource, Refusal> {
    if empty.iter().any(|resource| api.all(resource).any(|(key, _)| key.namespace == namespace)) {
        return Err(Refusal::Stale);
    }
    let place = Place { resource: Resource::of::<Namespace>(false), key: Key::cluster(namespace) };
    api.edit(&place, Part::Internal, |object| drop(meta::remove(object, &["spec", "finalizers"])))?;
    Ok(place.resource)
}
