//! Decisions over roles and bindings, with the reasons; and as a property: the index says what looking at all says.

use super::*;
use serde_json::{Value, json};

fn role(namespace: &str, name: &str, rules: Value) -> Object {
    json!({"metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

fn binding(namespace: &str, name: &str, reference: &str, subjects: &[&str]) -> Object {
    let (kind, role) = reference.split_once('/').unwrap();
    let subjects: Vec<Value> = subjects.iter().map(|one| subject(one)).collect();
    json!({"metadata": {"namespace": namespace, "name": name}, "roleRef": {"kind": kind, "name": role}, "subjects": subjects})
}

/// `User/jane`, `Group/dev`, `ServiceAccount/name` or `ServiceAccount/name/namespace`.
fn subject(text: &str) -> Value {
    let mut parts = text.split('/');
    let (kind, name) = (parts.next().unwrap(), parts.next().unwrap());
    json!({"kind": kind, "name": name, "namespace": parts.next()})
}

fn pods() -> Value {
    json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}])
}

fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.put(Kind::ClusterRole, role("", "reader", pods()));
    policy.put(Kind::Role, role("team", "reader", pods()));
    policy
        .put(Kind::ClusterRoleBinding, binding("", "all", "ClusterRole/reader", &["Group/ops", "User/root"]));
    policy.put(
        Kind::RoleBinding,
        binding(
            "team",
            "some",
            "Role/reader",
            &["User/jane", "ServiceAccount/bot", "ServiceAccount/bot/other"],
        ),
    );
    policy.put(Kind::RoleBinding, binding("team", "lost", "Role/gone", &["User/joe"]));
    policy
}

#[track_caller]
fn check(who: &str, groups: &[&str], namespace: &str, expected: (bool, &str)) {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let attempt = Attempt { verb: "list", resource: "pods", namespace, ..Attempt::default() };
    let decision = policy().decide(Who { name: who, groups: &groups }, &attempt);
    assert_eq!((decision.allowed, decision.reason.as_str()), expected);
}

#[test]
fn bindings_of_the_cluster_hold_everywhere() {
    let by = "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"reader\" to ";
    check("x", &["dev", "ops"], "team", (true, &format!("{by}Group \"ops\"")));
    check("root", &[], "", (true, &format!("{by}User \"root\"")));
    check("ops", &[], "", (false, ""));
}

#[test]
fn bindings_of_a_namespace_hold_there_alone() {
    let by = "RBAC: allowed by RoleBinding \"some/team\" of Role \"reader\" to ";
    check("jane", &[], "team", (true, &format!("{by}User \"jane\"")));
    check("jane", &[], "other", (false, ""));
    check("jane", &[], "", (false, ""));
}

#[test]
fn service_accounts_live_in_the_bindings_namespace_unless_it_says_otherwise() {
    let by = "RBAC: allowed by RoleBinding \"some/team\" of Role \"reader\" to ";
    check("system:serviceaccount:team:bot", &[], "team", (true, &format!("{by}ServiceAccount \"bot/team\"")));
    check(
        "system:serviceaccount:other:bot",
        &[],
        "team",
        (true, &format!("{by}ServiceAccount \"bot/other\"")),
    );
    check("system:serviceaccount:third:bot", &[], "team", (false, ""));
}

#[test]
fn roles_that_are_not_there_are_said() {
    check("joe", &[], "team", (false, "RBAC: role.rbac.authorization.k8s.io \"gone\" not found"));
    let policy = policy();
    let unsupported = policy.rules_of_reference("Rolle", "x", "team").unwrap_err();
    assert_eq!(unsupported, "unsupported role reference kind: \"Rolle\"");
    let (rules, problems) = policy.rules_for(Who { name: "jane", groups: &["ops".into()] }, "team");
    assert_eq!((rules.len(), problems.len()), (2, 0));
    let twice = ["ops".to_owned()];
    let (rules, _) = policy.rules_for(Who { name: "root", groups: &twice }, "team");
    assert_eq!(rules.len(), 1, "a binding that names one twice counts once");
}

#[test]
fn what_is_removed_or_replaced_no_longer_counts() {
    let mut policy = policy();
    let attempt = Attempt { verb: "list", resource: "pods", namespace: "team", ..Attempt::default() };
    let jane = Who { name: "jane", groups: &[] };
    policy.put(Kind::RoleBinding, binding("team", "some", "Role/reader", &["User/jim"]));
    assert!(!policy.decide(jane, &attempt).allowed);
    assert!(policy.decide(Who { name: "jim", groups: &[] }, &attempt).allowed);
    policy.remove(Kind::Role, "team", "reader");
    assert!(!policy.decide(Who { name: "jim", groups: &[] }, &attempt).allowed);
    for (kind, namespace, name) in [
        (Kind::RoleBinding, "team", "some"),
        (Kind::RoleBinding, "team", "lost"),
        (Kind::ClusterRoleBinding, "", "all"),
    ] {
        policy.remove(kind, namespace, name);
    }
    assert!(policy.named.is_empty() && policy.bindings.is_empty());
}

#[test]
fn the_index_says_what_looking_at_every_binding_says() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    let namespaces = ["", "a", "b"];
    let subjects = ["User/u", "User/v", "Group/g", "ServiceAccount/s", "ServiceAccount/s/b", "Robot/u"];
    let users = ["u", "v", "system:serviceaccount:a:s", "system:serviceaccount:b:s"];
    let (mut policy, mut kept): (Policy, BTreeMap<Key, Object>) = Default::default();
    policy.put(Kind::ClusterRole, role("", "r", pods()));
    for _ in 0..2000 {
        let (namespace, name) = (namespaces[below(3)], ["x", "y"][below(2)]);
        let kind = if namespace.is_empty() { Kind::ClusterRoleBinding } else { Kind::RoleBinding };
        let key = (namespace.to_owned(), name.to_owned());
        if below(3) == 0 {
            policy.remove(kind, namespace, name);
            kept.remove(&key);
        } else {
            let chosen = [subjects[below(6)], subjects[below(6)]];
            let object = binding(namespace, name, "ClusterRole/r", &chosen);
            policy.put(kind, object.clone());
            kept.insert(key, object);
        }
        let (user, groups) = (users[below(4)], if below(2) == 0 { vec![] } else { vec!["g".to_owned()] });
        let attempt =
            Attempt { verb: "get", resource: "pods", namespace: namespaces[below(3)], ..Attempt::default() };
        let who = Who { name: user, groups: &groups };
        assert_eq!(policy.decide(who, &attempt).allowed, by_looking(&kept, who, attempt.namespace));
    }
}

fn by_looking(bindings: &BTreeMap<Key, Object>, who: Who<'_>, namespace: &str) -> bool {
    let here = bindings.iter().filter(|((home, _), _)| home.is_empty() || home == namespace);
    here.flat_map(|((home, _), object)| {
        meta::get_list(object, &["subjects"]).iter().map(move |one| (home, one))
    })
    .any(|(home, one)| match one["kind"].as_str().unwrap() {
        "User" => one["name"] == who.name,
        "Group" => who.groups.iter().any(|group| one["name"] == group.as_str()),
        "ServiceAccount" => {
            let own = one["namespace"].as_str().unwrap_or(home);
            !own.is_empty()
                && who.name == format!("system:serviceaccount:{own}:{}", one["name"].as_str().unwrap())
        }
        _ => false,
    })
}
