//! Who gets in, and what the others read.

use super::*;

#[tokio::test]
async fn a_request_without_a_user_is_401() {
    let harness = Harness::new().await;
    let request = Request::builder().uri("/api/v1/pods").body(Body::empty()).unwrap();
    let answer = harness.server.router().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn strangers_read_upstreams_403() {
    let harness = Harness::new().await;
    let get = |user: User, path: &'static str| harness.send(user, "GET", path, &[], Body::empty());
    let answer = get(User::anonymous(), "/api/v1/namespaces/default/pods").await;
    let text = "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    let answer = get(User::new("jane", &[]), "/apis/apps/v1/namespaces/x/deployments/d/status").await;
    let text = "deployments.apps \"d\" is forbidden: User \"jane\" cannot get resource \"deployments/status\" in API group \"apps\" in the namespace \"x\"";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    let answer = get(User::new("jane", &[]), "/api/v1/nodes?watch=true").await;
    assert!(
        answer.status().2.ends_with("cannot watch resource \"nodes\" in API group \"\" at the cluster scope")
    );
    let answer = get(User::anonymous(), "/apis").await;
    assert_eq!(answer.status().2, "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
}

#[tokio::test]
async fn anonymous_may_ask_how_we_are() {
    let harness = Harness::new().await;
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(harness.send(User::anonymous(), "GET", path, &[], Body::empty()).await.expect(200), "ok");
    }
    let verbose = harness.get("/readyz?verbose").await.expect(200);
    assert!(verbose.as_str().unwrap().ends_with("[+]shutdown ok\nreadyz check passed\n"), "{verbose}");
    let version = harness.send(User::anonymous(), "GET", "/version", &[], Body::empty()).await.expect(200);
    assert_eq!(version["major"], "1");
    assert!(version["minor"].as_str().unwrap().parse::<u32>().is_ok());
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let harness = Harness::new().await;
    assert_eq!(harness.get("/api/v1/namespaces/default/gadgets").await.expect(404), "404 page not found\n");
    assert_eq!(harness.get("/nowhere").await.expect(404), "404 page not found\n");
    assert_eq!(harness.get("/apis/apps/v9/deployments").await.code, 404);
    let answer = harness.get("/api/v1/namespaces/default/configmaps/a/scale").await;
    assert_eq!(answer.status(), (404, "NotFound", "the server could not find the requested resource"));
    let text = "the server does not allow this method on the requested resource";
    assert_eq!(harness.post("/api/v1/pods", pod("p")).await.status(), (405, "MethodNotAllowed", text));
    let answer = harness.send(admin(), "OPTIONS", "/api/v1/pods", &[], Body::empty()).await;
    assert_eq!(answer.status(), (405, "MethodNotAllowed", text));
    assert_eq!(harness.post("/version", json!({})).await.code, 405);
}

#[tokio::test]
async fn impersonation_acts_as_the_other() {
    let harness = Harness::new().await;
    let as_jane = [("impersonate-user", "jane")];
    let answer = harness.send(admin(), "GET", "/api/v1/pods", &as_jane, Body::empty()).await;
    assert!(answer.status().2.starts_with("pods is forbidden: User \"jane\""), "{answer:?}");
    let answer = harness.send(User::new("joe", &[]), "GET", "/version", &as_jane, Body::empty()).await;
    let text = "users \"jane\" is forbidden: User \"joe\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope";
    assert_eq!(answer.status(), (403, "Forbidden", text));
    let group_alone = [("impersonate-group", "x")];
    assert_eq!(harness.send(admin(), "GET", "/version", &group_alone, Body::empty()).await.code, 400);
}

#[tokio::test]
async fn too_much_at_once_is_429() {
    let harness = Harness::with(|config| config.limits.writes_in_flight = 0).await;
    let answer = harness.post(CONFIG_MAPS, config_map("a")).await;
    assert_eq!(answer.status(), (429, "TooManyRequests", "Too many requests, please try again later."));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(harness.get(CONFIG_MAPS).await.code, 200);
    let local = harness.server.local(admin());
    let request = Request::builder()
        .method("POST")
        .uri(CONFIG_MAPS)
        .body(Body::from(config_map("a").to_string()))
        .unwrap();
    assert_eq!(local.oneshot(request).await.unwrap().status(), 201);
}

#[tokio::test]
async fn metrics_count_requests() {
    let harness = Harness::new().await;
    harness.get(PODS).await.expect(200);
    let text = harness.get("/metrics").await.expect(200);
    let wanted = "apiserver_request_total{code=\"200\",group=\"\",resource=\"pods\",subresource=\"\",verb=\"list\",version=\"v1\"} 1";
    assert!(text.as_str().unwrap().contains(wanted), "{text}");
}
