//! ResourceQuotas and LimitRanges: what is refused in upstream's words, and that nothing gets past a quota.

use super::*;
use futures_util::future::join_all;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const LIMITS: &str = "/api/v1/namespaces/default/limitranges";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

fn quota(name: &str, hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})
}

fn limit_range(items: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": items}})
}

async fn used(harness: &Harness, name: &str) -> Value {
    harness.get(&format!("{QUOTAS}/{name}")).await.expect(200)["status"]["used"].clone()
}

#[tokio::test]
async fn a_quota_counts_what_is_there_and_refuses_what_is_too_much() {
    let harness = Harness::new().await;
    harness.post(PODS, pod("a")).await.expect(201);
    let made = harness.post(QUOTAS, quota("q", json!({"pods": "2"}))).await.expect(201);
    assert_eq!(made["status"], json!({"hard": {"pods": "2"}, "used": {"pods": "1"}}));
    harness.post(PODS, pod("b")).await.expect(201);
    assert_eq!(used(&harness, "q").await, json!({"pods": "2"}));
    let refused = harness.post(PODS, pod("c")).await;
    let why = "pods \"c\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    // Dry runs are refused alike, and count nothing.
    let path = format!("{PODS}?dryRun=All");
    assert_eq!(harness.post(&path, pod("c")).await.code, 403);
    harness
        .patch(&format!("{QUOTAS}/q"), "merge-patch", json!({"spec": {"hard": {"pods": "3"}}}))
        .await
        .expect(200);
    harness.post(&path, pod("c")).await.expect(201);
    assert_eq!(used(&harness, "q").await, json!({"pods": "2"}));
    // Other namespaces are their own.
    let elsewhere = PODS.replace("default", "kube-public");
    for name in ["x", "y", "z", "w"] {
        harness.post(&elsewhere, pod(name)).await.expect(201);
    }
}

#[tokio::test]
async fn what_a_quota_limits_must_be_said() {
    let harness = Harness::new().await;
    harness.post(QUOTAS, quota("q", json!({"limits.cpu": "1", "limits.memory": "1Gi"}))).await.expect(201);
    let refused = harness.post(PODS, pod("a")).await;
    let why =
        "pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: c; limits.memory for: c";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    // Where a LimitRange gives it, it is said.
    let given = json!([{"type": "Container", "default": {"cpu": "500m", "memory": "512Mi"}}]);
    harness.post(LIMITS, limit_range(given)).await.expect(201);
    harness.post(PODS, pod("a")).await.expect(201);
    assert_eq!(used(&harness, "q").await, json!({"limits.cpu": "500m", "limits.memory": "512Mi"}));
}

/// The status cannot be talked into anything: it is counted.
#[tokio::test]
async fn a_status_is_what_is_counted() {
    let harness = Harness::new().await;
    harness.post(QUOTAS, quota("q", json!({"pods": "1", "configmaps": "5"}))).await.expect(201);
    harness.post(PODS, pod("a")).await.expect(201);
    let at = format!("{QUOTAS}/q/status");
    let lie = json!({"status": {"hard": {"pods": "9"}, "used": {"pods": "0", "configmaps": "0"}}});
    let told = harness.patch(&at, "merge-patch", lie.clone()).await.expect(200);
    let truth = json!({"hard": {"pods": "1", "configmaps": "5"}, "used": {"pods": "1", "configmaps": "0"}});
    assert_eq!(told["status"], truth);
    let version = told["metadata"]["resourceVersion"].clone();
    // Nothing new is nothing written.
    let again = harness.patch(&at, "merge-patch", lie.clone()).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], version);
    harness.delete(&format!("{PODS}/a"), json!({"gracePeriodSeconds": 0})).await.expect(200);
    let told = harness.patch(&at, "merge-patch", lie).await.expect(200);
    assert_eq!(told["status"]["used"]["pods"], "0");
}

