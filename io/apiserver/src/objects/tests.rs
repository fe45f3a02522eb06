//! The one serialization.

use super::*;
use serde_json::json;

fn check(object: Value, revision: u64, expected: Value) {
    let bytes = Encoded::new(&object).at(revision);
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
}

#[test]
fn the_resource_version_is_that_of_the_commit() {
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "resourceVersion": "3"}, "spec": {"x": [1]}});
    let expected = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "resourceVersion": "12"}, "spec": {"x": [1]}});
    check(object, 12, expected);
    check(json!({}), 1, json!({"metadata": {"resourceVersion": "1"}}));
    check(json!({"metadata": null, "a": "\""}), 1, json!({"metadata": {"resourceVersion": "1"}, "a": "\""}));
}

#[test]
fn keys_follow_group_plural_namespace_name() {
    let (pods, _) = kelson_registry::resolve("", "v1", "pods").unwrap();
    let (nodes, _) = kelson_registry::resolve("", "v1", "nodes").unwrap();
    assert_eq!(key(pods, "d", "p"), "/registry/core/pods/d/p");
    assert_eq!(key(nodes, "", "n"), "/registry/core/nodes/n");
    assert_eq!(prefix(pods, None), "/registry/core/pods/");
}
