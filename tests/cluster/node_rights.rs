//! What a node's credential reaches: Secrets of the pods it runs and no others, in upstream's words.

use crate::harness::{Cluster, image};

const IMAGE: &str = "busybox:1.36";

#[test]
fn a_node_reads_the_secrets_of_its_pods_alone() {
    let cluster = Cluster::start("noderights");
    image::import(&cluster, IMAGE, &["sh", "-c", "trap exit TERM; sleep 3600 & wait"]);
    let node = cluster.kubectl("get nodes -o name").text.trim().trim_start_matches("node/").to_owned();
    let as_node = |node: &str| format!("--as=system:node:{node} --as-group=system:nodes");
    let own = as_node(&node);
    cluster.kubectl("create secret generic used --from-literal=k=v");
    cluster.kubectl("create secret generic unused --from-literal=k=v");
    let refused = |line: &str, expected: &str| {
        let output = cluster.try_kubectl(line);
        assert!(output.code == 1 && output.errors.contains(expected), "{line}: {}", output.errors);
    };
    let unrelated = |name: &str, node: &str| {
        format!(
            "Error from server (Forbidden): secrets \"{name}\" is forbidden: User \"system:node:{node}\" cannot get \
             resource \"secrets\" in API group \"\" in the namespace \"default\": no relationship found between node \
             '{node}' and this object"
        )
    };
    refused(&format!("get secret used {own}"), &unrelated("used", &node));
    let spec = r#"{"spec":{"containers":[{"name":"c","image":"busybox:1.36","imagePullPolicy":"IfNotPresent","envFrom":[{"secretRef":{"name":"used"}}]}]}}"#;
    cluster.kubectl(&format!("run user --image={IMAGE} --overrides='{spec}'"));
    cluster.kubectl("wait --for=condition=Ready pod/user --timeout=30s");
    cluster.kubectl("exec user -- sh -c 'echo $k'").prints("v");
    cluster.kubectl(&format!("get secret used -o name {own}")).prints("secret/used");
    refused(&format!("get secret unused {own}"), &unrelated("unused", &node));
    refused(&format!("get secret used {}", as_node("other")), &unrelated("used", "other"));
    refused(&format!("get secrets {own}"), "No Object name found");
    refused(
        &format!("get nodes {own}"),
        &format!("node '{node}' cannot read all nodes, only its own Node object"),
    );
    cluster.kubectl(&format!("get node {node} -o name {own}")).prints(&format!("node/{node}"));
    refused(
        &format!("taint node {node} k=v:NoSchedule {own}"),
        &format!("node \"{node}\" is not allowed to modify taints"),
    );
    refused(
        &format!("label node {node} node-role.kubernetes.io/king= {own}"),
        "is not allowed to modify labels: node-role.kubernetes.io/king",
    );
    let roles = cluster.kubectl("get nodes --no-headers").text;
    assert!(roles.split_whitespace().nth(2) == Some("control-plane"), "{roles}");
    cluster.kubectl("delete pod user --now");
    refused(&format!("get secret used {own}"), &unrelated("used", &node));
    assert!(!cluster.log().contains("lacks a right"), "{}", cluster.log());
}
