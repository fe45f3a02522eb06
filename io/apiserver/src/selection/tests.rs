//! Selectors of lists and watches.

use serde_json::{Value, json};

use super::*;

fn pods() -> &'static Kind {
    kelson_registry::resolve("", "v1", "pods").unwrap().0
}

fn check(query: &str, object: Value, expected: bool) {
    let selection = Selection::parse(pods(), &Query::parse(Some(query))).unwrap();
    let value = serde_json::to_vec(&object).unwrap().into();
    let entry = Entry { key: "k".into(), value, create_revision: 1, mod_revision: 1 };
    assert_eq!(selection.matches(&entry), expected, "{query}");
}

#[test]
fn labels_and_fields() {
    let pod = json!({"metadata": {"name": "a", "namespace": "d", "labels": {"app": "x"}}, "spec": {"nodeName": "n"},
        "status": {"phase": "Running"}});
    check("", pod.clone(), true);
    check("labelSelector=app%3Dx", pod.clone(), true);
    check("labelSelector=app!%3Dx", pod.clone(), false);
    check("fieldSelector=metadata.name%3Da", pod.clone(), true);
    check("fieldSelector=metadata.namespace!%3Dd", pod.clone(), false);
    check("fieldSelector=spec.nodeName%3Dn,status.phase!%3DFailed", pod.clone(), true);
    check("fieldSelector=spec.nodeName%3D", pod, false);
}

#[test]
fn what_cannot_be_selected_by_is_400() {
    let parse = |query: &str| Selection::parse(pods(), &Query::parse(Some(query))).err().unwrap();
    let status = parse("fieldSelector=spec.color%3Dred");
    assert_eq!((status.code, status.message.as_str()), (400, "field label not supported: spec.color"));
    assert_eq!(parse("labelSelector=%3D%3D").code, 400);
    assert_eq!(parse("fieldSelector=x").code, 400);
}
