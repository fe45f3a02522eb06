//! The defaults as a policy: who can do what in a cluster nobody has touched.

use super::*;
use crate::{Policy, Who, aggregated_rules, is_aggregated, rules_of};
use kelson_machinery::status::Attempt;

/// A policy of the defaults, gathered roles filled, with `binding` put in.
fn policy(binding: Option<Object>) -> Policy {
    let mut policy = Policy::default();
    all().into_iter().for_each(|(kind, object)| policy.put(kind, object));
    for name in ["view", "edit", "admin"] {
        let mut role = policy.role("", name).unwrap().clone();
        assert!(is_aggregated(&role));
        let rules = aggregated_rules(&role, policy.cluster_roles()).unwrap();
        role["rules"] = serde_json::to_value(rules).unwrap();
        policy.put(Kind::ClusterRole, role);
    }
    if let Some(binding) = binding {
        policy.put(Kind::RoleBinding, binding);
    }
    policy
}

#[track_caller]
fn check(policy: &Policy, who: &str, groups: &[&str], attempt: Attempt<'_>, expected: bool) {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let decision = policy.decide(Who { name: who, groups: &groups }, &attempt);
    assert_eq!(decision.allowed, expected, "{who} {attempt:?} {decision:?}");
}

fn on(
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    namespace: &'static str,
) -> Attempt<'static> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attempt { verb, group, resource, subresource, namespace, ..Attempt::default() }
}

fn at(path: &'static str) -> Attempt<'static> {
    Attempt { verb: "get", path, ..Attempt::default() }
}

#[test]
fn strangers_see_health_users_see_discovery() {
    let policy = policy(None);
    for (path, stranger, user) in [
        ("/healthz", true, true),
        ("/version", true, true),
        ("/apis/apps/v1", false, true),
        ("/metrics", false, false),
    ] {
        check(&policy, "system:anonymous", &["system:unauthenticated"], at(path), stranger);
        check(&policy, "jane", &["system:authenticated"], at(path), user);
    }
    let reviews = on("create", "authorization.k8s.io", "selfsubjectaccessreviews", "");
    check(&policy, "jane", &["system:authenticated"], reviews, true);
    check(&policy, "jane", &["system:authenticated"], on("list", "", "pods", "default"), false);
    check(&policy, "root", &["system:masters"], on("delete", "", "nodes", ""), true);
    check(&policy, "x", &["system:serviceaccounts"], at("/openid/v1/jwks"), true);
}

#[test]
fn view_edit_and_admin_include_one_another() {
    let bound = |role: &str| {
        json!({"metadata": {"name": "b", "namespace": "n"}, "roleRef": reference("ClusterRole", role),
            "subjects": [{"kind": "User", "name": "jane"}]})
    };
    let cases = [
        (on("list", "apps", "deployments", "n"), [true, true, true]),
        (on("get", "", "secrets", "n"), [false, true, true]),
        (on("create", "", "pods/exec", "n"), [false, true, true]),
        (on("create", "rbac.authorization.k8s.io", "roles", "n"), [false, false, true]),
        (on("create", "", "resourcequotas", "n"), [false, false, false]),
        (on("list", "", "pods", "other"), [false, false, false]),
    ];
    for (index, role) in ["view", "edit", "admin"].into_iter().enumerate() {
        let policy = policy(Some(bound(role)));
        for (attempt, expected) in &cases {
            check(&policy, "jane", &[], *attempt, expected[index]);
        }
    }
}

#[test]
fn every_default_is_whole() {
    let defaults = all();
    let mut names: Vec<(Kind, &str, &str)> =
        defaults.iter().map(|(kind, object)| (*kind, meta::namespace(object), meta::name(object))).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), defaults.len(), "each name once");
    for (kind, object) in &defaults {
        assert_eq!(meta::label(object, "kubernetes.io/bootstrapping"), Some("rbac-defaults"));
        assert_eq!(meta::annotation(object, AUTOUPDATE), Some("true"));
        if matches!(kind, Kind::Role | Kind::ClusterRole) {
            assert!(is_aggregated(object) || !rules_of(object).is_empty(), "{object}");
            continue;
        }
        let (role, namespace) = (meta::get_str(object, &["roleRef", "name"]), meta::namespace(object));
        assert!(names.iter().any(|(_, home, name)| *home == namespace && *name == role), "{object}");
        assert!(!meta::get_list(object, &["subjects"]).contains(&Value::Null), "{object}");
    }
}

#[test]
fn our_components_do_their_work_and_give_nobody_rights() {
    let policy = policy(None);
    let rbac = "rbac.authorization.k8s.io";
    let manager = "system:kube-controller-manager";
    for (attempt, expected) in [
        (on("create", "", "pods", "n"), true),
        (on("update", "", "namespaces/finalize", "n"), true),
        (on("deletecollection", rbac, "rolebindings", "n"), true),
        (on("create", rbac, "rolebindings", "n"), false),
        (on("escalate", rbac, "clusterroles", ""), false),
        (on("bind", rbac, "clusterroles", ""), false),
        (on("impersonate", "", "users", ""), false),
        (on("create", "", "pods/exec", "n"), false),
        (on("create", "apps", "deployments", "n"), false),
    ] {
        check(&policy, manager, &["system:authenticated"], attempt, expected);
    }
    check(&policy, "system:kelson-dns", &[], on("create", "", "services", "kube-system"), true);
    check(&policy, "system:kelson-dns", &[], on("create", "", "services", "default"), false);
    check(&policy, "system:kube-proxy", &[], on("get", "", "secrets", "default"), false);
    check(&policy, "system:kelson-ingress", &[], on("list", "", "secrets", ""), true);
    check(&policy, "system:kelson", &[], on("delete", "", "nodes", ""), false);
    for user in own::USERS {
        let bound =
            all().iter().any(|(_, object)| object["subjects"].to_string().contains(&format!("{user:?}")));
        assert!(bound && has_own_role(user), "{user}");
    }
}
