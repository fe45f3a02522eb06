//! Reading without managed fields: as the kind itself reads, but for them.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::core::{DynamicObject, PartialObjectMeta};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Lean;

/// Read as text and as a value, `input` is what `K` itself reads of `expected`.
fn check<K: DeserializeOwned + Serialize>(input: &Value, expected: &Value) {
    let shown = |object: &K| serde_json::to_value(object).unwrap();
    let expected = shown(&serde_json::from_value(expected.clone()).unwrap());
    assert_eq!(shown(&serde_json::from_str::<Lean<K>>(&input.to_string()).unwrap().0), expected);
    assert_eq!(shown(&serde_json::from_value::<Lean<K>>(input.clone()).unwrap().0), expected);
}

fn owned() -> Value {
    json!([{"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}])
}

#[test]
fn managed_fields_are_left_out_and_nothing_else() {
    let meta = json!({"name": "one", "labels": {"managedFields": "a label"}, "resourceVersion": "7"});
    let without =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"managedFields": "kept"}});
    let mut with = without.clone();
    with["metadata"]["managedFields"] = owned();
    check::<ConfigMap>(&with, &without);
    check::<ConfigMap>(&without, &without);
    check::<PartialObjectMeta<DynamicObject>>(&with, &without);
}

#[test]
fn metadata_elsewhere_is_as_it_is() {
    // A pod's ephemeral volume has metadata of its own.
    let claim = json!({"metadata": {"managedFields": owned()}, "spec": {}});
    let volume = json!({"name": "v", "ephemeral": {"volumeClaimTemplate": claim}});
    let pod = json!({"metadata": {"name": "one"}, "spec": {"containers": [], "volumes": [volume]}});
    check::<Pod>(&pod, &pod);
    let null = json!({"metadata": null});
    check::<Pod>(&null, &null);
}

#[test]
fn what_is_no_object_is_refused_in_the_kinds_own_words() {
    for text in ["7", "\"x\"", "[]", r#"{"metadata": 7}"#, r#"{"metadata": {"name": 7}}"#, "{"] {
        let own = serde_json::from_str::<ConfigMap>(text).unwrap_err().to_string();
        let lean = serde_json::from_str::<Lean<ConfigMap>>(text).unwrap_err().to_string();
        assert_eq!(lean.split(" at line").next(), own.split(" at line").next(), "{text}");
    }
}
