//! Services through the API: addresses and ports are handed out once, and given back (spec A1, A5, A6, A11).

use super::*;

fn node_port(name: &str, port: u16) -> Value {
    let mut object = service(name);
    object["spec"]["type"] = "NodePort".into();
    object["spec"]["ports"][0]["nodePort"] = port.into();
    object
}

#[tokio::test]
async fn a11_the_service_kubernetes_is_there_with_its_endpoints() {
    let harness = Harness::new().await;
    let found = harness.get(&format!("{SERVICES}/kubernetes")).await.expect(200);
    assert_eq!(
        (&found["spec"]["clusterIP"], &found["spec"]["clusterIPs"]),
        (&json!("10.96.0.1"), &json!(["10.96.0.1"]))
    );
    assert_eq!(found["metadata"]["labels"], json!({"component": "apiserver", "provider": "kubernetes"}));
    let port = &found["spec"]["ports"][0];
    assert_eq!(
        (&port["name"], &port["port"], &port["targetPort"]),
        (&json!("https"), &json!(443), &json!(6443))
    );
    let endpoints = harness.get("/api/v1/namespaces/default/endpoints/kubernetes").await.expect(200);
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "192.0.2.1");
    let slice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";
    assert_eq!(harness.get(slice).await.expect(200)["endpoints"][0]["addresses"], json!(["192.0.2.1"]));
    let namespaces = harness.get("/api/v1/namespaces").await.expect(200);
    assert_eq!(namespaces["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a11_1_what_is_deleted_comes_back_and_edits_stay() {
    let harness = Harness::new().await;
    let before = harness.server.core.store.revision();
    crate::bootstrap::ensure(&harness.server.core).await.unwrap();
    assert_eq!(harness.server.core.store.revision(), before, "nothing is written while nothing is missing");
    harness
        .patch(
            &format!("{SERVICES}/kubernetes"),
            "merge-patch",
            json!({"metadata": {"labels": {"mine": "yes"}}}),
        )
        .await
        .expect(200);
    harness.delete("/api/v1/namespaces/default/endpoints/kubernetes", Value::Null).await.expect(200);
    crate::bootstrap::ensure(&harness.server.core).await.unwrap();
    harness.get("/api/v1/namespaces/default/endpoints/kubernetes").await.expect(200);
    assert_eq!(
        harness.get(&format!("{SERVICES}/kubernetes")).await.expect(200)["metadata"]["labels"]["mine"],
        "yes"
    );
    harness.delete(&format!("{SERVICES}/kubernetes"), Value::Null).await.expect(200);
    crate::bootstrap::ensure(&harness.server.core).await.unwrap();
    let again = harness.get(&format!("{SERVICES}/kubernetes")).await.expect(200);
    assert_eq!(
        (&again["spec"]["clusterIP"], again["metadata"]["labels"].get("mine")),
        (&json!("10.96.0.1"), None)
    );
}

#[tokio::test]
async fn a5_4_an_address_is_handed_out_once_and_given_back() {
    let harness = Harness::new().await;
    let mut one = service("one");
    one["spec"]["clusterIP"] = "10.96.7.7".into();
    harness.post(SERVICES, one.clone()).await.expect(201);
    one["metadata"]["name"] = "two".into();
    let taken = harness.post(SERVICES, one.clone()).await;
    let text = "Service \"two\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.7.7\"]: failed to allocate IP 10.96.7.7: provided IP is already allocated";
    assert_eq!(taken.status(), (422, "Invalid", text));
    assert_eq!(harness.get(&format!("{SERVICES}/two")).await.code, 404);
    harness.delete(&format!("{SERVICES}/one"), Value::Null).await.expect(200);
    harness.post(SERVICES, one).await.expect(201);
}

#[tokio::test]
async fn a5_6_a_full_range_says_so_and_every_address_was_used() {
    let harness = Harness::with(|config| config.service_cidr = "10.96.0.0/28".into()).await;
    let mut seen = std::collections::BTreeSet::from(["10.96.0.1".to_owned()]);
    for i in 0..13 {
        let made = harness.post(SERVICES, service(&format!("s{i}"))).await.expect(201);
        assert!(seen.insert(made["spec"]["clusterIP"].as_str().unwrap().to_owned()));
    }
    let full = harness.post(SERVICES, service("more")).await;
    assert_eq!(full.code, 500);
    assert!(full.status().2.contains("failed to allocate a serviceIP: range is full"), "{full:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn services_made_at_once_never_share() {
    let harness = Arc::new(Harness::with(|config| config.service_cidr = "10.96.0.0/27".into()).await);
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..29 {
        let harness = harness.clone();
        tasks.spawn(async move {
            harness.post(SERVICES, service(&format!("s{i}"))).await.expect(201)["spec"]["clusterIP"].clone()
        });
    }
    let mut seen: Vec<Value> = tasks.join_all().await;
    seen.sort_by_key(|ip| ip.to_string());
    seen.dedup();
    assert_eq!(seen.len(), 29);
}

#[tokio::test]
async fn a6_node_ports_are_taken_once_and_released_by_an_update() {
    let harness = Harness::new().await;
    harness.post(SERVICES, node_port("a", 30080)).await.expect(201);
    let taken = harness.post(SERVICES, node_port("b", 30080)).await;
    assert!(
        taken
            .status()
            .2
            .contains("spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"),
        "{taken:?}"
    );
    harness
        .patch(&format!("{SERVICES}/a"), "merge-patch", json!({"spec": {"type": "ClusterIP"}}))
        .await
        .expect(200);
    harness.post(SERVICES, node_port("b", 30080)).await.expect(201);
    let back = harness
        .patch(
            &format!("{SERVICES}/a"),
            "merge-patch",
            json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}}),
        )
        .await;
    assert_eq!(back.code, 422, "{back:?}");
}

