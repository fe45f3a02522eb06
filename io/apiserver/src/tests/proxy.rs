//! `services/NAME/proxy` and `pods/NAME/proxy`: what is refused, in upstream's words, before anything is connected.

use super::*;

#[track_caller]
fn check(answer: Answer, expected: (u16, &str, &str)) {
    assert_eq!(answer.status(), expected);
}

async fn cluster() -> Harness {
    let harness = Harness::new().await;
    harness.post(SERVICES, service("web")).await.expect(201);
    harness.post(PODS, pod("p")).await.expect(201);
    harness
}

async fn endpoints(harness: &Harness, address: Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": { "name": "web" },
        "subsets": [{ "addresses": [address], "ports": [{ "port": 8080 }] }],
    });
    harness.post("/api/v1/namespaces/default/endpoints", object).await.expect(201);
}

#[tokio::test]
async fn services_that_lead_nowhere_say_so() {
    let harness = cluster().await;
    let get = async |path: &str| harness.get(&format!("{SERVICES}/{path}")).await;
    const BUSY: &str = "ServiceUnavailable";
    check(get("web/proxy/").await, (404, "NotFound", "endpoints \"web\" not found"));
    check(get("none:80/proxy/").await, (404, "NotFound", "services \"none\" not found"));
    check(get("web:81/proxy/").await, (503, BUSY, "no service port 81 found for service \"web\""));
    check(get("ftp:web:80/proxy/").await, (400, "BadRequest", "invalid service request \"ftp:web:80\""));
    endpoints(&harness, json!({ "ip": "10.244.0.5" })).await;
    check(get("web/proxy/").await, (503, BUSY, "no endpoints available for service \"web\""));
    check(get("web:80/proxy/").await, (503, BUSY, "no endpoints available for service \"web:80\""));
}

/// Who may write Endpoints cannot make the server ask an address that is no pod's.
#[tokio::test]
async fn endpoints_that_only_claim_to_be_a_pods_are_not_asked() {
    let harness = cluster().await;
    let target = json!({ "kind": "Pod", "namespace": "default", "name": "p" });
    endpoints(&harness, json!({ "ip": "192.0.2.9", "targetRef": target })).await;
    let answer = harness.get(&format!("{SERVICES}/web/proxy/")).await;
    check(answer, (503, "ServiceUnavailable", "no endpoints available for service \"web\""));
}

#[tokio::test]
async fn pods_without_an_address_are_not_asked() {
    let harness = cluster().await;
    let get = async |path: &str| harness.get(&format!("{PODS}/{path}")).await;
    check(get("p/proxy/").await, (400, "BadRequest", "address not allowed"));
    check(get("none/proxy/").await, (404, "NotFound", "pods \"none\" not found"));
    check(get("a:b:c:d/proxy/").await, (400, "BadRequest", "invalid pod request \"a:b:c:d\""));
    let status = json!({ "status": { "podIP": "127.0.0.1", "podIPs": [{ "ip": "127.0.0.1" }] } });
    harness.patch(&format!("{PODS}/p/status"), "merge-patch", status).await.expect(200);
    check(get("p/proxy/").await, (400, "BadRequest", "address not allowed"));
}

#[tokio::test]
async fn it_is_a_right_of_its_own_with_the_verb_of_the_method() {
    let harness = cluster().await;
    let user = User::new("jane", &[]);
    for (method, verb) in [("GET", "get"), ("POST", "create"), ("DELETE", "delete")] {
        let path = format!("{SERVICES}/web/proxy/x");
        let answer = harness.send(user.clone(), method, &path, &[], Body::empty()).await;
        let refused = format!(
            "services \"web\" is forbidden: User \"jane\" cannot {verb} resource \"services/proxy\" in API group \"\" in the namespace \"default\""
        );
        check(answer, (403, "Forbidden", &refused));
    }
}
