//! Disruption budgets: what `kubectl get pdb` shows, and that `kubectl drain` keeps to them.

use std::fs;

use crate::harness::{Cluster, image};

const IMAGE: &str = "busybox:1.36";

const MANIFEST: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: "busybox:1.36", imagePullPolicy: IfNotPresent}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: web}}
"#;

#[test]
fn a_drain_keeps_to_the_budget() {
    let cluster = Cluster::start("budgets");
    image::import(&cluster, IMAGE, &["sh", "-c", "trap exit TERM; sleep 3600 & wait"]);
    let path = cluster.scratch().join("web.yaml");
    fs::write(&path, MANIFEST).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", path.display()));
    cluster.kubectl("rollout status deployment/web --timeout=60s");
    let row = |allowed: &str| format!("web 2 N/A {allowed}");
    let shows = |wanted: String| {
        move |text: &str| text.split_whitespace().take(4).collect::<Vec<_>>().join(" ") == wanted
    };
    cluster.until("get pdb web --no-headers", shows(row("0")));
    let described = cluster.kubectl("describe pdb web").text;
    for line in
        ["Min available:  2", "Allowed disruptions:  0", "Current:              2", "Desired:              2"]
    {
        assert!(described.contains(line), "{line} is not in\n{described}");
    }
    let node = cluster.kubectl("get nodes -o name").text.trim().trim_start_matches("node/").to_owned();
    let drain = format!("drain {node} --ignore-daemonsets --timeout=3s");
    let refused = cluster.try_kubectl(&drain);
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert!(refused.code != 0 && refused.errors.contains(text), "{}{}", refused.text, refused.errors);
    cluster.kubectl("patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":0}}'");
    cluster.until("get pdb web --no-headers", shows("web 0 N/A 2".to_owned()));
    let drained = cluster.kubectl(&format!("drain {node} --ignore-daemonsets --timeout=60s")).text;
    assert!(drained.contains(&format!("node/{node} drained")), "{drained}");
    cluster.kubectl(&format!("uncordon {node}")).prints(&format!("node/{node} uncordoned"));
    cluster.kubectl("rollout status deployment/web --timeout=60s");
    // What the API serves of the node itself.
    let listed = cluster.kubectl(&format!("get --raw /api/v1/nodes/{node}/proxy/pods")).text;
    assert!(listed.contains("\"kind\":\"PodList\"") && listed.contains("\"app\":\"web\""), "{listed}");
    cluster.kubectl(&format!("get --raw /api/v1/nodes/{node}/proxy/healthz")).prints("ok");
    assert!(!cluster.log().contains("lacks a right"), "{}", cluster.log());
}