#[tokio::test]
async fn a6_13_dry_runs_take_nothing() {
    let harness = Harness::new().await;
    harness.post(&format!("{SERVICES}?dryRun=All"), node_port("a", 30080)).await.expect(201);
    harness.post(SERVICES, node_port("b", 30080)).await.expect(201);
    assert_eq!(harness.post(&format!("{SERVICES}?dryRun=All"), node_port("c", 30080)).await.code, 422);
}

#[tokio::test]
async fn a1_14_endpoints_go_with_their_service() {
    let harness = Harness::new().await;
    harness.post(SERVICES, service("s")).await.expect(201);
    let endpoints = "/api/v1/namespaces/default/endpoints";
    let object = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s"}, "subsets": []});
    harness.post(endpoints, object).await.expect(201);
    let before = harness.get(&format!("{SERVICES}/s")).await.expect(200);
    let gone = harness.delete(&format!("{SERVICES}/s"), Value::Null).await.expect(200);
    assert_eq!((&gone["kind"], &gone["metadata"]["uid"]), (&json!("Service"), &before["metadata"]["uid"]));
    assert_eq!(harness.get(&format!("{endpoints}/s")).await.code, 404);
}

#[tokio::test]
async fn a1_15_finalizers_keep_the_address() {
    let harness = Harness::new().await;
    let mut held = service("s");
    held["metadata"]["finalizers"] = json!(["service.kubernetes.io/load-balancer-cleanup"]);
    held["spec"]["clusterIP"] = "10.96.7.7".into();
    harness.post(SERVICES, held).await.expect(201);
    harness.delete(&format!("{SERVICES}/s"), Value::Null).await.expect(200);
    let mut other = service("t");
    other["spec"]["clusterIP"] = "10.96.7.7".into();
    assert_eq!(harness.post(SERVICES, other.clone()).await.code, 422);
    harness
        .patch(&format!("{SERVICES}/s"), "merge-patch", json!({"metadata": {"finalizers": []}}))
        .await
        .expect(200);
    harness.post(SERVICES, other).await.expect(201);
}

#[tokio::test]
async fn claims_outlive_a_restart() {
    let harness = Harness::new().await;
    let mut one = service("one");
    one["spec"]["clusterIP"] = "10.96.7.7".into();
    harness.post(SERVICES, one.clone()).await.expect(201);
    let Harness { server, dir } = harness;
    drop(server);
    let harness = Harness::open(dir, |_| {}).await;
    one["metadata"]["name"] = "two".into();
    assert_eq!(harness.post(SERVICES, one).await.code, 422);
    assert_eq!(harness.get(&format!("{SERVICES}/one")).await.code, 200);
}

#[tokio::test]
async fn a5_3_in_a_busy_range_nothing_is_picked_twice_and_what_is_there_is_told_first() {
    let harness = Harness::with(|config| config.service_cidr = "10.96.0.0/24".into()).await;
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..200 {
        let made = harness.post(SERVICES, service(&format!("s{i}"))).await.expect(201);
        assert!(seen.insert(made["spec"]["clusterIP"].as_str().unwrap().to_owned()));
    }
    // Its own address is held by itself, which is no reason to refuse a change of something else.
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    harness.patch(&format!("{SERVICES}/s7"), "merge-patch", patch).await.expect(200);
    // One that is there is named as such, though what it asks for is taken, too: by itself.
    let mut again = service("s7");
    again["spec"]["clusterIP"] =
        harness.get(&format!("{SERVICES}/s7")).await.expect(200)["spec"]["clusterIP"].clone();
    assert_eq!(harness.post(SERVICES, again).await.status().1, "AlreadyExists");
}
