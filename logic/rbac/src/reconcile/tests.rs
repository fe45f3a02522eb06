//! Defaults against what a cluster has.

use super::*;
use serde_json::json;

fn wanted() -> Object {
    json!({"metadata": {"name": "r", "labels": {"l": "1"}, "annotations": {AUTOUPDATE: "true"}},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]})
}

#[track_caller]
fn updated(step: Step) -> Object {
    match step {
        Step::Update(object) => object,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_there_is_kept() {
    assert_eq!(role(&wanted(), &wanted()), Step::Keep);
    let mut more = wanted();
    more["rules"].as_array_mut().unwrap().push(json!({"nonResourceURLs": ["/x"], "verbs": ["get"]}));
    assert_eq!(role(&wanted(), &more), Step::Keep);
}

#[test]
fn missing_rules_labels_and_subjects_are_added() {
    let mut found = wanted();
    found["rules"][0]["verbs"] = json!(["get"]);
    found["metadata"]["labels"] = json!({"own": "2"});
    let after = updated(role(&wanted(), &found));
    assert_eq!(after["rules"][1], json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}));
    assert_eq!(after["metadata"]["labels"], json!({"l": "1", "own": "2"}));
    let named = |name: &str| json!({"kind": "Group", "name": name});
    let binding_of = |names: &[&str], role: &str| {
        let subjects: Vec<_> = names.iter().map(|name| named(name)).collect();
        json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": subjects})
    };
    let after = updated(binding(&binding_of(&["a", "b"], "r"), &binding_of(&["b", "c"], "r")));
    assert_eq!(after["subjects"], json!([named("b"), named("c"), named("a")]));
    assert_eq!(binding(&binding_of(&[], "r"), &binding_of(&["x"], "r")), Step::Keep);
    assert_eq!(binding(&binding_of(&[], "r"), &binding_of(&[], "other")), Step::Replace);
}

#[test]
fn gathered_rules_are_not_the_defaults_affair() {
    let gathers = |label: &str| json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
    let wanted = json!({"metadata": {"name": "edit"}, "aggregationRule": gathers("x")});
    let found =
        json!({"metadata": {"name": "edit"}, "aggregationRule": gathers("y"), "rules": wanted["rules"]});
    let after = updated(role(&wanted, &found));
    assert_eq!(after["aggregationRule"]["clusterRoleSelectors"].as_array().unwrap().len(), 2);
    assert_eq!(after["rules"], found["rules"]);
}

#[test]
fn who_wants_to_be_left_alone_is() {
    let mut found = wanted();
    found["rules"] = json!([]);
    found["metadata"]["annotations"][AUTOUPDATE] = json!("false");
    assert_eq!(role(&wanted(), &found), Step::Keep);
    assert_eq!(binding(&wanted(), &found), Step::Keep);
}
