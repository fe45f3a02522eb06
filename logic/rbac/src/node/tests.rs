//! What one node may do beside another, by what runs on the two; and that the graph forgets what is gone.

use super::*;
use serde_json::{Value, json};

/// Two nodes: `n1` runs `web`, which refers to everything there is; `n2` runs `bare`; `mirror` is `n1`'s own.
fn pods() -> PodGraph {
    let mut graph = PodGraph::default();
    graph.put(&web());
    graph.put(&pod("bare", "n2", json!({"serviceAccountName": "other"})));
    let mut mirror = pod("mirror", "n1", json!({"imagePullSecrets": [{"name": "stolen"}]}));
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    graph.put(&mirror);
    graph
}

fn web() -> Value {
    let env = json!([
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "k"}}}]);
    let volumes = json!([
        {"name": "a", "secret": {"secretName": "volume-secret"}},
        {"name": "b", "configMap": {"name": "volume-map"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "part-secret"}}, {"configMap": {"name": "part-map"}}]}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "f", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi-secret"}}}]);
    let spec = json!({"serviceAccountName": "bot", "imagePullSecrets": [{"name": "pull"}], "volumes": volumes,
        "containers": [{"name": "c", "env": env}],
        "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "init-secret"}}]}],
        "ephemeralContainers": [{"name": "x", "envFrom": [{"configMapRef": {"name": "debug-map"}}]}]});
    pod("web", "n1", spec)
}

fn pod(name: &str, node: &str, mut spec: Value) -> Value {
    spec["nodeName"] = node.into();
    json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})
}

fn volumes() -> Volumes {
    let mut volumes = Volumes::default();
    volumes.put(
        &json!({"metadata": {"name": "pv"}, "spec": {"claimRef": {"namespace": "ns", "name": "claim"}}}),
    );
    volumes.put(&json!({"metadata": {"name": "free"}, "spec": {}}));
    volumes
}

/// `verb group/resource/subresource namespace/name?selector`, parts that are empty left out as `-`.
#[track_caller]
fn check(node: &str, what: &str, expected: Result<(), &str>) {
    let words: Vec<&str> = what.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
    let [verb, resource, subresource, namespace, name, field_selector] = words[..] else {
        panic!("six words: {what}")
    };
    let group = match resource {
        "leases" => "coordination.k8s.io",
        "csinodes" | "csidrivers" => "storage.k8s.io",
        _ => "",
    };
    let attempt =
        Attempt { verb, group, resource, subresource, namespace, name, field_selector, ..Attempt::default() };
    let (pods, volumes) = (pods(), volumes());
    let decision = Nodes::default().decide(node, &attempt, Known { pods: &pods, volumes: &volumes });
    let expected =
        Decision { allowed: expected.is_ok(), reason: expected.err().unwrap_or_default().to_owned() };
    assert_eq!(decision, expected, "{node}: {what}");
}

const STRANGER: &str = "no relationship found between node 'n2' and this object";

#[test]
fn a_node_reads_what_its_pods_refer_to() {
    for name in ["env-secret", "volume-secret", "part-secret", "csi-secret", "init-secret", "pull"] {
        check("n1", &format!("get secrets - ns {name} -"), Ok(()));
        check("n1", &format!("watch secrets - ns {name} -"), Ok(()));
        check("n2", &format!("get secrets - ns {name} -"), Err(STRANGER));
    }
    for name in ["env-map", "volume-map", "part-map", "debug-map"] {
        check("n1", &format!("list configmaps - ns {name} -"), Ok(()));
        check("n2", &format!("list configmaps - ns {name} -"), Err(STRANGER));
    }
    for name in ["claim", "web-e"] {
        check("n1", &format!("get persistentvolumeclaims - ns {name} -"), Ok(()));
        check("n1", &format!("patch persistentvolumeclaims status ns {name} -"), Ok(()));
        check("n2", &format!("get persistentvolumeclaims - ns {name} -"), Err(STRANGER));
    }
    check("n1", "get persistentvolumes - - pv -", Ok(()));
    check("n2", "get persistentvolumes - - pv -", Err(STRANGER));
    check(
        "n1",
        "get persistentvolumes - - free -",
        Err("no relationship found between node 'n1' and this object"),
    );
    check("n1", "create serviceaccounts token ns bot -", Ok(()));
    check("n2", "create serviceaccounts token ns bot -", Err(STRANGER));
    check("n2", "create serviceaccounts token ns other -", Ok(()));
    check("n2", "get secrets - elsewhere pull -", Err(STRANGER));
}

