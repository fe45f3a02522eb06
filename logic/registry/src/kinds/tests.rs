//! The smaller kinds: their rules and cells.

use crate::tests::{create, kind_of, now, update};
use serde_json::{Value, json};

fn check(manifest: Value, expected: &[&str]) {
    assert_eq!(create(manifest.clone()).1, expected, "{manifest}");
}

/// The cells of an object as it is, from the second on.
fn check_cells(object: Value, expected: &[Value]) {
    let (kind, _) = kind_of(&object);
    assert_eq!((kind.cells)(&object, now()), expected, "{object}");
}

fn object(api_version: &str, kind: &str, fields: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a",
        "creationTimestamp": "2026-01-02T03:03:05Z"}});
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

fn deployment(spec: Value) -> Value {
    let mut base = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]}}});
    base.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object("apps/v1", "Deployment", json!({ "spec": base }))
}

#[test]
fn h2_1_deployment_defaults() {
    let (object, _) = create(deployment(json!({})));
    let spec = &object["spec"];
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!(
        (&spec["replicas"], &spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]),
        (&json!(1), &json!(10), &json!(600))
    );
    assert_eq!(spec["template"]["spec"]["enableServiceLinks"], Value::Null, "only Pods themselves get it");
    assert_eq!((&object["status"], &object["metadata"]["generation"]), (&json!({}), &json!(1)));
}

#[test]
fn h1_4_and_h2_2_deployment_rules() {
    check(
        deployment(json!({"replicas": -1})),
        &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
    check(
        deployment(json!({"selector": {"matchLabels": {"app": "other"}}})),
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ],
    );
    check(deployment(json!({"selector": null})), &["spec.selector: Required value"]);
    check(
        deployment(json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}})),
        &["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    );
    check(
        deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}})),
        &[
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ],
    );
    check(
        deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": "half", "maxUnavailable": "101%"}}})),
        &[
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"half\": must be an integer or percentage (e.g '5%%')",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ],
    );
    check(
        deployment(json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5})),
        &["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
    );
    let mut never = deployment(json!({}));
    never["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    check(
        never,
        &["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""],
    );
}

