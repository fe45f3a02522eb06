//! What a rule allows, pair by pair with upstream's own cases.

use super::*;
use serde_json::json;

fn on(verb: &'static str, group: &'static str, resource: &'static str) -> Attempt<'static> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attempt { verb, group, resource, subresource, namespace: "n", name: "x", ..Attempt::default() }
}

fn at(verb: &'static str, path: &'static str) -> Attempt<'static> {
    Attempt { verb, path, ..Attempt::default() }
}

#[track_caller]
fn check(rule: &Rule, attempt: Attempt<'_>, expected: bool) {
    assert_eq!(rule.allows(&attempt), expected, "{rule} {attempt:?}");
}

#[test]
fn verbs_groups_and_resources_are_compared_whole() {
    let rule = Rule::on("get list", &["", "apps"], "pods deployments/scale");
    check(&rule, on("get", "", "pods"), true);
    check(&rule, on("list", "apps", "deployments/scale"), true);
    check(&rule, on("watch", "", "pods"), false);
    check(&rule, on("get", "batch", "pods"), false);
    check(&rule, on("get", "", "pods/log"), false);
    check(&rule, on("get", "apps", "deployments"), false);
    check(&rule, at("get", "/pods"), false);
}

#[test]
fn stars_match_all_or_a_subresource_of_anything() {
    let everything = Rule::on("*", &["*"], "*");
    check(&everything, on("escalate", "rbac.authorization.k8s.io", "roles"), true);
    check(&everything, on("create", "", "pods/exec"), true);
    check(&everything, at("get", "/metrics"), false);
    let scales = Rule::on("update", &["*"], "*/scale");
    check(&scales, on("update", "apps", "deployments/scale"), true);
    check(&scales, on("update", "apps", "deployments"), false);
    check(&scales, on("update", "apps", "deployments/autoscale"), false);
    // Not a pattern: upstream knows no star after the slash.
    let below = Rule::on("get", &[""], "pods/*");
    check(&below, on("get", "", "pods/log"), false);
    check(&below, on("get", "", "pods"), false);
}

#[test]
fn names_limit_what_has_a_name() {
    let rule = Rule::on("get create", &[""], "secrets").named("x y");
    check(&rule, on("get", "", "secrets"), true);
    check(&rule, Attempt { name: "z", ..on("get", "", "secrets") }, false);
    check(&rule, Attempt { name: "", ..on("create", "", "secrets") }, false);
}

#[test]
fn paths_may_end_in_a_star() {
    let rule = Rule::paths("get", "/healthz /apis/*");
    check(&rule, at("get", "/healthz"), true);
    check(&rule, at("get", "/healthz/"), false);
    check(&rule, at("get", "/apis/apps/v1"), true);
    check(&rule, at("get", "/apis"), false);
    check(&rule, at("post", "/healthz"), false);
    check(&Rule::paths("*", "*"), at("head", "/anything"), true);
    check(&rule, on("get", "", "healthz"), false);
}

#[test]
fn rules_are_read_and_written_as_the_api_has_them() {
    let role = json!({"rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": null, "nonResourceURLs": ["/x"], "verbs": ["get"]},
        {"apiGroups": 3, "verbs": ["get"]},
    ]});
    let rules = rules_of(&role);
    assert_eq!(rules, [Rule::on("get", &[""], "pods"), Rule::paths("get", "/x")]);
    assert_eq!(
        serde_json::to_value(&rules[1]).unwrap(),
        json!({"nonResourceURLs": ["/x"], "verbs": ["get"]})
    );
    assert!(rules_of(&json!({"rules": null})).is_empty());
}

#[test]
fn rules_are_said_as_upstream_says_them() {
    let rule = Rule::on("get", &[""], "pods").named("a b");
    assert_eq!(
        rule.to_string(),
        r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["a" "b"], Verbs:["get"]}"#
    );
    assert_eq!(Rule::paths("*", "*").to_string(), r#"{NonResourceURLs:["*"], Verbs:["*"]}"#);
}
