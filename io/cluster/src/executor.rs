//! The executor: carries out a plan's actions with their preconditions, and chooses nothing.
//!
//! Last on the way from a change to the API. A precondition that fails is no error: the world moved on and
//! the task is planned again. It decides neither what to do nor what to tell: reasons come with the steps,
//! only their endings (a name, a refusal) are known here.

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Binding, ObjectReference};
use kelson_plans::plan::{Absent, Propagation};
use kelson_plans::{Action, Ending, Key, Plan, Reason, Resource, Step};
use kube::api::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::core::{ObjectMeta, Request};
use serde_json::Value;
use tracing::debug;

use crate::events::Recorder;

/// Steps of one stage under way at a time.
const CONCURRENCY: usize = 32;

/// What the cache must have seen before the same task may be planned again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    /// The collection, up to this version.
    Heard(Resource, u64),
    /// The object of this uid, gone or going.
    Leaving(String),
    /// The pod of this uid, on a node.
    Bound(String),
}

/// How a plan went.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub expects: Vec<Expect>,
    /// A precondition did not hold: plan again.
    pub stale: bool,
    /// What the API said against the first step it refused.
    pub refusal: Option<String>,
}

enum Outcome {
    Done(Value),
    Stale,
    Refused(String),
}

/// Carries out a plan, stage by stage; a stage in which a step did not go through is the last.
pub(crate) async fn carry(client: kube::Client, recorder: Recorder, plan: Plan) -> Carried {
    let mut carried = Carried::default();
    for reason in &plan.reasons {
        recorder.record(reason, &reason.message);
    }
    for stage in plan.stages {
        let steps = stage.into_iter().map(|step| take(client.clone(), step));
        let outcomes: Vec<(Step, Outcome)> = stream::iter(steps).buffered(CONCURRENCY).collect().await;
        for (step, outcome) in outcomes {
            carried.note(&recorder, step, outcome);
        }
        if carried.stale || carried.refusal.is_some() {
            break;
        }
    }
    carried
}

impl Carried {
    fn note(&mut self, recorder: &Recorder, step: Step, outcome: Outcome) {
        match outcome {
            Outcome::Done(answer) => {
                tell(recorder, step.done.as_ref(), name_in(&answer));
                self.expects.extend(expectation(&step.action, &answer));
            }
            Outcome::Stale => self.stale = true,
            Outcome::Refused(why) => {
                tell(recorder, step.failed.as_ref(), &why);
                self.refusal.get_or_insert(why);
            }
        }
    }
}

fn tell(recorder: &Recorder, reason: Option<&Reason>, ending: &str) {
    let Some(reason) = reason else { return };
    match reason.ending {
        Ending::Nothing => recorder.record(reason, &reason.message),
        Ending::Name | Ending::Refusal => recorder.record(reason, &format!("{}{ending}", reason.message)),
    }
}

