//! Which pods have host ports, and which of theirs are read.

use serde_json::{Value, json};

use super::host_ports;

/// The host ports of a pod, each as `host → backend/protocol`.
#[track_caller]
fn check(pod: Value, expected: &[&str]) {
    let found = host_ports(&serde_json::from_value(pod).unwrap());
    let shown = found.iter().map(|it| {
        let address = it.address.map_or_else(|| "*".into(), |address| address.to_string());
        format!("{address} {} → {}/{}", it.port, it.backend, it.protocol.lower())
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|it| (&*it.pod.namespace, &*it.pod.name) == ("default", "web")));
}

fn pod(ports: Value) -> Value {
    json!({
        "metadata": { "namespace": "default", "name": "web" },
        "spec": { "containers": [{ "name": "c", "ports": ports }] },
        "status": { "phase": "Running", "podIP": "10.244.0.5", "podIPs": [{ "ip": "10.244.0.5" }] },
    })
}

#[test]
fn ports_of_every_container_that_stays() {
    check(pod(json!([{ "containerPort": 80 }, { "containerPort": 81, "hostPort": 0 }])), &[]);
    let ports = json!([
        { "containerPort": 80, "hostPort": 8080 },
        { "containerPort": 53, "hostPort": 5353, "hostIP": "192.0.2.1", "protocol": "UDP" },
        { "containerPort": 90, "hostPort": 9090, "hostIP": "0.0.0.0" },
    ]);
    let mut both = pod(ports);
    let init = |name, policy| json!({ "name": name, "restartPolicy": policy, "ports": [{ "containerPort": 1, "hostPort": 2 }] });
    both["spec"]["initContainers"] = json!([init("once", Value::Null), init("sidecar", json!("Always"))]);
    check(
        both,
        &[
            "* 8080 → 10.244.0.5:80/tcp",
            "192.0.2.1 5353 → 10.244.0.5:53/udp",
            "* 9090 → 10.244.0.5:90/tcp",
            "* 2 → 10.244.0.5:1/tcp",
        ],
    );
}

#[test]
fn each_address_of_the_pod_in_the_family_asked_for() {
    let mut dual = pod(json!([
        { "containerPort": 80, "hostPort": 80 },
        { "containerPort": 81, "hostPort": 81, "hostIP": "::" },
    ]));
    dual["status"]["podIPs"] = json!([{ "ip": "10.244.0.5" }, { "ip": "fd00::5" }]);
    check(dual, &["* 80 → 10.244.0.5:80/tcp", "* 80 → [fd00::5]:80/tcp", "* 81 → [fd00::5]:81/tcp"]);
}

#[test]
fn only_while_the_pod_runs_in_a_network_of_its_own() {
    let with = |path: &[&str], value: Value| {
        let mut it = pod(json!([{ "containerPort": 80, "hostPort": 80 }]));
        let last = path.iter().fold(&mut it, |at, step| &mut at[*step]);
        *last = value;
        it
    };
    check(with(&["status", "phase"], json!("Pending")), &["* 80 → 10.244.0.5:80/tcp"]);
    check(with(&["status", "podIPs"], Value::Null), &["* 80 → 10.244.0.5:80/tcp"]);
    check(with(&["status"], json!({ "phase": "Pending" })), &[]);
    check(with(&["status", "phase"], json!("Succeeded")), &[]);
    check(with(&["status", "phase"], json!("Failed")), &[]);
    check(with(&["spec", "hostNetwork"], json!(true)), &[]);
    check(with(&["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z")), &[]);
    check(
        with(
            &["spec", "containers"],
            json!([{ "name": "c", "ports": [
        { "containerPort": 80, "hostPort": 80, "hostIP": "nowhere" },
        { "containerPort": 80, "hostPort": 80, "protocol": "ICMP" },
        { "containerPort": 80, "hostPort": 70_000 },
    ] }]),
        ),
        &[],
    );
}
