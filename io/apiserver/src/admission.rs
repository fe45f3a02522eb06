//! What must hold between an object and its namespace before a write is taken (upstream's NamespaceLifecycle).
//!
//! Reads the namespace, never changes it.

mod accounts;
mod expansion;
mod ingress_class;
pub(crate) mod limits;
pub(crate) mod node;
mod node_labels;
mod priority;

use kelson_machinery::status::{GroupName, Status};
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;

pub(crate) use accounts::{INJECTED_SECONDS, secret_text};

use crate::escalation;
use crate::objects;
use crate::state::Call;

/// Namespaces that may not be deleted.
const ETERNAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The declaration of Namespace itself.
pub(crate) fn namespaces() -> &'static Kind {
    kelson_registry::resolve("", "v1", "namespaces")
        .map(|(kind, _)| kind)
        .expect("the registry declares Namespace")
}

/// Whether this kind is Namespace.
pub(crate) fn is_namespace(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "namespaces"
}

/// New objects need a namespace that exists and is not going away.
pub(crate) async fn namespace_accepts(call: &Call, name: &str) -> Result<(), Status> {
    if !call.kind.namespaced {
        return Ok(());
    }
    let namespace = call.namespace();
    let key = objects::key(namespaces(), "", namespace);
    let found = call.core.store.get(&key).await.map_err(objects::store_failure)?;
    let entry = found.ok_or_else(|| Status::not_found(&GroupName::new("", "namespaces"), namespace))?;
    let object = objects::decode(&entry)?;
    if meta::deletion_timestamp(&object).is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = format!("namespace {namespace} is being terminated");
    let status = Status::forbidden(&objects::resource(call.kind), name, &why);
    Err(status.cause("NamespaceTerminating", &cause, "metadata.namespace"))
}

/// Gives a new object, named already, what depends on others; refuses one its user may not make.
pub(crate) async fn complete(call: &Call, object: &mut Object) -> Result<(), Status> {
    node::may_create(call, object).await?;
    match (call.kind.group, call.kind.plural) {
        ("", "pods") => {
            if let Some(error) = kelson_registry::ephemeral::refuse_at_creation(object) {
                return Err(Status::invalid(&objects::kind_name(call.kind), meta::name(object), vec![error]));
            }
            limits::complete_pod(call, object).await?;
            priority::complete_pod(call, object).await?;
            accounts::complete_pod(call, object).await
        }
        ("", "secrets") => accounts::complete_secret(call, object).await,
        ("scheduling.k8s.io", "priorityclasses") => priority::check_class(call, object).await,
        ("networking.k8s.io", "ingresses") => ingress_class::complete(call, object).await,
        _ => escalation::check(call, object, None),
    }
}

/// Refuses a change that depends on others.
pub(crate) async fn check_change(call: &Call, new: &Object, old: &Object) -> Result<(), Status> {
    match (call.kind.group, call.kind.plural) {
        ("", "persistentvolumeclaims") => {
            limits::check(call, new, Some(old)).await?;
            expansion::check(call, new, old).await
        }
        ("scheduling.k8s.io", "priorityclasses") => priority::check_class(call, new).await,
        _ => Ok(()),
    }
}

/// Some namespaces stay.
pub(crate) fn may_delete(kind: &Kind, name: &str) -> Result<(), Status> {
    if is_namespace(kind) && ETERNAL.contains(&name) {
        return Err(Status::forbidden(&objects::resource(kind), name, "this namespace may not be deleted"));
    }
    Ok(())
}
