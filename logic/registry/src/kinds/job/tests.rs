//! A Job's policies and figures: what is refused, and in which words (H6.6, H6.7, H6.9).

use crate::tests::{create, update};
use serde_json::{Value, json};

fn job(spec: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": "a"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let mut base = json!({ "template": template });
    base.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": base})
}

#[track_caller]
fn check(spec: Value, expected: &[&str]) {
    assert_eq!(create(job(spec.clone())).1, expected, "{spec}");
}

fn failure(rule: Value) -> Value {
    json!({"podFailurePolicy": {"rules": [rule]}})
}

#[test]
fn h6_6_rules_of_failures() {
    let codes = |operator: &str, values: Value| {
        failure(json!({"action": "FailJob", "onExitCodes": {"operator": operator, "values": values}}))
    };
    check(codes("In", json!([1, 42])), &[]);
    check(codes("NotIn", json!([0])), &[]);
    let at = "spec.podFailurePolicy.rules[0]";
    check(
        codes("In", json!([0])),
        &[&format!("{at}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator")],
    );
    check(
        codes("Is", json!([2, 2, 1])),
        &[
            &format!(
                "{at}.onExitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\""
            ),
            &format!("{at}.onExitCodes.values[1]: Duplicate value: 2"),
            &format!("{at}.onExitCodes.values: Invalid value: [2,2,1]: must be ordered"),
        ],
    );
    check(
        failure(json!({"action": "FailIndex", "onPodConditions": [{"type": "DisruptionTarget"}]})),
        &[&format!("{at}.action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set")],
    );
    check(
        failure(json!({"action": "Stop"})),
        &[
            &format!(
                "{at}.action: Unsupported value: \"Stop\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \
                 \"Ignore\""
            ),
            &format!("{at}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
        ],
    );
    let both = json!({"action": "Ignore", "onPodConditions": [{"type": "X", "status": "Maybe"}],
        "onExitCodes": {"containerName": "other", "operator": "In", "values": [1]}});
    check(
        failure(both),
        &[
            &format!(
                "{at}.onExitCodes.containerName: Invalid value: \"other\": must be one of the container or \
                 initContainer names in the pod template"
            ),
            &format!(
                "{at}.onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \
                 \"Unknown\""
            ),
            &format!("{at}: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"),
        ],
    );
}

#[test]
fn h6_6_failures_are_judged_only_of_pods_that_do_not_restart() {
    let mut manifest = job(failure(json!({"action": "Ignore", "onPodConditions": [{"type": "X"}]})));
    let (made, errors) = create(manifest.clone());
    assert_eq!(errors, Vec::<String>::new());
    let rule = &made["spec"]["podFailurePolicy"]["rules"][0];
    assert_eq!(rule["onPodConditions"][0]["status"], "True");
    assert_eq!(made["spec"]["podReplacementPolicy"], "Failed");
    manifest["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    manifest["spec"]["podReplacementPolicy"] = "TerminatingOrFailed".into();
    assert_eq!(
        create(manifest).1,
        [
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when \
             podFailurePolicy is specified",
        ]
    );
}

#[test]
fn h6_6_rules_of_success() {
    let policy = |rule: Value| json!({"completions": 5, "parallelism": 2, "completionMode": "Indexed", "successPolicy": {"rules": [rule]}});
    check(policy(json!({"succeededIndexes": "0,2-4", "succeededCount": 3})), &[]);
    let at = "spec.successPolicy.rules[0]";
    check(
        policy(json!({})),
        &[&format!(
            "{at}: Required value: at least one of succeededCount or succeededIndexes must be specified"
        )],
    );
    check(
        policy(json!({"succeededIndexes": "0-1", "succeededCount": 6})),
        &[
            &format!(
                "{at}.succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified \
                 completions)"
            ),
            &format!(
                "{at}.succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the \
                 specified succeededIndexes field)"
            ),
        ],
    );
    for (indexes, why) in [
        ("5", "too large index: \"5\""),
        ("x", "cannot convert string to integer for index: \"x\""),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        ("-1", "cannot convert string to integer for index: \"\""),
    ] {
        let expected = format!(
            "{at}.succeededIndexes: Invalid value: \"{indexes}\": error parsing succeededIndexes: {why}"
        );
        check(policy(json!({ "succeededIndexes": indexes })), &[&expected]);
    }
    let plain = json!({"successPolicy": {"rules": [{"succeededCount": 1}]}});
    check(
        plain,
        &[
            "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: requires indexed completion mode",
        ],
    );
}

#[test]
fn h6_6_limits_by_index() {
    let indexed = |mut spec: Value| {
        spec["completionMode"] = "Indexed".into();
        spec
    };
    check(indexed(json!({"completions": 3, "backoffLimitPerIndex": 1, "maxFailedIndexes": 2})), &[]);
    check(
        indexed(json!({"completions": 3, "maxFailedIndexes": 4})),
        &[
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
        ],
    );
    check(
        json!({"backoffLimitPerIndex": 1}),
        &["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
    );
    check(
        indexed(json!({"completions": 200_000, "parallelism": 20_000, "backoffLimitPerIndex": 1})),
        &[
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions are above \
             100000 and used with backoff limit per index",
        ],
    );
    check(
        json!({"completionMode": "Sorted"}),
        &[
            "spec.completionMode: Unsupported value: \"Sorted\": supported values: \"NonIndexed\", \"Indexed\"",
        ],
    );
    check(
        indexed(json!({"parallelism": 1})),
        &["spec.completions: Required value: when completion mode is Indexed"],
    );
}

#[test]
fn h6_7_who_runs_it() {
    check(json!({"managedBy": "example.com/runner"}), &[]);
    check(
        json!({"managedBy": "runner"}),
        &[
            "spec.managedBy: Invalid value: \"runner\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ],
    );
    check(
        json!({"managedBy": "example.com/a b"}),
        &["spec.managedBy: Invalid value: \"a b\": Invalid path (regex used for validation is \
             '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"],
    );
}

#[track_caller]
fn check_update(old: &Value, spec: Value, expected: &[&str]) {
    let mut manifest = old.clone();
    for (field, value) in spec.as_object().unwrap() {
        manifest["spec"][field] = value.clone();
    }
    assert_eq!(update(old, manifest).1, expected, "{spec}");
}

#[test]
fn h6_7_what_stays_as_it_was() {
    let (old, _) = create(job(json!({"completions": 2, "completionMode": "Indexed"})));
    check_update(&old, json!({"parallelism": 4, "backoffLimit": 1, "suspend": true}), &[]);
    check_update(&old, json!({"completions": 3, "parallelism": 3}), &[]);
    check_update(
        &old,
        json!({"completions": 3}),
        &["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"],
    );
    check_update(
        &old,
        json!({"managedBy": "a.io/b"}),
        &["spec.managedBy: Invalid value: \"a.io/b\": field is immutable"],
    );
    check_update(
        &old,
        json!({"backoffLimitPerIndex": 1}),
        &["spec.backoffLimitPerIndex: Invalid value: 1: field is immutable"],
    );
    let (plain, _) = create(job(json!({"completions": 2})));
    check_update(
        &plain,
        json!({"completions": 3}),
        &["spec.completions: Invalid value: 3: field is immutable"],
    );
}

#[test]
fn h6_9_a_job_that_has_not_begun_may_be_told_where_to_run() {
    let moved = |old: &Value| {
        let mut template = old["spec"]["template"].clone();
        template["spec"]["nodeSelector"] = json!({"disk": "ssd"});
        template["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        json!({ "template": template })
    };
    let (mut old, _) = create(job(json!({"suspend": true})));
    check_update(&old, moved(&old), &[]);
    let mut other = moved(&old);
    other["template"]["spec"]["containers"][0]["image"] = "other".into();
    let mut manifest = old.clone();
    manifest["spec"]["template"] = other["template"].clone();
    let errors = update(&old, manifest).1;
    assert!(errors.len() == 1 && errors[0].ends_with("field is immutable"), "{errors:?}");
    old["status"]["startTime"] = "2026-01-02T03:03:05Z".into();
    let mut manifest = old.clone();
    manifest["spec"]["template"] = moved(&old)["template"].clone();
    let errors = update(&old, manifest).1;
    assert!(errors.len() == 1 && errors[0].ends_with("field is immutable"), "{errors:?}");
}
