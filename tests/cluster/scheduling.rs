//! Which pod goes where, who goes for whom, and which claims grow, as kubectl shows it.

use crate::harness::{Cluster, image};

const IMAGE: &str = "kelson.test/web:1";

/// A cluster with an image whose container serves until it is told to stop.
fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, IMAGE, &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    cluster
}

fn apply(cluster: &Cluster, manifest: &str) {
    cluster.kubectl(&format!("apply -f - <<'END'\n{manifest}\nEND"));
}

/// A pod of this name with more in its spec, which is JSON without braces.
fn pod(cluster: &Cluster, name: &str, more: &str, container: &str) {
    let container = format!("{{\"name\": \"c\", \"image\": \"{IMAGE}\"{container}}}");
    let spec = format!("{{\"terminationGracePeriodSeconds\": 1, \"containers\": [{container}]{more}}}");
    apply(
        cluster,
        &format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}}, "spec": {spec}}}"#
        ),
    );
}

fn runs(cluster: &Cluster, name: &str) {
    cluster.until(&format!("get pod {name} --no-headers"), |text| text.contains("Running"));
}

/// Waits until an event of this reason about `name` has come; its message.
fn told(cluster: &Cluster, name: &str, reason: &str) -> String {
    let fields = format!("involvedObject.name={name},reason={reason}");
    let line = format!("get events --field-selector {fields} -o jsonpath='{{.items[0].message}}'");
    cluster.until(&line, |text| !text.is_empty())
}

#[test]
fn an_important_pod_takes_anothers_place() {
    let cluster = cluster("preempts");
    let cpus = cluster.kubectl("get node node-1 -o jsonpath='{.status.allocatable.cpu}'").text;
    let most = cpus.parse::<u32>().expect("whole processors") * 1000 - 100;
    let asking = format!(r#", "resources": {{"requests": {{"cpu": "{most}m"}}}}"#);
    cluster.kubectl("create priorityclass high --value=1000");
    cluster.kubectl("get priorityclass system-node-critical system-cluster-critical");
    pod(&cluster, "low", "", &asking);
    runs(&cluster, "low");
    pod(&cluster, "equal", "", &asking);
    assert_eq!(
        told(&cluster, "equal", "FailedScheduling"),
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
         1 No preemption victims found for incoming pod."
    );
    cluster.kubectl("delete pod equal --wait=false");
    pod(&cluster, "high", r#", "priorityClassName": "high""#, &asking);
    runs(&cluster, "high");
    let uid = cluster.kubectl("get pod high -o jsonpath='{.metadata.uid}'").text;
    assert_eq!(told(&cluster, "low", "Preempted"), format!("Preempted by pod {uid} on node node-1"));
    assert_eq!(told(&cluster, "high", "FailedScheduling"), "0/1 nodes are available: 1 Insufficient cpu.");
    assert!(cluster.try_kubectl("get pod low").errors.contains("NotFound"));
    let refused =
        cluster.try_kubectl("run x --image=x --overrides '{\"spec\":{\"priorityClassName\":\"no\"}}'");
    let why =
        "Error from server (Forbidden): pods \"x\" is forbidden: no PriorityClass with name no was found";
    assert_eq!(refused.errors.trim(), why);
}

#[test]
fn a_spread_that_cannot_be_is_said_and_then_met() {
    let cluster = cluster("spreads");
    let spread = r#", "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]"#;
    pod(&cluster, "p", spread, "");
    let why = "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label). \
               no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(told(&cluster, "p", "FailedScheduling"), why);
    cluster.kubectl("label node node-1 zone=a");
    runs(&cluster, "p");
}

#[test]
fn a_claim_grows_where_its_class_allows() {
    let cluster = cluster("grows");
    let claim = r#"{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}"#;
    apply(&cluster, claim);
    let volumes = r#", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}]"#;
    pod(&cluster, "p", volumes, "");
    runs(&cluster, "p");
    let grow = r#"patch pvc disk -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'"#;
    let why = "Error from server (Forbidden): persistentvolumeclaims \"disk\" is forbidden: only dynamically provisioned \
               pvc can be resized and the storageclass that provisions the pvc must support resize";
    assert_eq!(cluster.try_kubectl(grow).errors.trim(), why);
    cluster.kubectl("patch storageclass local-path -p '{\"allowVolumeExpansion\":true}'");
    cluster.kubectl(grow);
    cluster.until("get pvc disk --no-headers", |text| text.contains("2Gi"));
    cluster.until("get pv --no-headers", |text| text.contains("2Gi"));
    assert!(told(&cluster, "disk", "Resizing").starts_with("External resizer is resizing volume pvc-"));
    assert_eq!(told(&cluster, "disk", "VolumeResizeSuccessful"), "Resize volume succeeded");
}
