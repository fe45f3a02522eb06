//! Roles at work: who is let in by a binding, who may give rights away, and what kubectl says of it.

use super::*;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

fn role(name: &str, verbs: Value, resources: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": resources, "verbs": verbs}]})
}

fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]})
}

impl Harness {
    async fn in_default(&self, plural: &str, object: Value) -> Answer {
        self.post(&format!("{RBAC}/namespaces/default/{plural}"), object).await
    }

    async fn as_user(&self, name: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(User::new(name, &[]), method, path, &[], body).await
    }

    /// What `name` may do in `default`.
    async fn can(&self, name: &str, verb: &str, resource: &str) -> bool {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {
            "resourceAttributes": {"namespace": "default", "verb": verb, "resource": resource}}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.as_user(name, "POST", path, review).await.expect(201);
        answer["status"]["allowed"].as_bool().unwrap()
    }
}

#[tokio::test]
async fn a_binding_lets_in_and_its_end_shuts_out() {
    let harness = Harness::new().await;
    assert_eq!(harness.as_user("jane", "GET", PODS, Value::Null).await.code, 403);
    harness.in_default("roles", role("reader", json!(["get", "list"]), json!(["pods"]))).await.expect(201);
    harness.in_default("rolebindings", binding("readers", "Role", "reader", "jane")).await.expect(201);
    harness.as_user("jane", "GET", PODS, Value::Null).await.expect(200);
    assert!(harness.can("jane", "list", "pods").await);
    assert!(!harness.can("jane", "delete", "pods").await);
    assert!(!harness.can("joe", "list", "pods").await);
    let elsewhere = harness.as_user("jane", "GET", "/api/v1/namespaces/kube-system/pods", Value::Null).await;
    let text = "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"kube-system\"";
    assert_eq!(elsewhere.status(), (403, "Forbidden", text));
    harness.delete(&format!("{RBAC}/namespaces/default/roles/reader"), Value::Null).await.expect(200);
    let answer = harness.as_user("jane", "GET", PODS, Value::Null).await;
    let text = "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\": \
                RBAC: role.rbac.authorization.k8s.io \"reader\" not found";
    assert_eq!(answer.status(), (403, "Forbidden", text));
}

#[tokio::test]
async fn nobody_gives_away_what_they_do_not_have() {
    let harness = Harness::new().await;
    harness.in_default("rolebindings", binding("admins", "ClusterRole", "admin", "jane")).await.expect(201);
    let roles = format!("{RBAC}/namespaces/default/roles");
    let own = role("own", json!(["get"]), json!(["pods"]));
    harness.as_user("jane", "POST", &roles, own).await.expect(201);
    let more = role("more", json!(["get", "use"]), json!(["nodes"]));
    let answer = harness.as_user("jane", "POST", &roles, more.clone()).await;
    let text = "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
                attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], \
                Verbs:[\"get\" \"use\"]}";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let root = binding("root", "ClusterRole", "cluster-admin", "jane");
    let answer = harness.as_user("jane", "POST", &bindings, root).await;
    assert!(answer.status().2.contains(
        "not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs"
    ));
    let absent = harness.as_user("jane", "POST", &bindings, binding("b", "Role", "none", "jane")).await;
    assert_eq!(absent.status(), (404, "NotFound", "role.rbac.authorization.k8s.io \"none\" not found"));
    // Changing a role is checked like making one.
    let patch = json!([{"op": "add", "path": "/rules/0/verbs/-", "value": "use"}]).to_string();
    let media = [("content-type", "application/json-patch+json")];
    let jane = User::new("jane", &[]);
    let answer = harness.send(jane, "PATCH", &format!("{roles}/own"), &media, patch).await;
    assert!(answer.code == 403 && answer.status().2.contains("Verbs:[\"use\"]"), "{answer:?}");
    // Whoever may bind that role may.
    let may_bind = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "binder"},
        "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles", "roles"], "verbs": ["bind", "escalate"]}]});
    harness.in_default("roles", may_bind).await.expect(201);
    harness.in_default("rolebindings", binding("binders", "Role", "binder", "jane")).await.expect(201);
    harness
        .as_user("jane", "POST", &bindings, binding("root", "ClusterRole", "cluster-admin", "joe"))
        .await
        .expect(201);
    harness.as_user("jane", "POST", &roles, more).await.expect(201);
    assert!(harness.can("joe", "delete", "secrets").await);
}

