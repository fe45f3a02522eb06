//! Reading and writing an object's metadata and any other path of it.
//!
//! Invariant: readers never fail, they return what is absent or of the wrong type as empty; writers make the maps on
//! their way and replace what is not a map.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Object;

/// An owner reference, borrowed from the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// The owner's group and version.
    pub api_version: &'a str,
    /// The owner's kind.
    pub kind: &'a str,
    /// The owner's name.
    pub name: &'a str,
    /// The owner's uid.
    pub uid: &'a str,
    /// Whether this owner is the managing controller.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

/// The value at `path`.
pub fn get<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// The text at `path`, empty when absent.
pub fn get_str<'a>(object: &'a Object, path: &[&str]) -> &'a str {
    get(object, path).and_then(Value::as_str).unwrap_or("")
}

/// The whole number at `path`.
pub fn get_i64(object: &Object, path: &[&str]) -> Option<i64> {
    get(object, path).and_then(Value::as_i64)
}

/// The boolean at `path`, false when absent.
pub fn get_bool(object: &Object, path: &[&str]) -> bool {
    get(object, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`, empty when absent.
pub fn get_list<'a>(object: &'a Object, path: &[&str]) -> &'a [Value] {
    get(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map of texts at `path`; entries that are not texts are left out.
pub fn get_map<'a>(object: &'a Object, path: &[&str]) -> BTreeMap<&'a str, &'a str> {
    let entries = get(object, path).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

/// The value at `path`, made (as null) with every map on the way.
pub fn entry<'a>(object: &'a mut Object, path: &[&str]) -> &'a mut Value {
    path.iter().fold(object, |value, key| map_of(value).entry(*key).or_insert(Value::Null))
}

/// This value as a map, replacing it by an empty one if it is none.
pub fn map_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made a map just above")
}

/// Sets the value at `path`.
pub fn set(object: &mut Object, path: &[&str], value: impl Into<Value>) {
    *entry(object, path) = value.into();
}

/// Takes the value at `path` out.
pub fn remove(object: &mut Object, path: &[&str]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let parent = parents.iter().try_fold(object, |value, key| value.get_mut(*key))?;
    parent.as_object_mut()?.remove(*last)
}

/// `metadata.name`.
pub fn name(object: &Object) -> &str {
    get_str(object, &["metadata", "name"])
}

/// `metadata.generateName`.
pub fn generate_name(object: &Object) -> &str {
    get_str(object, &["metadata", "generateName"])
}

/// `metadata.namespace`; empty for what belongs to the cluster.
pub fn namespace(object: &Object) -> &str {
    get_str(object, &["metadata", "namespace"])
}

/// `metadata.uid`.
pub fn uid(object: &Object) -> &str {
    get_str(object, &["metadata", "uid"])
}

/// `metadata.resourceVersion`.
pub fn resource_version(object: &Object) -> &str {
    get_str(object, &["metadata", "resourceVersion"])
}

/// `metadata.generation`, 0 when absent.
pub fn generation(object: &Object) -> i64 {
    get_i64(object, &["metadata", "generation"]).unwrap_or(0)
}

/// `metadata.creationTimestamp`.
pub fn creation_timestamp(object: &Object) -> Option<&str> {
    get(object, &["metadata", "creationTimestamp"])?.as_str()
}

/// `metadata.deletionTimestamp`.
pub fn deletion_timestamp(object: &Object) -> Option<&str> {
    get(object, &["metadata", "deletionTimestamp"])?.as_str()
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace_period_seconds(object: &Object) -> Option<i64> {
    get_i64(object, &["metadata", "deletionGracePeriodSeconds"])
}

/// `metadata.labels`.
pub fn labels(object: &Object) -> BTreeMap<&str, &str> {
    get_map(object, &["metadata", "labels"])
}

/// One label.
pub fn label<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    get(object, &["metadata", "labels", key])?.as_str()
}

/// `metadata.annotations`.
pub fn annotations(object: &Object) -> BTreeMap<&str, &str> {
    get_map(object, &["metadata", "annotations"])
}

/// One annotation.
pub fn annotation<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    get(object, &["metadata", "annotations", key])?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Object) -> Vec<&str> {
    get_list(object, &["metadata", "finalizers"]).iter().filter_map(Value::as_str).collect()
}

/// `metadata.ownerReferences`.
pub fn owner_references(object: &Object) -> Vec<OwnerReference<'_>> {
    get_list(object, &["metadata", "ownerReferences"]).iter().map(owner_reference).collect()
}

fn owner_reference(value: &Value) -> OwnerReference<'_> {
    OwnerReference {
        api_version: get_str(value, &["apiVersion"]),
        kind: get_str(value, &["kind"]),
        name: get_str(value, &["name"]),
        uid: get_str(value, &["uid"]),
        controller: get_bool(value, &["controller"]),
        block_owner_deletion: get_bool(value, &["blockOwnerDeletion"]),
    }
}

/// The owner that manages this object.
pub fn controller_of(object: &Object) -> Option<OwnerReference<'_>> {
    owner_references(object).into_iter().find(|owner| owner.controller)
}

/// `apiVersion`.
pub fn api_version(object: &Object) -> &str {
    get_str(object, &["apiVersion"])
}

/// `kind`.
pub fn kind(object: &Object) -> &str {
    get_str(object, &["kind"])
}

/// `apps/v1` → (`apps`, `v1`); `v1` → (empty, `v1`).
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// (`apps`, `v1`) → `apps/v1`; (empty, `v1`) → `v1`.
pub fn join_api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// Sets `apiVersion` and `kind`.
pub fn set_type(object: &mut Object, api_version: &str, kind: &str) {
    set(object, &["apiVersion"], api_version);
    set(object, &["kind"], kind);
}

/// Sets `metadata.name`.
pub fn set_name(object: &mut Object, name: &str) {
    set(object, &["metadata", "name"], name);
}

/// Sets `metadata.namespace`; empty removes it.
pub fn set_namespace(object: &mut Object, namespace: &str) {
    set_or_remove(object, "namespace", namespace);
}

/// Sets `metadata.uid`; empty removes it.
pub fn set_uid(object: &mut Object, uid: &str) {
    set_or_remove(object, "uid", uid);
}

/// Sets `metadata.resourceVersion`; empty removes it.
pub fn set_resource_version(object: &mut Object, version: &str) {
    set_or_remove(object, "resourceVersion", version);
}

/// Sets `metadata.creationTimestamp`; empty removes it.
pub fn set_creation_timestamp(object: &mut Object, timestamp: &str) {
    set_or_remove(object, "creationTimestamp", timestamp);
}

/// Sets `metadata.deletionTimestamp`; empty removes it.
pub fn set_deletion_timestamp(object: &mut Object, timestamp: &str) {
    set_or_remove(object, "deletionTimestamp", timestamp);
}

/// Sets `metadata.deletionGracePeriodSeconds`.
pub fn set_deletion_grace_period_seconds(object: &mut Object, seconds: i64) {
    set(object, &["metadata", "deletionGracePeriodSeconds"], seconds);
}

/// Sets `metadata.generation`; 0 removes it.
pub fn set_generation(object: &mut Object, generation: i64) {
    match generation {
        0 => drop(remove(object, &["metadata", "generation"])),
        generation => set(object, &["metadata", "generation"], generation),
    }
}

/// Sets one label.
pub fn set_label(object: &mut Object, key: &str, value: &str) {
    set(object, &["metadata", "labels", key], value);
}

/// Sets one annotation.
pub fn set_annotation(object: &mut Object, key: &str, value: &str) {
    set(object, &["metadata", "annotations", key], value);
}

/// Sets `metadata.finalizers`; none removes the list.
pub fn set_finalizers(object: &mut Object, finalizers: &[&str]) {
    match finalizers {
        [] => drop(remove(object, &["metadata", "finalizers"])),
        some => set(object, &["metadata", "finalizers"], some.to_vec()),
    }
}

fn set_or_remove(object: &mut Object, key: &str, text: &str) {
    match text {
        "" => drop(remove(object, &["metadata", key])),
        text => set(object, &["metadata", key], text),
    }
}

#[cfg(test)]
#[path = "meta_tests.rs"]
mod tests;
