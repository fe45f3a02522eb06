//! Objects read in parts: what is there, what is not, and what is no object.

use serde_json::json;

use super::*;

const POD: &str = r#"{"kind":"Pod","metadata":{"resourceVersion":"7","name":"a","managedFields":[{"f":{}}]},
    "spec":{"containers":[{"name":"c","image":"i"},{"name":"d\u0041"}],"nodeName":null,"x":[1,-2,1.5,true]},"status":{"n":1}}"#;

fn check(parts: &Parts, expected: Value) {
    assert_eq!(read(POD.as_bytes(), parts).unwrap(), expected);
    let (object, metadata) = read_with_metadata(POD.as_bytes(), parts).unwrap();
    assert_eq!(object, expected);
    // What is stopped at before the metadata has none to show.
    assert!(
        metadata == "{}" || metadata.starts_with(r#"{"resourceVersion":"7","name":"a","managedFields":["#)
    );
}

#[test]
fn only_what_is_asked_for_is_read() {
    let names = json!([{"name": "c"}, {"name": "dA"}]);
    check(
        &Parts::of(["metadata.name", "spec.containers.name"]),
        json!({"metadata": {"name": "a"}, "spec": {"containers": names}}),
    );
    check(
        &Parts::of(["spec.x", "spec.nodeName", "absent.or.not"]),
        json!({"spec": {"nodeName": null, "x": [1, -2, 1.5, true]}}),
    );
    check(&Parts::of(["status", "status.n", "kind"]), json!({"kind": "Pod", "status": {"n": 1}}));
    check(&Parts::of(["kind.below.a.text"]), json!({"kind": "Pod"}));
    check(&Parts::of([]), json!({}));
    check(&Parts::Nothing, json!({}));
}

#[test]
fn managed_fields_are_passed_over() {
    let mut whole: Value = serde_json::from_str(POD).unwrap();
    check(&Parts::Whole, whole.clone());
    whole["metadata"].as_object_mut().unwrap().remove("managedFields");
    check(&Parts::without_managed_fields(), whole);
}

#[test]
fn the_metadatas_text_is_as_it_stands() {
    let expected = r#"{"resourceVersion":"7","name":"a","managedFields":[{"f":{}}]}"#;
    assert_eq!(metadata(POD.as_bytes()).unwrap(), expected);
    assert_eq!(metadata(b"{\"kind\":\"x\"}").unwrap(), "{}");
    assert!(metadata(b"{\"kind\":").is_err());
}

#[test]
fn what_is_no_object_is_an_error() {
    for text in ["", "[]", "1", "null", "{\"a\":", "{\"metadata\":{\"name\":}}", "{\"spec\":[}"] {
        assert!(read(text.as_bytes(), &Parts::of(["metadata.name", "spec"])).is_err(), "{text}");
    }
}