#[test]
fn h1_3_and_h1_4_deployment_updates() {
    let (old, _) = create(deployment(json!({})));
    let (new, errors) = update(&old, deployment(json!({"replicas": 3})));
    assert_eq!((errors, &new["metadata"]["generation"]), (vec![], &json!(2)));
    let other = json!({"matchLabels": {"app": "web", "tier": "x"}});
    let mut moved = deployment(json!({ "selector": other }));
    moved["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "tier": "x"});
    let expected = "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"tier\":\"x\"}}: field is immutable";
    assert_eq!(update(&old, moved).1, [expected]);
}

#[test]
fn i6_workload_cells() {
    let mut web = deployment(json!({"replicas": 3}));
    web["status"] = json!({"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1});
    check_cells(
        web.clone(),
        &[
            json!("a"),
            json!("2/3"),
            json!(3),
            json!(1),
            json!("60s"),
            json!("c"),
            json!("nginx"),
            json!("app=web"),
        ],
    );
    web["kind"] = json!("ReplicaSet");
    web["status"] = json!({"readyReplicas": 2, "replicas": 3});
    check_cells(
        web,
        &[
            json!("a"),
            json!(3),
            json!(3),
            json!(2),
            json!("60s"),
            json!("c"),
            json!("nginx"),
            json!("app=web"),
        ],
    );
}

#[test]
fn i6_node_cells() {
    let node = |spec: Value, conditions: Value| {
        let mut node = object(
            "v1",
            "Node",
            json!({"spec": spec, "status": {"conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "192.0.2.7"}],
            "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "kelson://0.1"}}}),
        );
        node["metadata"]["labels"] =
            json!({"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""});
        node
    };
    let cells = |status: &str| {
        let roles = "control-plane,worker";
        ["a", status, roles, "60s", "v1.37.0", "192.0.2.7", "<none>", "Debian", "6.1", "kelson://0.1"]
            .map(Value::from)
    };
    check_cells(node(json!({}), json!([{"type": "Ready", "status": "True"}])), &cells("Ready"));
    check_cells(
        node(json!({"unschedulable": true}), json!([{"type": "Ready", "status": "Unknown"}])),
        &cells("NotReady,SchedulingDisabled"),
    );
    check_cells(node(json!({}), json!([])), &cells("Unknown"));
}

#[test]
fn i6_endpoints_cells() {
    let subsets = |count: usize| {
        let addresses: Vec<Value> = (1..=count).map(|last| json!({"ip": format!("10.0.0.{last}")})).collect();
        object("v1", "Endpoints", json!({"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}))
    };
    let check = |endpoints: Value, expected: &str| {
        check_cells(endpoints, &[json!("a"), json!(expected), json!("60s")])
    };
    check(subsets(2), "10.0.0.1:80,10.0.0.2:80");
    check(subsets(5), "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
    check(object("v1", "Endpoints", json!({})), "<none>");
    check(
        object(
            "v1",
            "Endpoints",
            json!({"subsets": [{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}]}),
        ),
        "[fd00::1]:80",
    );
}

#[test]
fn b3_7_slice_cells() {
    let slice = object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        json!({"addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}],
        "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.3"]}, {"addresses": ["10.0.0.4"]}]}),
    );
    let endpoints = "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...";
    check_cells(slice, &[json!("a"), json!("IPv4"), json!("80,x"), json!(endpoints), json!("60s")]);
    let empty = object("discovery.k8s.io/v1", "EndpointSlice", json!({"addressType": "IPv6"}));
    check_cells(empty, &[json!("a"), json!("IPv6"), json!("<unset>"), json!("<unset>"), json!("60s")]);
}

#[test]
fn b5_endpoints_rules() {
    let endpoints = |subset: Value| object("v1", "Endpoints", json!({"subsets": [subset]}));
    check(
        endpoints(json!({"ports": [{"port": 80}]})),
        &["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
    );
    check(endpoints(json!({"addresses": [{"ip": "10.0.0.1"}]})), &[]);
    check(
        endpoints(
            json!({"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}, {"name": "b", "port": 0}]}),
        ),
        &[
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            "subsets[0].ports[0].name: Required value",
            "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    );
}

#[test]
fn b3_slice_rules() {
    let slice = |fields: Value| object("discovery.k8s.io/v1", "EndpointSlice", fields);
    check(slice(json!({"endpoints": []})), &["addressType: Required value"]);
    check(
        slice(json!({"addressType": "IPv9", "endpoints": []})),
        &["addressType: Unsupported value: \"IPv9\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""],
    );
    check(
        slice(
            json!({"addressType": "IPv4", "endpoints": [{"addresses": []}, {"addresses": ["fd00::1"]}], "ports": [{"port": 80}, {"port": 81}]}),
        ),
        &[
            "endpoints[0].addresses: Required value: must contain at least 1 address",
            "endpoints[1].addresses[0]: Invalid value: \"fd00::1\": must be an IPv4 address",
            "ports[1].name: Duplicate value: \"\"",
        ],
    );
    let many: Vec<Value> = (0..1001).map(|_| json!({"addresses": ["10.0.0.1"]})).collect();
    check(
        slice(json!({"addressType": "IPv4", "endpoints": many})),
        &["endpoints: Too many: 1001: must have at most 1000 items"],
    );
    let (old, _) = create(slice(json!({"addressType": "IPv4", "endpoints": []})));
    let mut new = old.clone();
    new["addressType"] = json!("IPv6");
    assert_eq!(update(&old, new).1, ["addressType: Invalid value: \"IPv6\": field is immutable"]);
}

#[test]
fn config_maps_and_secrets() {
    let map = |data: Value| object("v1", "ConfigMap", json!({ "data": data }));
    let bad = create(map(json!({"a b": "x"}))).1;
    assert!(
        bad[0].starts_with("data[a b]: Invalid value: \"a b\": a valid config key must consist of"),
        "{bad:?}"
    );
    let (mut frozen, _) = create(map(json!({"a": "x"})));
    frozen["immutable"] = json!(true);
    assert_eq!(
        update(&frozen, map(json!({"a": "y"}))).1,
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]
    );
    let (secret, errors) =
        create(object("v1", "Secret", json!({"data": {"a": "eA=="}, "stringData": {"b": "hello"}})));
    assert_eq!(
        (errors, &secret["data"], &secret["stringData"]),
        (vec![], &json!({"a": "eA==", "b": "aGVsbG8="}), &Value::Null)
    );
    assert_eq!(secret["type"], json!("Opaque"));
    check(
        object("v1", "Secret", json!({"type": "kubernetes.io/tls"})),
        &["data[tls.crt]: Required value", "data[tls.key]: Required value"],
    );
    let changed = object("v1", "Secret", json!({"type": "other"}));
    assert_eq!(update(&secret, changed).1, ["type: Invalid value: \"other\": field is immutable"]);
}

#[test]
fn namespaces_have_a_finalizer_a_phase_and_a_label() {
    let (namespace, _) = create(object("v1", "Namespace", json!({})));
    assert_eq!(namespace["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
    assert_eq!(namespace["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "a"}));
    let (updated, _) = update(&namespace, object("v1", "Namespace", json!({})));
    assert_eq!(updated["spec"], namespace["spec"]);
}

#[test]
fn i6_event_cells() {
    let event = object(
        "v1",
        "Event",
        json!({"involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}, "type": "Warning",
        "reason": "BackOff", "message": "m\n", "source": {"component": "kubelet", "host": "n"}, "count": 4,
        "firstTimestamp": "2026-01-02T03:02:05Z", "lastTimestamp": "2026-01-02T03:04:00Z"}),
    );
    let cells = ["5s", "Warning", "BackOff", "pod/p", "spec.containers{c}", "kubelet, n", "m", "2m"];
    let mut expected: Vec<Value> = cells.map(Value::from).to_vec();
    expected.extend([json!(4), json!("a")]);
    check_cells(event, &expected);
    let new = object(
        "v1",
        "Event",
        json!({"involvedObject": {"kind": "Node"}, "reportingComponent": "x", "eventTime": "2026-01-02T03:04:00.000000Z",
        "series": {"count": 7, "lastObservedTime": "2026-01-02T03:04:04.000000Z"}}),
    );
    let cells = ["1s", "", "", "node", "", "x", "", "5s"];
    let mut expected: Vec<Value> = cells.map(Value::from).to_vec();
    expected.extend([json!(7), json!("a")]);
    check_cells(new, &expected);
}

#[test]
fn events_live_where_their_object_does() {
    let event = |namespace: Value| {
        object("v1", "Event", json!({"involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace}}))
    };
    check(event(json!("default")), &[]);
    check(event(Value::Null), &[]);
    check(
        event(json!("other")),
        &["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"],
    );
}