/// Fifty at once against ten, several times over: exactly ten are let in, and the quota says so at every moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_once_is_no_way_past() {
    let harness = Arc::new(Harness::new().await);
    harness.post(QUOTAS, quota("q", json!({"pods": "10", "count/pods": "10"}))).await.expect(201);
    harness.post(QUOTAS, quota("r", json!({"count/pods": "1000"}))).await.expect(201);
    for round in 1..=3_usize {
        let names: Vec<String> = (0..50).map(|number| format!("p{round}-{number}")).collect();
        let post = |name: &String| {
            let (harness, pod) = (harness.clone(), pod(name));
            tokio::spawn(async move { harness.post(PODS, pod).await })
        };
        let answers: Vec<Answer> =
            join_all(names.iter().map(post)).await.into_iter().map(Result::unwrap).collect();
        let made = answers.iter().filter(|answer| answer.code == 201).count();
        assert_eq!(made, 10, "round {round}");
        for answer in answers.iter().filter(|answer| answer.code != 201) {
            let (code, reason, text) = answer.status();
            assert_eq!((code, reason), (403, "Forbidden"), "{text}");
            assert!(text.contains("exceeded quota: q, requested: "), "{text}");
        }
        assert_eq!(used(&harness, "q").await, json!({"pods": "10", "count/pods": "10"}));
        assert_eq!(used(&harness, "r").await, json!({"count/pods": "10"}));
        let there = harness.get(PODS).await.expect(200)["items"].as_array().unwrap().clone();
        assert_eq!(there.len(), 10);
        for pod in there {
            let name = pod["metadata"]["name"].as_str().unwrap();
            harness.delete(&format!("{PODS}/{name}"), json!({"gracePeriodSeconds": 0})).await.expect(200);
        }
        for name in ["q", "r"] {
            let status = json!({"status": {"used": {"count/pods": "0"}}});
            harness.patch(&format!("{QUOTAS}/{name}/status"), "merge-patch", status).await.expect(200);
        }
    }
}

/// A quota that is made while pods are: what it counts is what there is, whoever came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_made_meanwhile_misses_nobody() {
    let harness = Harness::new().await;
    for round in 0..5 {
        let name = format!("q{round}");
        let hard = json!({"count/configmaps": "100"});
        let maps = (0..20).map(|number| {
            let map = config_map(&format!("m{round}-{number}"));
            async { drop(harness.post(CONFIG_MAPS, map).await.expect(201)) }
        });
        let making = async { drop(harness.post(QUOTAS, quota(&name, hard)).await.expect(201)) };
        futures_util::join!(join_all(maps), making);
        let there = harness.get(CONFIG_MAPS).await.expect(200)["items"].as_array().unwrap().len();
        assert_eq!(used(&harness, &name).await, json!({"count/configmaps": there.to_string()}));
    }
}

#[tokio::test]
async fn a_service_that_takes_more_is_asked() {
    let harness = Harness::new().await;
    let hard = json!({"services.nodeports": "1", "services": "5", "count/services": "5"});
    harness.post(QUOTAS, quota("q", hard)).await.expect(201);
    harness.post(SERVICES, service("a")).await.expect(201);
    let node_port = json!({"spec": {"type": "NodePort"}});
    harness.patch(&format!("{SERVICES}/a"), "merge-patch", node_port.clone()).await.expect(200);
    assert_eq!(used(&harness, "q").await["services.nodeports"], "1");
    harness.post(SERVICES, service("b")).await.expect(201);
    let refused = harness.patch(&format!("{SERVICES}/b"), "merge-patch", node_port).await;
    let why = "services \"b\" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, \
               limited: services.nodeports=1";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    // The Service kubernetes counts as well: a quota that comes later counts what was there.
    assert_eq!(used(&harness, "q").await["services"], "3");
}

