//! `pods/NAME/ephemeralcontainers`: a container added to a pod, as `kubectl debug` asks for it.

use super::*;

#[tokio::test]
async fn a_container_is_added_by_patch_and_by_put() {
    let harness = Harness::new().await;
    harness.post(PODS, pod("web")).await.expect(201);
    let path = format!("{PODS}/web/ephemeralcontainers");
    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debugger-x", "image": "busybox:1.36", "stdin": true,
        "tty": true, "targetContainerName": "c"}]}});
    let patched = harness.patch(&path, "strategic-merge-patch", debug).await.expect(200);
    let added = &patched["spec"]["ephemeralContainers"][0];
    assert_eq!(added["terminationMessagePolicy"], "File");
    assert_eq!(added["imagePullPolicy"], "IfNotPresent");
    let mut object = harness.get(&path).await.expect(200);
    let second = json!({"name": "second", "image": "busybox:1.36"});
    object["spec"]["ephemeralContainers"].as_array_mut().unwrap().push(second);
    object["spec"]["containers"][0]["image"] = "other".into();
    let put = harness.put(&path, &object).await.expect(200);
    assert_eq!(put["spec"]["ephemeralContainers"].as_array().map(Vec::len), Some(2));
    assert_eq!(put["spec"]["containers"][0]["image"], "nginx");
    object = put;
    object["spec"]["ephemeralContainers"] = json!([]);
    let text = "Pod \"web\" is invalid: [spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debugger-x\" \
                may not be removed\n, spec.ephemeralContainers: Forbidden: existing ephemeral containers \"second\" may \
                not be removed\n]";
    assert_eq!(harness.put(&path, &object).await.status(), (422, "Invalid", text));
    // The pod itself is still writable, and keeps them.
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    let pod = harness.patch(&format!("{PODS}/web"), "merge-patch", labelled).await.expect(200);
    assert_eq!(pod["spec"]["ephemeralContainers"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn pods_are_not_made_with_them() {
    let harness = Harness::new().await;
    let mut with = pod("web");
    with["spec"]["ephemeralContainers"] = json!([{"name": "x", "image": "busybox"}]);
    let text = "Pod \"web\" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create";
    assert_eq!(harness.post(PODS, with).await.status(), (422, "Invalid", text));
}
