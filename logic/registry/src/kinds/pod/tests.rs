//! Pods: what `kubectl get pods` shows, what admission adds, what an update may change.

use super::KIND;
use crate::tests::{create, now, update};
use kelson_machinery::Object;
use serde_json::{Value, json};

fn manifest() -> Object {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "nginx:1.27"}],
            "initContainers": [{"name": "i", "image": "x@sha256:abc"}]}})
}

/// READY, STATUS and RESTARTS of a pod with this status.
fn check(status: Value, expected: [&str; 3]) {
    let (mut pod, _) = create(manifest());
    pod["status"] = status.clone();
    assert_eq!(cells(&pod)[1..4], expected.map(Value::from), "{status}");
}

/// The cells of a pod, which are the same from the parts they are said to be made of.
fn cells(pod: &Object) -> Vec<Value> {
    let cells = (KIND.cells)(pod, now());
    let text = pod.to_string();
    let parts = kelson_machinery::partial::read(text.as_bytes(), &KIND.shown_parts()).unwrap();
    assert_eq!((KIND.cells)(&parts, now()), cells, "{text}");
    cells
}

#[test]
fn a_pod_that_starts() {
    check(json!({"phase": "Pending"}), ["0/2", "Pending", "0"]);
    let creating = json!({"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}});
    check(json!({"phase": "Pending", "containerStatuses": [creating]}), ["0/2", "ContainerCreating", "0"]);
    let init = |state: Value| {
        json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 1, "state": state}],
        "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]})
    };
    check(init(json!({"running": {}})), ["0/2", "Init:0/1", "1"]);
    check(init(json!({"waiting": {"reason": "PodInitializing"}})), ["0/2", "Init:0/1", "1"]);
    check(init(json!({"waiting": {"reason": "ImagePullBackOff"}})), ["0/2", "Init:ImagePullBackOff", "1"]);
    check(init(json!({"terminated": {"exitCode": 3}})), ["0/2", "Init:ExitCode:3", "1"]);
    check(init(json!({"terminated": {"exitCode": 1, "reason": "Error"}})), ["0/2", "Init:Error", "1"]);
    check(
        init(json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
        ["0/2", "PodInitializing", "0"],
    );
    let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
    check(json!({"phase": "Pending", "conditions": gated}), ["0/2", "SchedulingGated", "0"]);
}

#[test]
fn a_pod_that_runs() {
    let running =
        |name: &str| json!({"name": name, "ready": true, "restartCount": 0, "state": {"running": {}}});
    check(
        json!({"phase": "Running", "containerStatuses": [running("a"), running("b")]}),
        ["2/2", "Running", "0"],
    );
    let restarted = json!({"name": "b", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-02T02:59:05Z"}}});
    check(
        json!({"phase": "Running", "containerStatuses": [running("a"), restarted]}),
        ["1/2", "CrashLoopBackOff", "3 (5m ago)"],
    );
    let done = json!({"name": "b", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    check(
        json!({"phase": "Running", "containerStatuses": [running("a"), done]}),
        ["1/2", "Completed", "0"].map(|w| if w == "Completed" { "NotReady" } else { w }),
    );
    check(
        json!({"phase": "Succeeded", "containerStatuses": [done.clone(), done]}),
        ["0/2", "Completed", "0"],
    );
    let killed =
        json!({"name": "b", "restartCount": 0, "state": {"terminated": {"exitCode": 137, "signal": 9}}});
    check(json!({"phase": "Failed", "containerStatuses": [killed]}), ["0/2", "Signal:9", "0"]);
    check(json!({"phase": "Failed", "reason": "Evicted"}), ["0/2", "Evicted", "0"]);
}

#[test]
fn a_pod_that_goes() {
    let (mut pod, _) = create(manifest());
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:00Z");
    pod["status"] = json!({"phase": "Running"});
    let status = |pod: &Object| cells(pod)[2].clone();
    assert_eq!(status(&pod), json!("Terminating"));
    pod["status"]["reason"] = json!("NodeLost");
    assert_eq!(status(&pod), json!("Unknown"));
    pod["status"] = json!({"phase": "Succeeded"});
    assert_eq!(status(&pod), json!("Succeeded"));
}

#[test]
fn sidecars_count_as_containers() {
    let mut sidecar = manifest();
    sidecar["spec"]["initContainers"][0]["restartPolicy"] = json!("Always");
    let (mut pod, errors) = create(sidecar);
    assert_eq!(errors, Vec::<String>::new());
    pod["status"] = json!({"phase": "Running",
        "initContainerStatuses": [{"name": "i", "started": true, "ready": true, "restartCount": 2, "state": {"running": {}}}],
        "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}, {"name": "b", "ready": true, "state": {"running": {}}}]});
    assert_eq!(cells(&pod)[1..4], ["3/3", "Running", "2"].map(Value::from));
}

#[test]
fn wide_cells() {
    let (mut pod, _) = create(manifest());
    pod["spec"]["nodeName"] = json!("n1");
    pod["spec"]["readinessGates"] = json!([{"conditionType": "x"}, {"conditionType": "y"}]);
    pod["status"] = json!({"podIPs": [{"ip": "10.1.0.2"}], "conditions": [{"type": "y", "status": "True"}]});
    assert_eq!(cells(&pod)[5..], ["10.1.0.2", "n1", "<none>", "1/2"].map(Value::from));
}

#[test]
fn admission_completes_a_new_pod() {
    let (pod, errors) = create(manifest());
    assert_eq!(errors, Vec::<String>::new());
    let spec = &pod["spec"];
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    assert_eq!(spec["enableServiceLinks"], json!(true));
    let tolerations = json!([
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
    assert_eq!(spec["tolerations"], tolerations);
    let mut tolerant = manifest();
    tolerant["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    assert_eq!(create(tolerant).0["spec"]["tolerations"], json!([{"operator": "Exists"}]));
}

#[test]
fn images_may_change_and_commands_may_not() {
    let (old, _) = create(manifest());
    let mut image = old.clone();
    image["spec"]["containers"][0]["image"] = json!("nginx:1.29");
    let (new, errors) = update(&old, image);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(new["metadata"]["generation"], json!(2));
    let mut command = old.clone();
    command["spec"]["containers"][0]["command"] = json!(["sh"]);
    let expected = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
        `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
        tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n\
        changed: spec.containers[0].command";
    assert_eq!(update(&old, command).1, [expected]);
    let mut fewer = old.clone();
    fewer["spec"]["containers"] = json!([old["spec"]["containers"][0]]);
    assert_eq!(
        update(&old, fewer).1,
        ["spec.containers: Forbidden: pod updates may not add or remove containers"]
    );
}

#[test]
fn tolerations_may_only_be_added() {
    let (old, _) = create(manifest());
    let mut more = old.clone();
    more["spec"]["tolerations"].as_array_mut().unwrap().push(json!({"key": "a", "operator": "Exists"}));
    assert_eq!(update(&old, more).1, Vec::<String>::new());
    let mut fewer = old.clone();
    fewer["spec"]["tolerations"].as_array_mut().unwrap().pop();
    let expected =
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds";
    assert_eq!(update(&old, fewer).1, [expected]);
}

#[test]
fn field_selectors() {
    let (mut pod, _) = create(manifest());
    pod["status"]["podIP"] = json!("10.1.0.2");
    let select = |field: &str| (KIND.select)(&pod, field);
    assert_eq!(select("spec.hostNetwork").as_deref(), Some("false"));
    assert_eq!(select("status.phase").as_deref(), Some("Pending"));
    assert_eq!(select("status.podIP").as_deref(), Some("10.1.0.2"));
    assert_eq!(select("spec.nodeName").as_deref(), Some(""));
    assert_eq!(select("spec.hostname"), None);
}
