//! Who may do what with the roles a cluster begins with, and that a new role counts at once.

use super::*;
use crate::tests::Scratch;
use kelson_store::{Change, Embedded, Expect};
use serde_json::json;

async fn rights(scratch: &Scratch) -> (Arc<dyn Store>, Rights) {
    let store = Embedded::open(scratch.path().join("store"), kelson_store::Config::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    for (kind, object) in kelson_rbac::defaults::all() {
        let plural = match kind {
            kelson_rbac::Kind::ClusterRole => "clusterroles",
            kelson_rbac::Kind::ClusterRoleBinding => "clusterrolebindings",
            _ => continue,
        };
        put(&*store, &format!("{plural}/{}", object["metadata"]["name"].as_str().unwrap()), object).await;
    }
    (store.clone(), Rights::open(store).await.unwrap())
}

async fn put(store: &dyn Store, key: &str, object: serde_json::Value) {
    let key = format!("/registry/rbac.authorization.k8s.io/{key}");
    store.commit(vec![Change::put(key, Expect::Any, object.to_string())]).await.unwrap();
}

#[track_caller]
fn check(rights: &Rights, user: &User, attempt: Attempt<'_>, expected: bool) {
    assert_eq!(rights.decide(user, &attempt).allowed, expected, "{user:?} {attempt:?}");
}

fn path(verb: &'static str, path: &'static str) -> Attempt<'static> {
    Attempt { verb, path, ..Attempt::default() }
}

#[tokio::test]
async fn strangers_users_and_masters() {
    let scratch = Scratch::new();
    let (_, rights) = rights(&scratch).await;
    let nobody = User::anonymous();
    for open in ["/healthz", "/livez", "/readyz", "/version", "/version/"] {
        check(&rights, &nobody, path("get", open), true);
        check(&rights, &nobody, path("post", open), false);
    }
    for closed in ["/", "/api", "/apis", "/openapi/v3", "/metrics", "/healthz/etcd", "/apix"] {
        check(&rights, &nobody, path("get", closed), false);
    }
    let jane = User::new("jane", &["dev"]);
    check(&rights, &jane, path("get", "/apis/apps/v1"), true);
    check(&rights, &jane, path("get", "/metrics"), false);
    let delete = Attempt { verb: "delete", resource: "nodes", name: "n", ..Attempt::default() };
    check(&rights, &jane, delete, false);
    check(&rights, &User::new("root", &["system:masters"]), delete, true);
}

#[tokio::test]
async fn nodes_change_what_is_theirs() {
    let scratch = Scratch::new();
    let (_, rights) = rights(&scratch).await;
    let node = User::new("system:node:n1", &["system:nodes"]);
    let on = |verb, resource, name| Attempt { verb, resource, name, ..Attempt::default() };
    let lease = |name| Attempt {
        verb: "update",
        group: "coordination.k8s.io",
        resource: "leases",
        namespace: "kube-node-lease",
        name,
        ..Attempt::default()
    };
    // Whose Node it is, admission sees.
    check(&rights, &node, on("patch", "nodes", "n1"), true);
    check(&rights, &node, on("get", "nodes", "n2"), false);
    check(&rights, &node, on("delete", "nodes", "n1"), false);
    check(&rights, &node, on("list", "pods", ""), false);
    let own = Attempt { field_selector: "spec.nodeName=n1", ..on("list", "pods", "") };
    check(&rights, &node, own, true);
    check(&rights, &node, on("create", "deployments", ""), false);
    check(&rights, &node, lease("n1"), true);
    check(&rights, &node, lease("n2"), false);
    check(&rights, &node, Attempt { namespace: "default", ..lease("n1") }, false);
    check(&rights, &User::new("system:node:n1", &[]), own, false);
}

#[tokio::test]
async fn a_role_counts_as_soon_as_it_is_stored() {
    let scratch = Scratch::new();
    let (store, rights) = rights(&scratch).await;
    let jane = User::new("jane", &[]);
    let attempt = Attempt { verb: "list", resource: "pods", namespace: "n", ..Attempt::default() };
    let binding = json!({"metadata": {"name": "b", "namespace": "n"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "jane"}]});
    put(&*store, "rolebindings/n/b", binding).await;
    rights.refresh().await.unwrap();
    let by = "RBAC: allowed by RoleBinding \"b/n\" of ClusterRole \"cluster-admin\" to User \"jane\"";
    assert_eq!(rights.decide(&jane, &attempt).reason, by);
    let key = "/registry/rbac.authorization.k8s.io/rolebindings/n/b";
    store.commit(vec![Change::delete(key, Expect::Any, "{}")]).await.unwrap();
    rights.refresh().await.unwrap();
    check(&rights, &jane, attempt, false);
}
