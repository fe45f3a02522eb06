//! ResourceQuota and LimitRange: rules, defaults and cells.

use crate::tests::{create, kind_of, now, update};
use serde_json::{Value, json};

fn object(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a",
        "creationTimestamp": "2026-01-02T03:03:05Z"}, "spec": spec})
}

fn check(kind: &str, spec: Value, expected: &[&str]) {
    assert_eq!(create(object(kind, spec.clone())).1, expected, "{spec}");
}

#[test]
fn a_quota_limits_what_there_is() {
    let hard = |hard: Value, expected: &[&str]| check("ResourceQuota", json!({ "hard": hard }), expected);
    hard(
        json!({"pods": "2", "requests.cpu": "1500m", "limits.ephemeral-storage": "1Gi", "services.nodeports": 1,
            "count/deployments.apps": "1", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
            "requests.nvidia.com/gpu": "4", "hugepages-2Mi": "2Mi"}),
        &[],
    );
    hard(
        json!({"widgets": "1"}),
        &[
            "spec.hard[widgets]: Invalid value: \"widgets\": must be a standard resource type or fully qualified",
            "spec.hard[widgets]: Invalid value: \"widgets\": must be a standard resource for quota",
        ],
    );
    hard(
        json!({"storage": "1"}),
        &["spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"],
    );
    hard(
        json!({"cpu": "-1", "pods": "1500m"}),
        &[
            "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
        ],
    );
}

#[test]
fn scopes_suit_what_is_limited() {
    let quota = |spec: Value, expected: &[&str]| check("ResourceQuota", spec, expected);
    quota(json!({"hard": {"pods": "1", "cpu": "1"}, "scopes": ["NotBestEffort", "Terminating"]}), &[]);
    quota(
        json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}),
        &["spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"],
    );
    quota(
        json!({"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}),
        &["spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"],
    );
    quota(
        json!({"hard": {"pods": "1"}, "scopes": ["Odd"]}),
        &["spec.scopes: Invalid value: [\"Odd\"]: unsupported scope"],
    );
    let term = |scope: &str, operator: &str, values: Value| {
        json!({"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": scope, "operator": operator, "values": values}]}})
    };
    quota(term("PriorityClass", "In", json!(["high"])), &[]);
    let at = "spec.scopeSelector.matchExpressions";
    let none = format!(
        "{at}.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
    );
    quota(term("PriorityClass", "NotIn", json!([])), &[&none]);
    let odd = format!("{at}.operator: Invalid value: \"Like\": not a valid selector operator");
    quota(term("PriorityClass", "Like", json!([])), &[&odd]);
    let exists = format!(
        "{at}.operator: Invalid value: \"In\": must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
         ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
         ResourceQuotaScopeCrossNamespacePodAffinity"
    );
    quota(term("Terminating", "In", json!(["x"])), &[&exists]);
}

#[test]
fn scopes_stay() {
    let (old, _) = create(object("ResourceQuota", json!({"hard": {"pods": "1"}, "scopes": ["Terminating"]})));
    let mut new = old.clone();
    new["spec"] = json!({"hard": {"pods": "2"}, "scopes": ["NotTerminating"]});
    let (_, errors) = update(&old, new);
    assert_eq!(errors, ["spec.scopes: Invalid value: [\"NotTerminating\"]: field is immutable"]);
}

#[test]
fn a_quota_shows_what_is_used() {
    let mut quota = object("ResourceQuota", json!({}));
    quota["status"] = json!({"hard": {"pods": "4", "limits.cpu": "2", "requests.cpu": "1", "limits.memory": "1Gi"},
        "used": {"pods": "1", "limits.cpu": "500m", "requests.cpu": "0"}});
    let (kind, _) = kind_of(&quota);
    let cells = (kind.cells)(&quota, now());
    assert_eq!(
        cells,
        [
            json!("a"),
            json!("pods: 1/4, requests.cpu: 0/1"),
            json!("limits.cpu: 500m/2, limits.memory: 0/1Gi"),
            json!("60s")
        ]
    );
    assert_eq!(
        kind.columns.iter().map(|it| it.name).collect::<Vec<_>>(),
        ["Name", "Request", "Limit", "Age"]
    );
}

#[test]
fn limits_fill_in_what_follows() {
    let items = json!([
        {"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "100m", "ephemeral-storage": "1"},
            "default": {"cpu": "1"}},
        {"type": "Pod", "max": {"cpu": "4"}}]);
    let (limits, errors) = create(object("LimitRange", json!({ "limits": items })));
    assert_eq!(errors, Vec::<String>::new());
    let item = &limits["spec"]["limits"][0];
    assert_eq!(item["default"], json!({"cpu": "1", "memory": "1Gi"}));
    assert_eq!(item["defaultRequest"], json!({"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1"}));
    assert_eq!(limits["spec"]["limits"][1], json!({"type": "Pod", "max": {"cpu": "4"}}));
    let (kind, _) = kind_of(&limits);
    assert_eq!(kind.columns.iter().map(|it| it.name).collect::<Vec<_>>(), ["Name", "Created At"]);
}

#[test]
fn limits_are_in_order() {
    let item = |item: Value, expected: &[&str]| check("LimitRange", json!({"limits": [item]}), expected);
    item(
        json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}),
        &[
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value 1",
            "spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1",
        ],
    );
    item(
        json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1500m"}}),
        &[
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1500m\": default request value 1500m is greater than default limit value 1",
        ],
    );
    item(
        json!({"type": "Pod", "default": {"cpu": "1"}}),
        &["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
    );
    item(
        json!({"type": "PersistentVolumeClaim", "max": {"cpu": "1"}}),
        &[
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
        ],
    );
    item(
        json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "500m", "memory": "3"}, "min": {"memory": "1"},
            "max": {"memory": "2"}}),
        &[
            "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
            "spec.limits[0].maxLimitRequestRatio[memory]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
        ],
    );
    item(
        json!({"type": "Container", "max": {"storage": "1"}}),
        &[
            "spec.limits[0].max[storage]: Invalid value: \"storage\": must be a standard resource for containers",
            "spec.limits[0].default[storage]: Invalid value: \"storage\": must be a standard resource for containers",
            "spec.limits[0].defaultRequest[storage]: Invalid value: \"storage\": must be a standard resource for containers",
        ],
    );
    check(
        "LimitRange",
        json!({"limits": [{"type": "Pod"}, {"type": "Pod"}, {"type": "Node"}]}),
        &[
            "spec.limits[1].type: Duplicate value: \"Pod\"",
            "spec.limits[2].type: Invalid value: \"Node\": must be a standard limit type or fully qualified",
        ],
    );
}

#[test]
fn budgets_say_what_of_the_unready() {
    let budget = |policy: &str| {
        let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"},
            "spec": {"minAvailable": 1, "unhealthyPodEvictionPolicy": policy}});
        create(budget).1
    };
    assert_eq!(budget("AlwaysAllow"), Vec::<String>::new());
    assert_eq!(
        budget("Sometimes"),
        [
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Sometimes\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\""
        ]
    );
}
