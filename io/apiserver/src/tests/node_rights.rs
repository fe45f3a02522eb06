//! What a node's credential reaches: what the pods bound to it refer to, itself, and nothing of other nodes.

use super::*;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";

fn node(name: &str) -> User {
    User::new(format!("system:node:{name}"), &["system:nodes"])
}

/// `web` is bound to `n1`; its volume refers to the Secret `s` and the claim `c`.
async fn harness() -> Harness {
    let harness = Harness::new().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    harness.post("/api/v1/namespaces/default/secrets", secret).await.expect(201);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    harness.post(CLAIMS, claim).await.expect(201);
    let mut web = pod("web");
    web["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]);
    harness.post(PODS, web).await.expect(201);
    harness
}

async fn bind(harness: &Harness, node: &str) {
    let binding = json!({"target": {"kind": "Node", "name": node}});
    harness.post(&format!("{PODS}/web/binding"), binding).await.expect(201);
}

impl Harness {
    async fn refuses(&self, user: User, method: &str, path: &str, body: Value, expected: &str) {
        let media = [("content-type", "application/merge-patch+json")];
        let headers: &[_] = if method == "PATCH" { &media } else { &[] };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(user, method, path, headers, body).await;
        assert_eq!((answer.code, answer.status().2), (403, expected), "{method} {path}");
    }

    async fn allows(&self, user: User, method: &str, path: &str, body: Value) -> Value {
        let media = [("content-type", "application/merge-patch+json")];
        let headers: &[_] = if method == "PATCH" { &media } else { &[] };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(user, method, path, headers, body).await;
        assert!(answer.code < 300, "{method} {path}: {answer:?}");
        answer.body
    }
}

#[tokio::test]
async fn a_secret_is_a_nodes_while_a_pod_on_it_refers_to_it() {
    let harness = harness().await;
    let secret = "/api/v1/namespaces/default/secrets/s";
    let refused = |node: &str| {
        format!(
            "secrets \"s\" is forbidden: User \"system:node:{node}\" cannot get resource \"secrets\" in API group \"\" \
             in the namespace \"default\": no relationship found between node '{node}' and this object"
        )
    };
    harness.refuses(node("n1"), "GET", secret, Value::Null, &refused("n1")).await;
    bind(&harness, "n1").await;
    harness.allows(node("n1"), "GET", secret, Value::Null).await;
    harness.refuses(node("n2"), "GET", secret, Value::Null, &refused("n2")).await;
    let one = "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Ds";
    let listed = harness.allows(node("n1"), "GET", one, Value::Null).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let all = "secrets is forbidden: User \"system:node:n1\" cannot list resource \"secrets\" in API group \"\" in the \
               namespace \"default\": No Object name found";
    harness.refuses(node("n1"), "GET", "/api/v1/namespaces/default/secrets", Value::Null, all).await;
    harness.delete(&format!("{PODS}/web?gracePeriodSeconds=0"), Value::Null).await.expect(200);
    harness.refuses(node("n1"), "GET", secret, Value::Null, &refused("n1")).await;
}

#[tokio::test]
async fn claims_and_volumes_follow_from_pods() {
    let harness = harness().await;
    bind(&harness, "n1").await;
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"},
            "claimRef": {"namespace": "default", "name": "c"}}});
    harness.post("/api/v1/persistentvolumes", volume).await.expect(201);
    for path in [&format!("{CLAIMS}/c"), "/api/v1/persistentvolumes/v"] {
        harness.allows(node("n1"), "GET", path, Value::Null).await;
        let answer = harness.send(node("n2"), "GET", path, &[], Body::empty()).await;
        assert!(answer.status().2.ends_with("between node 'n2' and this object"), "{answer:?}");
    }
    let size = json!({"status": {"capacity": {"storage": "1Gi"}}});
    harness.allows(node("n1"), "PATCH", &format!("{CLAIMS}/c/status"), size).await;
    let why = "persistentvolumeclaims \"c\" is forbidden: node \"n1\" is not allowed to update fields other than \
               status.capacity and status.conditions";
    let phase = json!({"status": {"phase": "Lost"}});
    harness.refuses(node("n1"), "PATCH", &format!("{CLAIMS}/c/status"), phase, why).await;
}

#[tokio::test]
async fn tokens_are_for_pods_of_the_node() {
    let harness = harness().await;
    bind(&harness, "n1").await;
    let uid = harness.get(&format!("{PODS}/web")).await.expect(200)["metadata"]["uid"].clone();
    let bound = |uid: Value| {
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [], "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid}}})
    };
    harness.allows(node("n1"), "POST", TOKEN, bound(uid.clone())).await;
    let refused = "serviceaccounts \"default\" is forbidden: ";
    let without = format!("{refused}node requested token with a pod binding without a uid");
    harness.refuses(node("n1"), "POST", TOKEN, bound(Value::Null), &without).await;
    let unbound = format!("{refused}node requested token not bound to a pod");
    harness.refuses(node("n1"), "POST", TOKEN, json!({"spec": {"audiences": []}}), &unbound).await;
    let unrelated = format!(
        "{refused}User \"system:node:n2\" cannot create resource \"serviceaccounts/token\" in API group \"\" in the \
         namespace \"default\": no relationship found between node 'n2' and this object"
    );
    harness.refuses(node("n2"), "POST", TOKEN, bound(uid), &unrelated).await;
}

