//! What objects use, by the names quotas have for it.

use super::*;
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn told(used: &Amounts) -> String {
    let told = used.iter().map(|(name, amount)| format!("{name}={amount}"));
    told.collect::<Vec<_>>().join(" ")
}

fn check_pod(pod: Value, expected: &str) {
    let typed: Pod = serde_json::from_value(pod.clone()).unwrap();
    let used = usage(&Subject::Pod(&typed), at(1000));
    assert_eq!(told(&used), expected, "{pod}");
    assert!(used.keys().all(|name| concerns(&Subject::Pod(&typed), name)), "{used:?}");
}

fn pod(containers: Value, status: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": containers}, "status": status})
}

fn container(requests: Value, limits: Value) -> Value {
    json!({"name": "c", "resources": {"requests": requests, "limits": limits}})
}

#[test]
fn pods_use_requests_and_limits() {
    check_pod(pod(json!([{"name": "c"}]), json!({})), "count/pods=1 pods=1");
    let two = json!([
        container(json!({"cpu": "100m", "memory": "1Gi"}), json!({"cpu": "1"})),
        container(json!({"cpu": "1"}), json!({"cpu": "1", "ephemeral-storage": "1G"}))
    ]);
    check_pod(
        pod(two, json!({})),
        "count/pods=1 cpu=1100m limits.cpu=2 limits.ephemeral-storage=1G memory=1Gi pods=1 \
         requests.cpu=1100m requests.memory=1Gi",
    );
    let special = json!([container(
        json!({"hugepages-2Mi": "4Mi", "example.com/gpu": "2"}),
        json!({"hugepages-2Mi": "4Mi", "example.com/gpu": "2"})
    )]);
    check_pod(
        pod(special, json!({})),
        "count/pods=1 hugepages-2Mi=4Mi pods=1 requests.example.com/gpu=2 requests.hugepages-2Mi=4Mi",
    );
}

#[test]
fn starting_counts_where_it_is_more_and_sidecars_always() {
    let asking = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
    let sidecar = |cpu: &str| {
        let mut sidecar = asking("s", cpu);
        sidecar["restartPolicy"] = "Always".into();
        sidecar
    };
    let check = |init: Value, expected: &str| {
        let mut pod = pod(json!([asking("c", "1")]), json!({}));
        pod["spec"]["initContainers"] = init;
        check_pod(pod, &format!("count/pods=1 cpu={expected} pods=1 requests.cpu={expected}"));
    };
    check(json!([asking("i", "500m")]), "1");
    check(json!([asking("i", "3"), asking("j", "2")]), "3");
    check(json!([sidecar("500m")]), "1500m");
    check(json!([asking("i", "2"), sidecar("500m")]), "2");
    check(json!([sidecar("500m"), asking("i", "2")]), "2500m");
    let mut whole = pod(json!([asking("c", "1")]), json!({}));
    whole["spec"]["resources"] = json!({"requests": {"cpu": "4"}});
    whole["spec"]["overhead"] = json!({"cpu": "250m"});
    check_pod(whole, "count/pods=1 cpu=4250m pods=1 requests.cpu=4250m");
}

#[test]
fn what_has_ended_uses_its_place_alone() {
    let asking = || json!([container(json!({"cpu": "1"}), json!({}))]);
    for phase in ["Failed", "Succeeded"] {
        check_pod(pod(asking(), json!({"phase": phase})), "count/pods=1");
    }
    let going = |at: i64, grace: i64| {
        let mut pod = pod(asking(), json!({"phase": "Running"}));
        pod["metadata"]["deletionTimestamp"] = json!(self::at(at));
        pod["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        pod
    };
    let all = "count/pods=1 cpu=1 pods=1 requests.cpu=1";
    check_pod(going(990, 30), all);
    check_pod(going(970, 30), all);
    check_pod(going(969, 30), "count/pods=1");
}

#[test]
fn services_use_node_ports_and_balancers() {
    let check = |spec: Value, expected: [&str; 2]| {
        let service: Service = serde_json::from_value(json!({ "spec": spec })).unwrap();
        let used = told(&usage(&Subject::Service(&service), at(0)));
        let [balancers, ports] = expected;
        let whole = format!(
            "count/services=1 services=1 services.loadbalancers={balancers} services.nodeports={ports}"
        );
        assert_eq!(used, whole, "{spec}");
    };
    let ports = json!([{"port": 80}, {"port": 81, "nodePort": 30000}]);
    check(json!({"type": "ClusterIP", "ports": ports}), ["0", "0"]);
    check(json!({"type": "NodePort", "ports": ports}), ["0", "2"]);
    check(json!({"type": "LoadBalancer", "ports": ports}), ["1", "2"]);
    check(
        json!({"type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": false}),
        ["1", "1"],
    );
}

#[test]
fn claims_use_storage_of_their_class() {
    let check = |spec: Value, status: Value, expected: &str| {
        let claim = json!({"spec": spec, "status": status});
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
        let used = usage(&Subject::Claim(&claim), at(0));
        assert_eq!(told(&used), expected, "{spec}");
        assert!(used.keys().all(|name| concerns(&Subject::Claim(&claim), name)), "{used:?}");
    };
    let size = |size: &str| json!({"requests": {"storage": size}});
    check(
        json!({"resources": size("1Gi")}),
        json!({}),
        "count/persistentvolumeclaims=1 persistentvolumeclaims=1 requests.storage=1Gi",
    );
    check(
        json!({"resources": size("1500m"), "storageClassName": "gold"}),
        json!({}),
        "count/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 \
         gold.storageclass.storage.k8s.io/requests.storage=2 persistentvolumeclaims=1 requests.storage=2",
    );
    check(
        json!({"resources": size("1Gi")}),
        json!({"allocatedResources": {"storage": "2Gi"}}),
        "count/persistentvolumeclaims=1 persistentvolumeclaims=1 requests.storage=2Gi",
    );
}

#[test]
fn other_kinds_are_counted() {
    let check = |group: &str, plural: &str, expected: &str| {
        assert_eq!(told(&usage(&Subject::Other { group, plural }, at(0))), expected);
    };
    check("", "secrets", "count/secrets=1 secrets=1");
    check("apps", "deployments", "count/deployments.apps=1");
    check("", "serviceaccounts", "count/serviceaccounts=1");
    check("example.com", "secrets", "count/secrets.example.com=1");
}
