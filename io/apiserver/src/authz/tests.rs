//! Who may do what before there are roles.

use super::*;

fn check(user: &User, attempt: Attempt<'_>, expected: bool) {
    assert_eq!(Masters.allows(user, &attempt), expected, "{user:?} {attempt:?}");
}

fn path(verb: &'static str, path: &'static str) -> Attempt<'static> {
    Attempt { verb, path, ..Attempt::default() }
}

#[test]
fn anonymous_sees_health_and_version_alone() {
    let nobody = User::anonymous();
    for open in ["/healthz", "/livez", "/readyz", "/version", "/version/"] {
        check(&nobody, path("get", open), true);
        check(&nobody, path("post", open), false);
    }
    for closed in ["/", "/api", "/apis", "/openapi/v3", "/metrics", "/healthz/etcd", "/apix"] {
        check(&nobody, path("get", closed), false);
    }
    let list = Attempt { verb: "list", resource: "pods", path: "/version", ..Attempt::default() };
    check(&nobody, list, false);
}

#[test]
fn authenticated_users_see_discovery_and_masters_do_everything() {
    let jane = User::new("jane", &["dev"]);
    check(&jane, path("get", "/apis/apps/v1"), true);
    check(&jane, path("get", "/openapi/v3"), true);
    check(&jane, path("get", "/metrics"), false);
    let delete = Attempt { verb: "delete", resource: "nodes", name: "n", ..Attempt::default() };
    check(&jane, delete, false);
    check(&User::new("root", &["system:masters"]), delete, true);
    check(&User::component("system:kube-scheduler"), delete, true);
}
