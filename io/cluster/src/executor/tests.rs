//! The executor: which answers mean what. The requests themselves are tried against the real API in `tests/`.

use k8s_openapi::api::core::v1::Pod;
use kelson_plans::{Action, Key, Resource};
use serde_json::json;

use super::{Expect, Outcome, conditioned, expectation, judge};

fn create() -> Action {
    Action::Create { resource: Resource::of::<Pod>(true), namespace: "default".to_owned(), object: json!({}) }
}

fn bind() -> Action {
    Action::Bind { pod: Key::new("default", "p"), uid: "u".to_owned(), node: "n".to_owned() }
}

/// The outcome of an answer: `done`, `stale`, or what was refused.
fn check(code: u16, cause: &str, expected: &str) {
    let status = json!({"status": "Failure", "message": "why not", "reason": "x", "code": code, "details": {"causes": [{"reason": cause}]}});
    let error = kube::Error::Api(serde_json::from_value(status).unwrap());
    let outcome = match judge(&create(), error) {
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Stale => "stale".to_owned(),
        Outcome::Refused(why) => why,
    };
    assert_eq!(outcome, expected, "{code} {cause}");
}

#[test]
fn a_precondition_that_fails_is_no_error() {
    check(404, "", "stale");
    check(409, "", "stale");
    check(403, "", "why not");
    check(403, "NamespaceTerminating", "done");
    check(422, "FieldValueInvalid", "why not");
    check(500, "", "why not");
}

#[test]
fn what_the_view_must_see_before_the_next_plan() {
    let answer = json!({"metadata": {"resourceVersion": "17"}});
    assert_eq!(expectation(&create(), &answer), Some(Expect::Heard(Resource::of::<Pod>(true), 17)));
    assert_eq!(expectation(&create(), &json!({"metadata": {"resourceVersion": "opaque"}})), None);
    assert_eq!(expectation(&bind(), &json!({"kind": "Status"})), Some(Expect::Bound("u".to_owned())));
}

#[test]
fn a_patch_carries_its_conditions() {
    let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 2}});
    let expected = json!({"metadata": {"labels": {"a": "b"}, "uid": "u", "resourceVersion": "5"}, "spec": {"replicas": 2}});
    assert_eq!(conditioned(&patch, "u", Some("5")), expected);
    assert_eq!(
        conditioned(&json!({"status": {}}), "u", None),
        json!({"metadata": {"uid": "u"}, "status": {}})
    );
}
