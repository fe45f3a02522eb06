//! How important a new pod is (upstream's admission plugin Priority): its class's value, or that of the default class.
//!
//! Changes only the object being created.

use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;
use serde_json::Value;

use crate::objects;
use crate::state::Call;

/// Most classes looked through for the default.
const CLASSES_MAX: usize = 1000;
const PREEMPTS: &str = "PreemptLowerPriority";

/// Completes a pod that is being created.
pub(super) async fn complete_pod(call: &Call, pod: &mut Object) -> Result<(), Status> {
    let named = meta::get_str(pod, &["spec", "priorityClassName"]).to_owned();
    let class = match named.as_str() {
        "" => default_of(&classes(call).await?).cloned(),
        name => Some(
            find(call, name)
                .await?
                .ok_or_else(|| refuse(call, pod, &format!("no PriorityClass with name {name} was found")))?,
        ),
    };
    let value = class.as_ref().and_then(|class| class["value"].as_i64()).unwrap_or(0);
    let policy = class.as_ref().and_then(|class| class["preemptionPolicy"].as_str()).unwrap_or(PREEMPTS);
    let computed = "priority admission controller computed";
    let end = "from the given PriorityClass name";
    if let Some(given) =
        meta::get(pod, &["spec", "priority"]).and_then(Value::as_i64).filter(|it| *it != value)
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; {computed} {value} {end}"
        );
        return Err(refuse(call, pod, &why));
    }
    let given = meta::get_str(pod, &["spec", "preemptionPolicy"]);
    if !given.is_empty() && given != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; {computed} {policy} {end}"
        );
        return Err(refuse(call, pod, &why));
    }
    if let Some(class) = &class {
        meta::set(pod, &["spec", "priorityClassName"], meta::name(class));
    }
    meta::set(pod, &["spec", "priority"], value);
    meta::set(pod, &["spec", "preemptionPolicy"], policy);
    Ok(())
}

/// One class at most is the default.
pub(super) async fn check_class(call: &Call, class: &Object) -> Result<(), Status> {
    if class["globalDefault"].as_bool() != Some(true) {
        return Ok(());
    }
    let classes = classes(call).await?;
    let Some(other) = default_of(&classes).filter(|other| meta::name(other) != meta::name(class)) else {
        return Ok(());
    };
    let other = meta::name(other);
    let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
    Err(refuse(call, class, &why))
}

fn refuse(call: &Call, object: &Object, why: &str) -> Status {
    Status::forbidden(&objects::resource(call.kind), meta::name(object), why)
}

fn kind() -> &'static Kind {
    kelson_registry::resolve("scheduling.k8s.io", "v1", "priorityclasses")
        .map(|(kind, _)| kind)
        .expect("the registry declares PriorityClass")
}

async fn find(call: &Call, name: &str) -> Result<Option<Object>, Status> {
    let found = call.core.store.get(&objects::key(kind(), "", name)).await.map_err(objects::store_failure)?;
    found.map(|entry| objects::decode(&entry)).transpose()
}

async fn classes(call: &Call) -> Result<Vec<Object>, Status> {
    let prefix = objects::prefix(kind(), None);
    let listed = call.core.store.list(&prefix, None, CLASSES_MAX).await.map_err(objects::store_failure)?;
    listed.entries.iter().map(|entry| objects::decode(entry)).collect()
}

/// The default class; of several, the one that gives least.
fn default_of(classes: &[Object]) -> Option<&Object> {
    let defaults = classes.iter().filter(|class| class["globalDefault"].as_bool() == Some(true));
    defaults.min_by_key(|class| (class["value"].as_i64(), meta::name(class)))
}
