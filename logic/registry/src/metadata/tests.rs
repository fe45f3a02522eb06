//! Rules of metadata.

use super::*;
use serde_json::json;

fn texts(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn check(metadata: Value, expected: &[&str]) {
    assert_eq!(texts(namespaced(&json!({"metadata": metadata}))), expected);
}

#[test]
fn names_and_namespaces() {
    check(json!({"name": "a.b", "namespace": "n"}), &[]);
    check(
        json!({}),
        &[
            "metadata.name: Required value: name or generateName is required",
            "metadata.namespace: Required value",
        ],
    );
    check(json!({"generateName": "a-", "name": "a-1", "namespace": "n"}), &[]);
    let upper = namespaced(&json!({"metadata": {"name": "A", "namespace": "n"}}));
    assert!(
        upper[0]
            .to_string()
            .starts_with("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must")
    );
    let namespaced_node = texts(cluster(&json!({"metadata": {"name": "a", "namespace": "n"}})));
    assert_eq!(namespaced_node, ["metadata.namespace: Forbidden: not allowed on this type"]);
}

#[test]
fn labels_annotations_and_finalizers() {
    let with = |field: &str, value: Value| json!({"name": "a", "namespace": "n", field: value});
    check(with("labels", json!({"app.kubernetes.io/name": "x_1"})), &[]);
    let long = "x".repeat(64);
    let bad = texts(namespaced(&json!({"metadata": with("labels", json!({"a": long}))})));
    assert_eq!(bad, [format!("metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes")]);
    check(
        with("annotations", json!({"a": "x".repeat(ANNOTATIONS_BYTES_MAX)})),
        &["metadata.annotations: Too long: may not be more than 262144 bytes"],
    );
    check(
        with("finalizers", json!(["mine"])),
        &[
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
        ],
    );
    check(with("finalizers", json!(["foregroundDeletion", "example.com/mine"])), &[]);
}

#[test]
fn owners() {
    let owner = |name: &str, uid: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, "controller": true});
    let with = |owners: Value| json!({"name": "a", "namespace": "n", "ownerReferences": owners});
    check(
        with(json!([owner("x", "")])),
        &["metadata.ownerReferences[0].uid: Invalid value: \"\": uid must not be empty"],
    );
    let two = texts(namespaced(&json!({"metadata": with(json!([owner("x", "1"), owner("y", "2")]))})));
    assert!(two[0].ends_with(
        "Only one reference can have Controller set to true. Found \"true\" in references for x and y"
    ));
}

#[test]
fn what_no_update_changes() {
    let old = json!({"metadata": {"name": "a", "uid": "1", "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 2}});
    let mut new = json!({"metadata": {"name": "a"}});
    carry(&mut new, &old);
    assert_eq!(new, old);
    assert_eq!(validate_update(&new, &old), vec![]);
    let mut other = old.clone();
    other["metadata"]["uid"] = json!("2");
    carry(&mut other, &old);
    assert_eq!(
        texts(validate_update(&other, &old)),
        ["metadata.uid: Invalid value: \"2\": field is immutable"]
    );
}

#[test]
fn no_finalizer_comes_while_deleting() {
    let old = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["a/b"]}});
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!(["a/b", "c/d"]);
    let expected = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found \
                    new finalizers []string{\"c/d\"}";
    assert_eq!(texts(validate_update(&new, &old)), [expected]);
    new["metadata"]["finalizers"] = json!([]);
    assert_eq!(validate_update(&new, &old), vec![]);
}
