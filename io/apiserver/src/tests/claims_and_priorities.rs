//! What a new pod's PriorityClass gives it, and which claims may grow, with upstream's refusals.

use super::*;

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const STORAGE: &str = "/apis/storage.k8s.io/v1/storageclasses";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

fn class(name: &str, value: i64, more: Value) -> Value {
    let mut class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": name}, "value": value});
    for (field, value) in more.as_object().into_iter().flatten() {
        class[field] = value.clone();
    }
    class
}

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn importance(pod: &Value) -> (Option<&str>, Option<i64>, Option<&str>) {
    let spec = &pod["spec"];
    (spec["priorityClassName"].as_str(), spec["priority"].as_i64(), spec["preemptionPolicy"].as_str())
}

#[tokio::test]
async fn a_class_gives_its_value_and_its_policy() {
    let harness = Harness::new().await;
    harness.post(CLASSES, class("high", 1000, json!({"preemptionPolicy": "Never"}))).await.expect(201);
    let high = harness.post(PODS, pod("a", json!({"priorityClassName": "high"}))).await.expect(201);
    assert_eq!(importance(&high), (Some("high"), Some(1000), Some("Never")));
    let plain = harness.post(PODS, pod("b", json!({}))).await.expect(201);
    assert_eq!(importance(&plain), (None, Some(0), Some("PreemptLowerPriority")));
    let system = pod("c", json!({"priorityClassName": "system-node-critical"}));
    let system = harness.post(PODS, system).await.expect(201);
    assert_eq!(importance(&system).1, Some(2_000_001_000));
}

#[tokio::test]
async fn what_no_class_says_is_refused() {
    let harness = Harness::new().await;
    let refused = harness.post(PODS, pod("a", json!({"priorityClassName": "no"}))).await;
    let why = "pods \"a\" is forbidden: no PriorityClass with name no was found";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    let refused = harness.post(PODS, pod("a", json!({"priority": 5}))).await;
    let why = "pods \"a\" is forbidden: the integer value of priority (5) must not be provided in pod spec; \
               priority admission controller computed 0 from the given PriorityClass name";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    let refused = harness.post(PODS, pod("a", json!({"preemptionPolicy": "Never"}))).await;
    let why = "pods \"a\" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; \
               priority admission controller computed PreemptLowerPriority from the given PriorityClass name";
    assert_eq!(refused.status(), (403, "Forbidden", why));
}

#[tokio::test]
async fn one_class_is_the_default() {
    let harness = Harness::new().await;
    harness.post(CLASSES, class("usual", 10, json!({"globalDefault": true}))).await.expect(201);
    let plain = harness.post(PODS, pod("a", json!({}))).await.expect(201);
    assert_eq!(importance(&plain), (Some("usual"), Some(10), Some("PreemptLowerPriority")));
    let refused = harness.post(CLASSES, class("other", 5, json!({"globalDefault": true}))).await;
    let why = "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as \
               default. Only one default can exist";
    assert_eq!(refused.status(), (403, "Forbidden", why));
}

async fn claim(harness: &Harness, name: &str, class: &str, phase: &str) {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "volumeName": "v",
            "resources": {"requests": {"storage": "1Gi"}}}});
    harness.post(CLAIMS, claim).await.expect(201);
    let status = json!({"status": {"phase": phase, "capacity": {"storage": "1Gi"}}});
    harness.patch(&format!("{CLAIMS}/{name}/status"), "merge-patch", status).await.expect(200);
}

async fn resize(harness: &Harness, name: &str, size: &str) -> Answer {
    let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    harness.patch(&format!("{CLAIMS}/{name}"), "merge-patch", patch).await
}

#[tokio::test]
async fn claims_grow_where_their_class_allows() {
    let harness = Harness::new().await;
    for (name, allows) in [("grows", true), ("stays", false)] {
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": "kelson.dev/local", "allowVolumeExpansion": allows});
        harness.post(STORAGE, class).await.expect(201);
    }
    claim(&harness, "a", "grows", "Bound").await;
    resize(&harness, "a", "2Gi").await.expect(200);
    // Back to less than was asked for, but more than there is: a way out of an expansion that fails.
    resize(&harness, "a", "1500Mi").await.expect(200);
    let refused = resize(&harness, "a", "1Gi").await;
    let why = "PersistentVolumeClaim \"a\" is invalid: spec.resources.requests.storage: Forbidden: field can not be \
               less than status.capacity";
    assert_eq!(refused.status(), (422, "Invalid", why));
    claim(&harness, "b", "stays", "Bound").await;
    let why = "persistentvolumeclaims \"b\" is forbidden: only dynamically provisioned pvc can be resized and the \
               storageclass that provisions the pvc must support resize";
    assert_eq!(resize(&harness, "b", "2Gi").await.status(), (403, "Forbidden", why));
}

#[tokio::test]
async fn an_open_claim_does_not_change() {
    let harness = Harness::new().await;
    claim(&harness, "a", "local-path", "Pending").await;
    let refused = resize(&harness, "a", "2Gi").await;
    let (code, reason, text) = refused.status();
    assert_eq!((code, reason), (422, "Invalid"));
    assert!(text.contains("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"), "{text}");
}
