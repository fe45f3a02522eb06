//! Logs, exec, attach and port-forward: handed to the node as its kubelet expects them.

use super::*;
use axum::Router;

/// A node that answers with what it was asked.
fn echo() -> Router {
    Router::new().fallback(|request: axum::extract::Request| async move {
        format!("{} {}", request.method(), request.uri())
    })
}

async fn harness() -> Harness {
    let harness = Harness::new().await;
    harness.server.connect_node("n1", echo());
    let mut two = pod("two");
    two["spec"]["containers"] = json!([{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]);
    two["spec"]["initContainers"] = json!([{"name": "i", "image": "x"}]);
    for (object, node) in [(pod("one"), "n1"), (two, "n1"), (pod("lost"), "n2")] {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        harness.post(PODS, object).await.expect(201);
        let binding = json!({"target": {"kind": "Node", "name": node}});
        harness.post(&format!("{PODS}/{name}/binding"), binding).await.expect(201);
    }
    harness.post(PODS, pod("waiting")).await.expect(201);
    harness
}

async fn check(harness: &Harness, method: &str, path: &str, expected: Result<&str, (u16, &str)>) {
    let answer = harness.send(admin(), method, &format!("{PODS}/{path}"), &[], Body::empty()).await;
    match expected {
        Ok(text) => assert_eq!(answer.expect(200), text, "{path}"),
        Err((code, text)) => assert_eq!((answer.status().0, answer.status().2), (code, text), "{path}"),
    }
}

#[tokio::test]
async fn requests_go_on_with_the_kubelets_path_and_the_same_query() {
    let harness = harness().await;
    let logs = "GET /containerLogs/default/one/c?follow=true&tailLines=5";
    check(&harness, "GET", "one/log?follow=true&tailLines=5", Ok(logs)).await;
    let exec = "POST /exec/default/two/b?command=sh&command=-c&command=a%20b&container=b&stdin=true";
    check(&harness, "POST", "two/exec?command=sh&command=-c&command=a%20b&container=b&stdin=true", Ok(exec))
        .await;
    check(&harness, "GET", "one/attach?tty=true", Ok("GET /attach/default/one/c?tty=true")).await;
    check(&harness, "GET", "one/portforward?ports=80", Ok("GET /portForward/default/one?ports=80")).await;
    check(&harness, "GET", "two/log?container=i", Ok("GET /containerLogs/default/two/i?container=i")).await;
}

#[tokio::test]
async fn what_is_not_clear_is_said_in_upstreams_words() {
    let harness = harness().await;
    let choose = "a container name must be specified for pod two, choose one of: [a b] or one of the init containers: [i]";
    check(&harness, "GET", "two/log", Err((400, choose))).await;
    check(&harness, "GET", "one/log?container=x", Err((400, "container x is not valid for pod one"))).await;
    check(
        &harness,
        "POST",
        "waiting/exec?command=sh",
        Err((400, "pod waiting does not have a host assigned")),
    )
    .await;
    check(&harness, "GET", "none/log", Err((404, "pods \"none\" not found"))).await;
    let lost = "error dialing backend: node \"n2\" is not connected";
    check(&harness, "GET", "lost/log", Err((503, lost))).await;
    let answer =
        harness.send(User::new("jane", &[]), "GET", &format!("{PODS}/one/log"), &[], Body::empty()).await;
    assert!(answer.status().2.contains("cannot get resource \"pods/log\""), "{answer:?}");
}

#[tokio::test]
async fn a_nodes_own_api_is_reached_through_its_proxy() {
    let harness = Harness::new().await;
    harness.server.connect_node("n1", echo());
    for name in ["n1", "n2"] {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
        harness.post("/api/v1/nodes", node).await.expect(201);
    }
    let get = async |user: User, path: &str| {
        harness.send(user, "GET", &format!("/api/v1/nodes/{path}"), &[], Body::empty()).await
    };
    assert_eq!(get(admin(), "n1/proxy/pods?a=b").await.expect(200), "GET /pods?a=b");
    assert_eq!(get(admin(), "https:n1:10250/proxy/a/b/").await.expect(200), "GET /a/b/");
    let moved = get(admin(), "n1/proxy").await;
    assert_eq!((moved.code, &moved.headers["location"]), (301, &"/api/v1/nodes/n1/proxy/".parse().unwrap()));
    assert_eq!(get(admin(), "n3/proxy/pods").await.status(), (404, "NotFound", "nodes \"n3\" not found"));
    let lost = "error dialing backend: node \"n2\" is not connected";
    assert_eq!(get(admin(), "n2/proxy/pods").await.status(), (503, "ServiceUnavailable", lost));
    assert_eq!(get(admin(), "n1:22/proxy/").await.code, 400);
    let refused = get(User::new("jane", &[]), "n1/proxy/pods").await;
    let text = "nodes \"n1\" is forbidden: User \"jane\" cannot get resource \"nodes/proxy\" in API group \"\" at the \
                cluster scope";
    assert_eq!(refused.status(), (403, "Forbidden", text));
}