fn name_in(answer: &Value) -> &str {
    answer.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn expectation(action: &Action, answer: &Value) -> Option<Expect> {
    let version = answer.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let version = version.and_then(|text| text.parse().ok());
    match action {
        Action::Create { resource, .. } | Action::Patch { resource, .. } => {
            version.map(|version| Expect::Heard(resource.clone(), version))
        }
        Action::Delete { uid, .. } => Some(Expect::Leaving(uid.clone())),
        Action::Bind { uid, .. } => Some(Expect::Bound(uid.clone())),
        Action::DeleteCollection { .. } | Action::Finalize { .. } => None,
    }
}

async fn take(client: kube::Client, step: Step) -> (Step, Outcome) {
    let outcome = match act(&client, &step.action).await {
        Ok(Some(answer)) => Outcome::Done(answer),
        Ok(None) => Outcome::Stale,
        Err(error) => judge(&step.action, error),
    };
    (step, outcome)
}

/// Which answers mean that the world moved on, and which that the API refuses.
fn judge(action: &Action, error: kube::Error) -> Outcome {
    let kube::Error::Api(status) = &error else {
        return Outcome::Refused(error.to_string());
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    match status.code {
        404 | 409 => {
            debug!(?action, message = status.message, "planned on what is no longer so");
            Outcome::Stale
        }
        // Nothing new comes into a namespace that is going (B1.17).
        403 if causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating") => {
            Outcome::Done(Value::Null)
        }
        _ => Outcome::Refused(status.message.clone()),
    }
}

/// Sends the request; `None` if what must be absent is there.
async fn act(client: &kube::Client, action: &Action) -> kube::Result<Option<Value>> {
    match action {
        Action::Create { resource, namespace, object } => {
            let body = bytes(object)?;
            send(client, request(resource, namespace).create(&PostParams::default(), body)).await.map(Some)
        }
        Action::Patch { resource, key, uid, resource_version, subresource, patch } => {
            let patch = Patch::Merge(conditioned(patch, uid, resource_version.as_deref()));
            let request = request(resource, &key.namespace);
            let params = PatchParams::default();
            let built = match subresource {
                Some(subresource) => request.patch_subresource(subresource, &key.name, &params, &patch),
                None => request.patch(&key.name, &params, &patch),
            };
            send(client, built).await.map(Some)
        }
        Action::Delete { absent, .. } => {
            for absent in absent {
                if is_there(client, absent).await? {
                    return Ok(None);
                }
            }
            delete(client, action).await.map(Some)
        }
        Action::DeleteCollection { resource, namespace } => {
            let params = DeleteParams::background();
            let built = request(resource, namespace).delete_collection(&params, &ListParams::default());
            send(client, built).await.map(Some)
        }
        Action::Bind { pod, uid, node } => bind(client, pod, uid, node).await.map(Some),
        Action::Finalize { namespace, object, empty } => finalize(client, namespace, object, empty).await,
    }
}

fn request(resource: &Resource, namespace: &str) -> Request {
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let scope = match resource.namespaced && !namespace.is_empty() {
        true => format!("namespaces/{namespace}/"),
        false => String::new(),
    };
    Request::new(format!("{root}/{}/{scope}{}", resource.api_version(), resource.plural))
}

type Built<B> = Result<B, kube::core::request::Error>;

async fn send(client: &kube::Client, built: Built<http::Request<Vec<u8>>>) -> kube::Result<Value> {
    client.request(built.map_err(kube::Error::BuildRequest)?).await
}

fn bytes(object: &Value) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(object).map_err(kube::Error::SerdeError)
}

/// The patch with what it is conditional on written into it.
fn conditioned(patch: &Value, uid: &str, version: Option<&str>) -> Value {
    let mut patch = patch.clone();
    patch["metadata"]["uid"] = uid.into();
    if let Some(version) = version {
        patch["metadata"]["resourceVersion"] = version.into();
    }
    patch
}

async fn delete(client: &kube::Client, action: &Action) -> kube::Result<Value> {
    let Action::Delete { resource, key, uid, resource_version, grace_seconds, propagation, .. } = action
    else {
        unreachable!("called for deletions alone");
    };
    let params = DeleteParams {
        grace_period_seconds: *grace_seconds,
        propagation_policy: propagation.map(|propagation| match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        preconditions: Some(Preconditions {
            uid: Some(uid.clone()),
            resource_version: resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    send(client, request(resource, &key.namespace).delete(&key.name, &params)).await
}

/// Whether an object is there under this uid; an empty uid means any object of that name.
async fn is_there(client: &kube::Client, absent: &Absent) -> kube::Result<bool> {
    let built = request(&absent.resource, &absent.key.namespace).get(&absent.key.name, &GetParams::default());
    match send(client, built).await {
        Ok(object) => {
            let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
            Ok(absent.uid.is_empty() || uid == Some(absent.uid.as_str()))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn bind(client: &kube::Client, pod: &Key, uid: &str, node: &str) -> kube::Result<Value> {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let body = serde_json::to_vec(&binding).map_err(kube::Error::SerdeError)?;
    let pods = Resource::of::<k8s_openapi::api::core::v1::Pod>(true);
    let request = request(&pods, &pod.namespace);
    send(client, request.create_subresource("binding", &pod.name, &PostParams::default(), body)).await
}

async fn finalize(
    client: &kube::Client,
    namespace: &str,
    object: &Value,
    empty: &[Resource],
) -> kube::Result<Option<Value>> {
    for resource in empty {
        let listed = send(client, request(resource, namespace).list(&ListParams::default().limit(1))).await?;
        if listed["items"].as_array().is_some_and(|items| !items.is_empty()) {
            return Ok(None);
        }
    }
    let namespaces = Resource::of::<k8s_openapi::api::core::v1::Namespace>(false);
    let built = request(&namespaces, "").replace_subresource(
        "finalize",
        namespace,
        &PostParams::default(),
        bytes(object)?,
    );
    send(client, built).await.map(Some)
}

#[cfg(test)]
mod tests;
