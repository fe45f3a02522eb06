//! `/ephemeralcontainers`: containers added to a pod that runs, to look into it (upstream: podEphemeralContainersStrategy).
//!
//! Invariant: through here nothing of a pod changes but that list, and what is in the list stays in it as it is.

use crate::metadata;
use crate::strategy::count_generation;
use crate::walk::{items, object, put, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};

const MIRROR: &str = "kubernetes.io/config.mirror";

/// Keeps everything of the old pod but the list.
pub fn prepare(new: &mut Object, old: &Object) {
    let list = new["spec"]["ephemeralContainers"].clone();
    let version = meta::resource_version(new).to_owned();
    let owners = new["metadata"]["managedFields"].clone();
    *new = old.clone();
    put(object(new, "spec"), "ephemeralContainers", list);
    put(object(new, "metadata"), "managedFields", owners);
    meta::set_resource_version(new, &version);
    count_generation(new, old, &["/spec"]);
}

/// Rules that compare with the stored pod, beside those of every pod.
pub fn validate(new: &Object, old: &Object) -> Vec<FieldError> {
    if meta::annotation(old, MIRROR).is_some() {
        let detail = "static pods do not support ephemeral containers";
        return vec![FieldError::forbidden(&Path::new(""), detail)];
    }
    let mut errors = metadata::validate_update(new, old);
    errors.extend((super::KIND.validate)(new));
    let at = Path::new("spec").child("ephemeralContainers");
    let after = items(&new["spec"]["ephemeralContainers"]);
    for container in items(&old["spec"]["ephemeralContainers"]) {
        let name = text(&container["name"]);
        let detail = match after.iter().find(|one| text(&one["name"]) == name) {
            None => format!("existing ephemeral containers \"{name}\" may not be removed\n"),
            Some(same) if same == container => continue,
            Some(_) => format!("existing ephemeral containers \"{name}\" may not be changed\n"),
        };
        errors.push(FieldError::forbidden(&at, detail));
    }
    errors
}

/// A pod is made without any.
pub fn refuse_at_creation(pod: &Object) -> Option<FieldError> {
    let at = Path::new("spec").child("ephemeralContainers");
    let any = !items(&pod["spec"]["ephemeralContainers"]).is_empty();
    any.then(|| FieldError::forbidden(&at, "cannot be set on create"))
}

#[cfg(test)]
mod tests;