#[tokio::test]
async fn a_node_keeps_its_own_node_and_pods() {
    let harness = harness().await;
    bind(&harness, "n1").await;
    let made = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels}})
    };
    let nodes = "/api/v1/nodes";
    harness.allows(node("n1"), "POST", nodes, made("n1", json!({"kubernetes.io/os": "linux"}))).await;
    let why = "nodes \"n3\" is forbidden: node \"n1\" is not allowed to modify node \"n3\"";
    harness.refuses(node("n1"), "POST", nodes, made("n3", json!({})), why).await;
    let role = json!({"node-role.kubernetes.io/x": ""});
    let why = "nodes \"n2\" is forbidden: node \"n2\" is not allowed to set the following labels: node-role.kubernetes.io/x";
    harness.refuses(node("n2"), "POST", nodes, made("n2", role.clone()), why).await;
    let why = "nodes \"n1\" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/x";
    let labelled = json!({"metadata": {"labels": role}});
    harness.refuses(node("n1"), "PATCH", "/api/v1/nodes/n1", labelled, why).await;
    let why = "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints";
    let tainted = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
    harness.refuses(node("n1"), "PATCH", "/api/v1/nodes/n1", tainted, why).await;
    let why = "nodes \"n1\" is forbidden: node \"n2\" is not allowed to modify node \"n1\"";
    let status = json!({"status": {"phase": "x"}});
    harness.refuses(node("n2"), "PATCH", "/api/v1/nodes/n1/status", status, why).await;
    let why = "nodes is forbidden: User \"system:node:n1\" cannot list resource \"nodes\" in API group \"\" at the cluster \
               scope: node 'n1' cannot read all nodes, only its own Node object";
    harness.refuses(node("n1"), "GET", nodes, Value::Null, why).await;
}

#[tokio::test]
async fn a_node_reports_and_ends_its_own_pods() {
    let harness = harness().await;
    bind(&harness, "n1").await;
    let web = format!("{PODS}/web");
    let running = json!({"status": {"phase": "Running"}});
    harness.allows(node("n1"), "PATCH", &format!("{web}/status"), running.clone()).await;
    let refused = "pods \"web\" is forbidden: ";
    let only = "pods with spec.nodeName set to itself";
    let why = format!("{refused}node \"n2\" can only update pod status for {only}");
    harness.refuses(node("n2"), "PATCH", &format!("{web}/status"), running, &why).await;
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    let why = format!("{refused}node \"n1\" cannot update labels through pod status");
    harness.refuses(node("n1"), "PATCH", &format!("{web}/status"), labelled, &why).await;
    let why = format!("{refused}node \"n2\" can only delete {only}");
    harness.refuses(node("n2"), "DELETE", &web, Value::Null, &why).await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}});
    let why = format!("{refused}node n2 can only evict {only}");
    harness.refuses(node("n2"), "POST", &format!("{web}/eviction"), eviction.clone(), &why).await;
    harness.allows(node("n1"), "POST", &format!("{web}/eviction"), eviction).await;
}

#[tokio::test]
async fn mirror_pods_are_bare_and_owned_by_their_node() {
    let harness = harness().await;
    let nodes = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let uid = harness.allows(node("n1"), "POST", "/api/v1/nodes", nodes).await["metadata"]["uid"].clone();
    let mut mirror = pod("m");
    let check = async |object: &Value, why: &str| {
        let why = format!("pods \"m\" is forbidden: {why}");
        harness.refuses(node("n1"), "POST", PODS, object.clone(), &why).await;
    };
    let missing = "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods";
    check(&mirror, missing).await;
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    check(&mirror, "node \"n1\" can only create pods with spec.nodeName set to itself").await;
    mirror["spec"]["nodeName"] = "n1".into();
    check(&mirror, "node \"n1\" can only create pods with an owner reference set to itself").await;
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "other", "controller": true});
    mirror["metadata"]["ownerReferences"] = json!([owner]);
    let current = uid.as_str().unwrap();
    check(&mirror, &format!("node n1 UID mismatch: expected other got {current}")).await;
    mirror["metadata"]["ownerReferences"][0]["uid"] = uid.clone();
    mirror["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "m"}}]);
    check(&mirror, "node \"n1\" can not create pods that reference configmaps").await;
    mirror["spec"]["volumes"] = json!([]);
    harness.allows(node("n1"), "POST", PODS, mirror).await;
}

#[tokio::test]
async fn reviews_know_what_nodes_may() {
    let harness = harness().await;
    bind(&harness, "n1").await;
    let review = |user: &str| {
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user,
            "groups": ["system:nodes"],
            "resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "default", "name": "s"}}})
    };
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let own = harness.post(path, review("system:node:n1")).await.expect(201);
    assert_eq!(own["status"], json!({"allowed": true}));
    let other = harness.post(path, review("system:node:n2")).await.expect(201);
    let why = "no relationship found between node 'n2' and this object";
    assert_eq!(other["status"], json!({"allowed": false, "reason": why}));
}