#[tokio::test]
async fn quotas_are_objects_too() {
    let harness = Harness::new().await;
    let made = harness.post(QUOTAS, quota("q", json!({"resourcequotas": "2"}))).await.expect(201);
    assert_eq!(made["status"]["used"]["resourcequotas"], "1");
    harness.post(QUOTAS, quota("r", json!({"count/deployments.apps": "1"}))).await.expect(201);
    let refused = harness.post(QUOTAS, quota("s", json!({"pods": "1"}))).await;
    let why = "resourcequotas \"s\" is forbidden: exceeded quota: q, requested: resourcequotas=1, used: resourcequotas=2, \
               limited: resourcequotas=2";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    harness.post(DEPLOYMENTS, deployment("d")).await.expect(201);
    let refused = harness.post(DEPLOYMENTS, deployment("e")).await;
    let why = "deployments.apps \"e\" is forbidden: exceeded quota: r, requested: count/deployments.apps=1, used: \
               count/deployments.apps=1, limited: count/deployments.apps=1";
    assert_eq!(refused.status(), (403, "Forbidden", why));
}

#[tokio::test]
async fn limits_hold_pods_and_claims() {
    let harness = Harness::new().await;
    let items = json!([{"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]);
    harness.post(LIMITS, limit_range(items)).await.expect(201);
    let mut small = pod("a");
    small["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "50m"}});
    let refused = harness.post(PODS, small).await;
    let why = "pods \"a\" is forbidden: minimum cpu usage per Container is 100m, but request is 50m";
    assert_eq!(refused.status(), (403, "Forbidden", why));
    let given = harness.post(PODS, pod("a")).await.expect(201);
    assert_eq!(
        given["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})
    );
    assert_eq!(
        given["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
    // A limit without a request is the request: what is given by default comes after.
    let mut limited = pod("b");
    limited["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "200m"}});
    let made = harness.post(PODS, limited).await.expect(201);
    assert_eq!(made["spec"]["containers"][0]["resources"]["requests"]["cpu"], "200m");
    assert_eq!(made["metadata"]["annotations"], Value::Null);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "big"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}});
    let refused = harness.post(CLAIMS, claim).await;
    let why = "persistentvolumeclaims \"big\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but \
               request is 2Gi";
    assert_eq!(refused.status(), (403, "Forbidden", why));
}

#[tokio::test]
async fn storage_is_limited_by_class_also_when_claims_grow() {
    let harness = Harness::new().await;
    let of_class = "gold.storageclass.storage.k8s.io/requests.storage";
    harness.post(QUOTAS, quota("q", json!({of_class: "3Gi"}))).await.expect(201);
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gold"},
        "provisioner": "a.b/c", "allowVolumeExpansion": true});
    harness.post("/apis/storage.k8s.io/v1/storageclasses", class).await.expect(201);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec":
        {"accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "volumeName": "v",
            "resources": {"requests": {"storage": "1Gi"}}}});
    harness.post(CLAIMS, claim).await.expect(201);
    let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    harness.patch(&format!("{CLAIMS}/c/status"), "merge-patch", bound).await.expect(200);
    let size = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let refused = harness.patch(&format!("{CLAIMS}/c"), "merge-patch", size("4Gi")).await;
    let why = format!(
        "persistentvolumeclaims \"c\" is forbidden: exceeded quota: q, requested: {of_class}=3Gi, used: {of_class}=1Gi, \
         limited: {of_class}=3Gi"
    );
    assert_eq!(refused.status(), (403, "Forbidden", why.as_str()));
    harness.patch(&format!("{CLAIMS}/c"), "merge-patch", size("3Gi")).await.expect(200);
    assert_eq!(used(&harness, "q").await, json!({of_class: "3Gi"}));
}

#[tokio::test]
async fn columns_are_upstreams() {
    let harness = Harness::new().await;
    harness.post(QUOTAS, quota("q", json!({"pods": "2", "limits.cpu": "1"}))).await.expect(201);
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = harness.send(admin(), "GET", QUOTAS, &accept, Body::empty()).await.expect(200);
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Request", "Limit", "Age"]);
    assert_eq!(
        table["rows"][0]["cells"].as_array().unwrap()[..3],
        [json!("q"), json!("pods: 0/2"), json!("limits.cpu: 0/1")]
    );
}
