//! Metadata of well-formed and of odd objects.

use serde_json::json;

use super::*;

#[test]
fn reads_what_is_there() {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n", "uid": "u",
        "resourceVersion": "7", "generation": 3, "labels": {"app": "x", "odd": 1}, "finalizers": ["f"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "c", "uid": "2", "controller": true}]}});
    assert_eq!(
        (name(&object), namespace(&object), uid(&object), resource_version(&object)),
        ("a", "n", "u", "7")
    );
    assert_eq!((generation(&object), finalizers(&object)), (3, vec!["f"]));
    assert_eq!(labels(&object), BTreeMap::from([("app", "x")]));
    assert_eq!(controller_of(&object).unwrap().name, "c");
    assert_eq!(split_api_version(api_version(&object)), ("apps", "v1"));
}

#[test]
fn what_is_missing_or_odd_reads_as_empty() {
    for object in
        [json!(null), json!({"metadata": 5}), json!({"metadata": {"labels": [], "name": 1}}), json!([1])]
    {
        assert_eq!((name(&object), labels(&object).len(), finalizers(&object).len()), ("", 0, 0));
        assert_eq!((deletion_timestamp(&object), controller_of(&object)), (None, None));
    }
}

#[test]
fn writers_make_their_way_and_empty_removes() {
    let mut object = json!({"metadata": null});
    set_name(&mut object, "a");
    set_label(&mut object, "app", "x");
    set_namespace(&mut object, "n");
    set_namespace(&mut object, "");
    set_generation(&mut object, 2);
    set_finalizers(&mut object, &["f"]);
    assert_eq!(
        object,
        json!({"metadata": {"name": "a", "labels": {"app": "x"}, "generation": 2, "finalizers": ["f"]}})
    );
    set_finalizers(&mut object, &[]);
    assert_eq!(remove(&mut object, &["metadata", "generation"]), Some(json!(2)));
    assert_eq!(remove(&mut object, &["no", "such"]), None);
}
