//! The class of an Ingress that names none (upstream's admission plugin DefaultIngressClass, spec G1.13).
//!
//! The newest class marked as default, of two made in one second the first by name. Changes only the object being created.

use std::cmp::Reverse;

use kelson_machinery::status::Status;
use kelson_machinery::{Object, meta};
use kelson_registry::Kind;

use crate::objects;
use crate::state::Call;

/// Marks a class as the one of Ingresses that name none.
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
/// How Ingresses named their class before there was a field.
const ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Most classes looked through.
const CLASSES_MAX: usize = 1000;

/// Completes an Ingress that is being created.
pub(super) async fn complete(call: &Call, ingress: &mut Object) -> Result<(), Status> {
    let field = meta::get(ingress, &["spec", "ingressClassName"]);
    if field.is_some_and(|class| !class.is_null()) || meta::annotation(ingress, ANNOTATION).is_some() {
        return Ok(());
    }
    let prefix = objects::prefix(kind(), None);
    let listed = call.core.store.list(&prefix, None, CLASSES_MAX).await.map_err(objects::store_failure)?;
    let classes = listed.entries.iter().map(|entry| objects::decode(entry));
    if let Some(name) = default_of(&classes.collect::<Result<Vec<_>, _>>()?) {
        meta::set(ingress, &["spec", "ingressClassName"], name);
    }
    Ok(())
}

fn kind() -> &'static Kind {
    kelson_registry::resolve("networking.k8s.io", "v1", "ingressclasses")
        .map(|(kind, _)| kind)
        .expect("the registry declares IngressClass")
}

/// The name of the class that counts.
fn default_of(classes: &[Object]) -> Option<&str> {
    let defaults = classes.iter().filter(|class| meta::annotation(class, IS_DEFAULT) == Some("true"));
    // Timestamps are written in one form, so their order is that of their text.
    let newest = defaults.min_by_key(|class| {
        (Reverse(meta::get_str(class, &["metadata", "creationTimestamp"])), meta::name(class))
    });
    newest.map(meta::name)
}

#[cfg(test)]
mod tests;
