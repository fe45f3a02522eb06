//! Quotas and limits with kubectl: what is made, shown and refused, and that what goes makes room.

use std::fs;

use crate::harness::{Cluster, image};

const MANIFEST: &str = r#"
apiVersion: v1
kind: LimitRange
metadata: {name: usual}
spec:
  limits:
  - type: Container
    max: {cpu: "1"}
    min: {cpu: 10m}
    defaultRequest: {cpu: 50m}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "busybox:1.36", imagePullPolicy: IfNotPresent}]
"#;

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_namespace_holds_no_more_than_it_may() {
    let cluster = Cluster::start("quota");
    image::import(&cluster, "busybox:1.36", &["sh", "-c", "trap exit TERM; sleep 3600 & wait"]);
    cluster
        .kubectl("create quota small --hard=pods=3,limits.cpu=5,services=9,count/deployments.apps=1")
        .prints("resourcequota/small created");
    let path = cluster.scratch().join("web.yaml");
    fs::write(&path, MANIFEST).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", path.display()));

    // Three of five come; the set says why the others do not.
    let used = "small count/deployments.apps: 1/1, pods: 3/3, services: 1/9 limits.cpu: 3/5";
    cluster.until("get quota small --no-headers", |text| words(text).starts_with(used));
    cluster.until("get deployment web --no-headers", |text| words(text).starts_with("web 3/5 3 3 "));
    let exceeded = "is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3";
    cluster.until("describe replicaset -l app=web", |text| {
        text.contains("FailedCreate")
            && text.contains("Error creating: pods \"web-")
            && text.contains(exceeded)
    });
    let status = cluster.kubectl(
        "get deployment web -o jsonpath='{.status.conditions[?(@.type==\"ReplicaFailure\")].message}'",
    );
    assert!(status.text.contains(exceeded), "{}", status.text);

    // What people see of it.
    let described = words(&cluster.kubectl("describe quota small").text);
    assert!(described.contains("Resource Used Hard -------- ---- ---- count/deployments.apps 1 1 limits.cpu 3 5 pods 3 3 services 1 9"), "{described}");
    let described = words(&cluster.kubectl("describe limits usual").text);
    assert!(described.contains("Container cpu 10m 1 50m 1 -"), "{described}");
    let described = words(&cluster.kubectl("describe ns default").text);
    assert!(described.contains("Resource Quotas Name: small"), "{described}");
    assert!(described.contains("Resource Limits"), "{described}");
    let pod = cluster.kubectl(
        "get pods -l app=web -o jsonpath='{.items[0].metadata.annotations.kubernetes\\.io/limit-ranger}'",
    );
    pod.prints("LimitRanger plugin set: cpu request for container c; cpu limit for container c");

    // Refusals of kubectl's own.
    let refused = cluster.try_kubectl("create deployment other --image=busybox:1.36");
    let why = "deployments.apps \"other\" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, used: \
               count/deployments.apps=1, limited: count/deployments.apps=1";
    assert!(refused.code != 0 && refused.errors.contains(why), "{}", refused.errors);
    let greedy =
        r#"{"spec":{"containers":[{"name":"c","image":"busybox:1.36","resources":{"limits":{"cpu":"2"}}}]}}"#;
    let refused = cluster.try_kubectl(&format!("run much --image=busybox:1.36 --overrides='{greedy}'"));
    let why = "pods \"much\" is forbidden: maximum cpu usage per Container is 1, but limit is 2";
    assert!(refused.code != 0 && refused.errors.contains(why), "{}", refused.errors);

    // What goes makes room, and a greater quota does, too.
    cluster.kubectl("scale deployment web --replicas=1");
    cluster.until("get quota small --no-headers", |text| words(text).contains("pods: 1/3"));
    cluster.kubectl("patch quota small --type=merge -p '{\"spec\":{\"hard\":{\"pods\":\"4\"}}}'");
    cluster.kubectl("scale deployment web --replicas=4");
    cluster.kubectl("rollout status deployment/web --timeout=60s");
    cluster.until("get quota small --no-headers", |text| words(text).contains("pods: 4/4"));
    cluster.kubectl("delete deployment web");
    let empty = "small count/deployments.apps: 0/1, pods: 0/4, services: 1/9 limits.cpu: 0/5";
    cluster.until("get quota small --no-headers", |text| words(text).starts_with(empty));
    assert!(!cluster.log().contains("lacks a right"), "{}", cluster.log());
}