#[test]
fn a_node_reads_nothing_at_large() {
    check("n1", "list secrets - ns - -", Err("No Object name found"));
    check("n1", "list secrets - - - -", Err("can only read namespaced object of this type"));
    check("n1", "update secrets - ns pull -", Err("can only read resources of this type"));
    check("n1", "get configmaps status ns env-map -", Err("cannot read subresource"));
    check("n1", "list persistentvolumes - - pv -", Err("can only get individual resources of this type"));
    check("n1", "get persistentvolumeclaims status ns claim -", Err("can only get/update/patch this type"));
    check("n1", "get persistentvolumes status - pv -", Err("cannot get subresource"));
    check(
        "n1",
        "get serviceaccounts - ns bot -",
        Err("can only create tokens for individual service accounts"),
    );
    check(
        "n1",
        "create serviceaccounts x ns bot -",
        Err("can only create token subresource of serviceaccount"),
    );
    check("n1", "get secrets - ns stolen -", Err("no relationship found between node 'n1' and this object"));
    check("n1", "list deployments - ns - -", Err(""));
    check("n1", "list csidrivers - - - -", Ok(()));
}

#[test]
fn a_node_reads_its_own_node_and_pods() {
    check("n1", "get nodes - - n1 -", Ok(()));
    check("n1", "watch nodes - - n1 metadata.name=n1", Ok(()));
    check("n1", "list nodes - - - -", Err("node 'n1' cannot read all nodes, only its own Node object"));
    check("n1", "get nodes - - n2 -", Err("node 'n1' cannot read 'n2', only its own Node object"));
    check("n1", "patch nodes status - n1 -", Ok(()));
    check("n1", "delete nodes - - n1 -", Err(""));
    check("n1", "get pods - ns web -", Ok(()));
    check("n1", "get pods - ns mirror -", Ok(()));
    check("n2", "get pods - ns web -", Err(STRANGER));
    check("n2", "watch pods - - - spec.nodeName=n2", Ok(()));
    let all = "can only list/watch pods with spec.nodeName field selector";
    check("n2", "list pods - - - -", Err(all));
    check("n2", "list pods - - - spec.nodeName=n1", Err(all));
    check("n2", "list pods - - - spec.nodeName!=n2", Err(all));
    check("n2", "patch pods status ns web -", Ok(()));
    check("n2", "patch pods - ns web -", Err(""));
    check("n2", "get pods log ns web -", Err(""));
}

#[test]
fn leases_and_csi_nodes_are_each_nodes_own() {
    check("n1", "update leases - kube-node-lease n1 -", Ok(()));
    check("n1", "create leases - kube-node-lease - -", Ok(()));
    let own = "can only access node lease with the same name as the requesting node";
    check("n1", "update leases - kube-node-lease n2 -", Err(own));
    check(
        "n1",
        "get leases - default n1 -",
        Err("can only access leases in the \"kube-node-lease\" system namespace"),
    );
    let verbs = "can only get, create, update, patch, or delete a node lease";
    check("n1", "list leases - kube-node-lease - -", Err(verbs));
    check("n1", "get csinodes - - n1 -", Ok(()));
    check(
        "n1",
        "get csinodes - - n2 -",
        Err("can only access CSINode with the same name as the requesting node"),
    );
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut graph = pods();
    let reaches = |graph: &PodGraph, name: &str| graph.reaches("n1", Thing::Secret, "ns", name);
    graph.put(&pod("twin", "n1", json!({"imagePullSecrets": [{"name": "pull"}]})));
    graph.remove("ns", "web");
    assert!(reaches(&graph, "pull") && !reaches(&graph, "env-secret"));
    graph.put(&pod("twin", "n1", json!({})));
    assert!(!reaches(&graph, "pull"));
    // A pod that waits for a node refers to nothing yet.
    graph.put(&pod("twin", "", json!({"imagePullSecrets": [{"name": "pull"}]})));
    assert!(!reaches(&graph, "pull") && !graph.reaches("", Thing::Pod, "ns", "twin"));
    ["bare", "mirror"].iter().for_each(|name| graph.remove("ns", name));
    assert!(graph.is_empty());
    let mut volumes = volumes();
    assert_eq!(volumes.claim("pv"), Some(("ns", "claim")));
    volumes.remove("pv");
    assert_eq!(volumes.claim("pv"), None);
}
