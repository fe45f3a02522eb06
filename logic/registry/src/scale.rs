//! The `/scale` subresource: `autoscaling/v1` Scale from a Deployment or ReplicaSet and back (H1.2).

use crate::cells;
use crate::walk::{self, int};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

/// What `GET …/scale` answers.
pub fn to_scale(object: &Object) -> Object {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        walk::put(&mut metadata, field, object["metadata"][field].clone());
    }
    let mut status = json!({"replicas": int(&object["status"]["replicas"])});
    if let Some(selector) = cells::selector_text(&object["spec"]["selector"]) {
        walk::put(&mut status, "selector", selector);
    }
    let mut spec = json!({});
    // Zero is left out, as Go's encoder does.
    if int(&object["spec"]["replicas"]) != 0 {
        walk::put(&mut spec, "replicas", object["spec"]["replicas"].clone());
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// The object with the replicas the scale asks for; a resourceVersion in the scale becomes its precondition. Errors are
/// those of a Scale: answer them as invalid `autoscaling` `Scale` with the object's name.
pub fn from_scale(scale: &Object, object: &Object) -> Result<Object, Vec<FieldError>> {
    let mut errors = Vec::new();
    let replicas = &scale["spec"]["replicas"];
    if !replicas.is_null() && replicas.as_i64().is_none_or(|number| number > i64::from(i32::MAX)) {
        let detail = "must be a 32-bit integer";
        errors.push(FieldError::type_invalid(&Path::new("spec.replicas"), replicas.clone(), detail));
    } else if int(replicas) < 0 {
        let detail = crate::metadata::NOT_NEGATIVE;
        errors.push(FieldError::invalid(&Path::new("spec.replicas"), int(replicas), detail));
    }
    let name = meta::name(scale);
    if !name.is_empty() {
        let path = Path::new("metadata.name");
        errors.extend(crate::metadata::checked(&path, name, names::dns1123_subdomain(name)));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut changed = object.clone();
    if let Some(spec) = walk::member(&mut changed, "spec") {
        walk::put(spec, "replicas", int(replicas));
    }
    let version = &scale["metadata"]["resourceVersion"];
    if walk::present(version) {
        walk::put(walk::object(&mut changed, "metadata"), "resourceVersion", version.clone());
    }
    Ok(changed)
}

/// Whether the uid in the scale, if it has one, is the object's.
pub fn same_uid(scale: &Object, object: &Object) -> bool {
    let uid: &Value = &scale["metadata"]["uid"];
    !walk::present(uid) || *uid == object["metadata"]["uid"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Object {
        json!({"metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web", "tier": "front"}}},
            "status": {"replicas": 2}})
    }

    #[test]
    fn h1_2_a_scale_has_the_selector_as_text() {
        let expected = json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"},
            "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=web,tier=front"}});
        assert_eq!(to_scale(&deployment()), expected);
    }

    #[test]
    fn only_replicas_change() {
        let scale = json!({"metadata": {"name": "web", "resourceVersion": "6"}, "spec": {"replicas": 5}});
        let changed = from_scale(&scale, &deployment()).unwrap();
        let mut expected = deployment();
        expected["spec"]["replicas"] = json!(5);
        expected["metadata"]["resourceVersion"] = json!("6");
        assert_eq!(changed, expected);
        let none = from_scale(&json!({"spec": {}}), &deployment()).unwrap();
        assert_eq!(none["spec"]["replicas"], json!(0));
    }

    #[test]
    fn a_negative_scale_is_refused() {
        let errors = from_scale(&json!({"spec": {"replicas": -1}}), &deployment()).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
    }
}