#[tokio::test]
async fn aggregated_roles_take_in_what_is_labelled_for_them() {
    let harness = Harness::new().await;
    let roles = format!("{RBAC}/clusterroles");
    let admin = harness.get(&format!("{roles}/admin")).await.expect(200);
    assert_eq!(admin["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"], "true");
    assert_eq!(admin["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults");
    assert!(admin["rules"].as_array().unwrap().len() > 20, "edit's and view's rules are gathered: {admin}");
    harness.in_default("rolebindings", binding("viewers", "ClusterRole", "view", "jane")).await.expect(201);
    assert!(!harness.can("jane", "list", "gadgets").await);
    let mut gadgets = role("gadgets", json!(["list"]), json!(["gadgets"]));
    gadgets["kind"] = json!("ClusterRole");
    gadgets["metadata"]["labels"] = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    harness.post(&roles, gadgets).await.expect(201);
    assert!(harness.can("jane", "list", "gadgets").await);
    harness.delete(&format!("{roles}/gadgets"), Value::Null).await.expect(200);
    assert!(!harness.can("jane", "list", "gadgets").await);
}

#[tokio::test]
async fn defaults_are_put_right_when_the_server_starts() {
    let dir = Scratch::new();
    let path = format!("{RBAC}/clusterroles/system:basic-user");
    let harness = Harness::open(dir, |_| {}).await;
    let mut role = harness.get(&path).await.expect(200);
    role["rules"] = json!([{"nonResourceURLs": ["/own"], "verbs": ["get"]}]);
    harness.put(&path, &role).await.expect(200);
    harness.delete(&format!("{RBAC}/clusterrolebindings/system:discovery"), Value::Null).await.expect(200);
    let Harness { server, dir } = harness;
    drop(server);
    let harness = reopened(dir).await;
    let role = harness.get(&path).await.expect(200);
    let rules = role["rules"].as_array().unwrap();
    assert_eq!(rules[0], json!({"nonResourceURLs": ["/own"], "verbs": ["get"]}));
    assert!(rules.len() > 2, "{role}");
    harness.get(&format!("{RBAC}/clusterrolebindings/system:discovery")).await.expect(200);
}

/// The store's writer ends after its last user; until then the file is locked.
async fn reopened(dir: Scratch) -> Harness {
    let path = dir.path().join("store");
    for _ in 0..200 {
        if Embedded::open(&path, kelson_store::Config::default()).is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    Harness::open(dir, |_| {}).await
}

#[tokio::test]
async fn everybody_asks_who_they_are_and_what_they_may() {
    let harness = Harness::new().await;
    let review = |kind: &str, group: &str| json!({"apiVersion": format!("{group}/v1"), "kind": kind});
    let authentication = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let me = harness
        .as_user("jane", "POST", authentication, review("SelfSubjectReview", "authentication.k8s.io"))
        .await;
    let info = json!({"username": "jane", "groups": ["system:authenticated"]});
    assert_eq!(me.expect(201)["status"]["userInfo"], info);
    let mut rules = review("SelfSubjectRulesReview", "authorization.k8s.io");
    rules["spec"] = json!({"namespace": "default"});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let status = harness.as_user("jane", "POST", path, rules).await.expect(201)["status"].clone();
    assert_eq!(status["incomplete"], false);
    assert!(status["resourceRules"].to_string().contains("selfsubjectrulesreviews"), "{status}");
    assert!(status["nonResourceRules"].to_string().contains("/healthz"), "{status}");
    let mut other = review("SubjectAccessReview", "authorization.k8s.io");
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    other["spec"] = json!({"user": "joe", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "get"}});
    assert_eq!(harness.as_user("jane", "POST", path, other.clone()).await.code, 403);
    assert_eq!(harness.post(path, other.clone()).await.expect(201)["status"]["allowed"], true);
    other["spec"] = json!({});
    let text = "SubjectAccessReview.authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: \
                Invalid value: \"\": at least one of user or group must be specified]";
    assert_eq!(harness.post(path, other).await.status(), (422, "Invalid", text));
    let mut local = review("LocalSubjectAccessReview", "authorization.k8s.io");
    local["spec"] =
        json!({"user": "joe", "resourceAttributes": {"namespace": "x", "verb": "get", "resource": "pods"}});
    let path = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    assert!(harness.post(path, local.clone()).await.status().2.contains("must match metadata.namespace"));
    local["spec"]["resourceAttributes"]["namespace"] = json!("default");
    assert_eq!(harness.post(path, local).await.expect(201)["status"]["allowed"], false);
}

#[tokio::test]
async fn a_token_is_issued_reviewed_and_dies_with_its_pod() {
    let harness = Harness::new().await;
    let created = harness.post(PODS, pod("p")).await.expect(201);
    let volumes = created["spec"]["volumes"].as_array().unwrap();
    assert!(volumes[0]["name"].as_str().unwrap().starts_with("kube-api-access-"), "{created}");
    let path = format!("{ACCOUNTS}/default/token");
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": created["metadata"]["uid"]});
    let ask =
        |spec: Value| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    let answer = harness
        .post(&path, ask(json!({"boundObjectRef": bound, "expirationSeconds": 600})))
        .await
        .expect(201);
    assert_eq!((&answer["kind"], &answer["metadata"]["name"]), (&json!("TokenRequest"), &json!("default")));
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    let review = || {
        harness.post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            json!({"apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview", "spec": {"token": token}}),
        )
    };
    let status = review().await.expect(201)["status"].clone();
    assert_eq!(
        (&status["authenticated"], &status["user"]["username"]),
        (&json!(true), &json!("system:serviceaccount:default:default"))
    );
    assert_eq!(status["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    harness.delete(&format!("{PODS}/p"), Value::Null).await.expect(200);
    let status = review().await.expect(201)["status"].clone();
    assert_eq!(
        status,
        json!({"user": {}, "error": "[invalid bearer token, service account token has been invalidated]"})
    );
}

#[tokio::test]
async fn token_requests_that_make_no_sense_are_refused() {
    let harness = Harness::new().await;
    let path = format!("{ACCOUNTS}/default/token");
    let ask = |spec: Value| harness.post(&path, json!({"spec": spec}));
    let text = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a \
                duration less than 10 minutes";
    assert_eq!(ask(json!({"expirationSeconds": 5})).await.status(), (422, "Invalid", text));
    let bound =
        |kind: &str, name: &str| json!({"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name}});
    assert_eq!(ask(bound("Pod", "none")).await.status().2, "pods \"none\" not found");
    let text = "cannot bind token to object of type /v1, Kind=Service";
    assert_eq!(ask(bound("Service", "x")).await.status(), (400, "BadRequest", text));
    harness.post(PODS, pod("p")).await.expect(201);
    harness.post(ACCOUNTS, json!({"metadata": {"name": "bot"}})).await.expect(201);
    let other = harness.post(&format!("{ACCOUNTS}/bot/token"), json!({"spec": bound("Pod", "p")})).await;
    let text =
        "cannot bind token for serviceaccount \"bot\" to pod running with different serviceaccount name.";
    assert_eq!(other.status(), (400, "BadRequest", text));
    let mut stale = bound("Pod", "p");
    stale["boundObjectRef"]["uid"] = json!("old");
    assert_eq!(ask(stale).await.code, 409);
    assert_eq!(harness.as_user("jane", "POST", &path, json!({})).await.code, 403);
    let missing = harness.post(&format!("{ACCOUNTS}/none/token"), json!({})).await;
    assert_eq!(missing.status(), (404, "NotFound", "serviceaccounts \"none\" not found"));
}

#[tokio::test]
async fn pods_need_an_account_and_secrets_of_old_get_a_token() {
    let harness = Harness::new().await;
    let mut robot = pod("p");
    robot["spec"]["serviceAccountName"] = json!("robot");
    let answer = harness.post(PODS, robot.clone()).await;
    let text = "pods \"p\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    let account = json!({"metadata": {"name": "robot"}, "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "s"}]});
    harness.post(ACCOUNTS, account).await.expect(201);
    let created = harness.post(PODS, robot.clone()).await.expect(201);
    assert!(created["spec"]["volumes"].is_null(), "{created}");
    assert_eq!(created["spec"]["imagePullSecrets"], json!([{"name": "s"}]));
    robot["metadata"]["name"] = json!("q");
    robot["spec"]["automountServiceAccountToken"] = json!(true);
    let created = harness.post(PODS, robot).await.expect(201);
    assert_eq!(created["spec"]["volumes"].as_array().map(Vec::len), Some(1));
    let secret = json!({"metadata": {"name": "s", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token"});
    let created = harness.post("/api/v1/namespaces/default/secrets", secret).await.expect(201);
    let token = crate::admission::secret_text(&created, "token").unwrap();
    assert_eq!(crate::admission::secret_text(&created, "namespace").as_deref(), Some("default"));
    assert!(created["metadata"]["annotations"]["kubernetes.io/service-account.uid"].is_string());
    let review = json!({"spec": {"token": token}});
    let answer = harness.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await.expect(201);
    assert_eq!(answer["status"]["user"]["username"], "system:serviceaccount:default:robot");
}

#[tokio::test]
async fn nodes_see_to_their_own_pods() {
    let harness = Harness::new().await;
    let mut uids = Vec::new();
    for (name, node) in [("mine", "n1"), ("other", "n2")] {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!(node);
        uids.push(harness.post(PODS, pod).await.expect(201)["metadata"]["uid"].clone());
    }
    let node = || User::new("system:node:n1", &["system:nodes"]);
    let status = json!({"status": {"phase": "Running"}}).to_string();
    let media = [("content-type", "application/merge-patch+json")];
    let [mine, other] = ["mine", "other"].map(|name| format!("{PODS}/{name}/status"));
    let patch = |path| harness.send(node(), "PATCH", path, &media, status.clone());
    assert_eq!(patch(&mine).await.code, 200);
    let text = "pods \"other\" is forbidden: node \"n1\" can only update pod status for pods with spec.nodeName set to itself";
    assert_eq!(patch(&other).await.status(), (403, "Forbidden", text));
    let delete = harness.send(node(), "DELETE", &format!("{PODS}/other"), &[], Body::empty()).await;
    let text =
        "pods \"other\" is forbidden: node \"n1\" can only delete pods with spec.nodeName set to itself";
    assert_eq!(delete.status(), (403, "Forbidden", text));
    let token = |name: &str, uid: &Value| {
        json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}}})
            .to_string()
    };
    let path = format!("{ACCOUNTS}/default/token");
    assert_eq!(harness.send(node(), "POST", &path, &[], token("mine", &uids[0])).await.code, 201);
    let answer = harness.send(node(), "POST", &path, &[], token("other", &uids[1])).await;
    let text = "serviceaccounts \"default\" is forbidden: node requested token bound to a pod scheduled on a different node";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    assert_eq!(harness.send(node(), "POST", PODS, &[], pod("x").to_string()).await.code, 403);
}

#[tokio::test]
async fn accounts_are_impersonated_as_accounts() {
    let harness = Harness::new().await;
    let headers = [("impersonate-user", "system:serviceaccount:default:default")];
    let answer = harness.send(admin(), "GET", "/openid/v1/jwks", &headers, Body::empty()).await.expect(200);
    assert_eq!(answer["keys"][0]["kty"], "EC");
    let issuer = harness.get("/.well-known/openid-configuration").await.expect(200);
    assert_eq!(issuer["issuer"], "https://kubernetes.default.svc.cluster.local");
    assert_eq!(issuer["jwks_uri"], "https://192.0.2.1:6443/openid/v1/jwks");
    let answer = harness.send(User::new("jane", &[]), "GET", PODS, &headers, Body::empty()).await;
    let text = "serviceaccounts \"default\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API \
                group \"\" in the namespace \"default\"";
    assert_eq!(answer.status(), (403, "Forbidden", text));
}
