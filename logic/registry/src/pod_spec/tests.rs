//! Pod specs: defaults, rules users meet, quality of service.

use super::defaults::pull_policy;
use super::*;
use crate::tests::create;
use serde_json::{Value, json};

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
}

/// A spec whose one container has these fields besides name and image.
fn container(fields: Value) -> Value {
    let mut container = json!({"name": "c", "image": "nginx"});
    for (name, value) in fields.as_object().unwrap() {
        container[name] = value.clone();
    }
    json!({"containers": [container]})
}

fn check(spec: Value, expected: &[&str]) {
    assert_eq!(create(pod(spec.clone())).1, expected, "{spec}");
}

#[test]
fn defaults_of_a_container() {
    let (object, _) = create(pod(container(json!({
        "ports": [{"containerPort": 80}],
        "livenessProbe": {"httpGet": {"port": 80, "scheme": "https"}},
        "readinessProbe": {"grpc": {"port": 1}},
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
    }))));
    let probe = |handler: Value| {
        let mut probe =
            json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
        probe.as_object_mut().unwrap().extend(handler.as_object().unwrap().clone());
        probe
    };
    let expected = json!({"name": "c", "image": "nginx", "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "livenessProbe": probe(json!({"httpGet": {"path": "/", "port": 80, "scheme": "HTTPS"}})),
        "readinessProbe": probe(json!({"grpc": {"port": 1, "service": ""}})),
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}});
    assert_eq!(object["spec"]["containers"][0], expected);
}

#[test]
fn defaults_of_a_spec() {
    let (object, _) =
        create(pod(json!({"containers": [], "serviceAccount": "robot", "volumes": [{"name": "e"},
        {"name": "s", "secret": {"secretName": "x"}}, {"name": "h", "hostPath": {"path": "/x"}},
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]})));
    let spec = &object["spec"];
    let fields = [
        "restartPolicy",
        "dnsPolicy",
        "terminationGracePeriodSeconds",
        "schedulerName",
        "securityContext",
        "serviceAccountName",
    ];
    let values: Vec<Value> = fields.iter().map(|field| spec[*field].clone()).collect();
    assert_eq!(
        values,
        [
            json!("Always"),
            json!("ClusterFirst"),
            json!(30),
            json!("default-scheduler"),
            json!({}),
            json!("robot")
        ]
    );
    let volumes = json!([{"name": "e", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}},
        {"name": "h", "hostPath": {"path": "/x", "type": ""}}, {"name": "t", "projected": {"defaultMode": 420,
        "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]}}]);
    assert_eq!(spec["volumes"], volumes);
}

#[test]
fn host_network_ports_are_host_ports() {
    let mut spec = container(json!({"ports": [{"containerPort": 80}]}));
    spec["hostNetwork"] = json!(true);
    assert_eq!(create(pod(spec.clone())).0["spec"]["containers"][0]["ports"][0]["hostPort"], json!(80));
    spec["containers"][0]["ports"][0]["hostPort"] = json!(81);
    check(
        spec,
        &[
            "spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort` when `hostNetwork` is true",
        ],
    );
}

#[test]
fn pull_policy_follows_the_tag() {
    for (image, expected) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
    ] {
        assert_eq!(pull_policy(image), expected, "{image}");
    }
}

#[test]
fn containers() {
    check(json!({}), &["spec.containers: Required value"]);
    check(
        json!({"containers": [{"name": "a_b"}, {"name": "c", "image": " x"}, {"name": "c", "image": "x"}]}),
        &[
            "spec.containers[0].name: Invalid value: \"a_b\": a lowercase RFC 1123 label must consist of lower case \
             alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.containers[0].image: Required value",
            "spec.containers[1].image: Invalid value: \" x\": must not have leading or trailing whitespace",
            "spec.containers[2].name: Duplicate value: \"c\"",
        ],
    );
    check(
        container(json!({"imagePullPolicy": "Sometimes"})),
        &[
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ],
    );
    check(
        container(json!({"ports": [{"containerPort": 0}, {"containerPort": 70000, "protocol": "HTTP"}]})),
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].protocol: Unsupported value: \"HTTP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ],
    );
    check(
        container(json!({"volumeMounts": [{"name": "v", "mountPath": "/x"}]})),
        &["spec.containers[0].volumeMounts[0].name: Not found: \"v\""],
    );
}

#[test]
fn environment() {
    check(
        container(json!({"env": [{"name": ""}, {"name": "A", "valueFrom": {}}, {"name": "B", "value": "x",
            "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]})),
        &[
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].env[1].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
             `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            "spec.containers[0].env[2].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ],
    );
    check(
        container(json!({"envFrom": [{}, {"configMapRef": {"name": ""}}]})),
        &[
            "spec.containers[0].envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
            "spec.containers[0].envFrom[1].configMapRef.name: Required value",
        ],
    );
}

#[test]
fn resources() {
    check(
        container(json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}})),
        &[
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ],
    );
    check(
        container(json!({"resources": {"limits": {"memory": "-1"}}})),
        &[
            "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        ],
    );
}

#[test]
fn probes() {
    check(
        container(json!({"livenessProbe": {}})),
        &["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    );
    check(
        container(
            json!({"livenessProbe": {"exec": {"command": ["x"]}, "tcpSocket": {"port": 80}, "successThreshold": 2}}),
        ),
        &[
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
}

#[test]
fn volumes() {
    let spec = |volumes: Value| {
        let mut spec = container(json!({}));
        spec["volumes"] = volumes;
        spec
    };
    check(spec(json!([{"name": "a"}, {"name": "a"}])), &["spec.volumes[1].name: Duplicate value: \"a\""]);
    check(
        spec(json!([{"name": "a", "emptyDir": {}, "secret": {"secretName": "s"}}])),
        &["spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
    );
    check(spec(json!([{"name": "a", "configMap": {}}])), &["spec.volumes[0].configMap.name: Required value"]);
}

#[test]
fn the_spec_itself() {
    let with = |field: &str, value: Value| {
        let mut spec = container(json!({}));
        spec[field] = value;
        spec
    };
    check(
        with("restartPolicy", json!("Sometimes")),
        &[
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ],
    );
    check(
        with("dnsPolicy", json!("None")),
        &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    );
    check(
        with("tolerations", json!([{"key": "a", "operator": "Exists", "value": "b"}])),
        &[
            "spec.tolerations[0]: Invalid value: {\"key\":\"a\",\"operator\":\"Exists\",\"value\":\"b\"}: value must be empty when `operator` is 'Exists'",
        ],
    );
    check(
        with("hostAliases", json!([{"ip": "localhost", "hostnames": ["a"]}])),
        &[
            "spec.hostAliases[0].ip: Invalid value: \"localhost\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ],
    );
}

#[test]
fn quality_of_service() {
    let check = |resources: Value, expected: &str| {
        assert_eq!(
            create(pod(container(json!({ "resources": resources })))).0["status"]["qosClass"],
            json!(expected)
        );
    };
    check(json!({}), "BestEffort");
    check(json!({"requests": {"cpu": "1"}}), "Burstable");
    check(json!({"limits": {"cpu": "1"}}), "Burstable");
    check(json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed");
    check(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable");
}

#[test]
fn warnings_users_see() {
    let check = |fields: Value, expected: &[&str]| {
        let (object, _) = create(pod(container(fields)));
        assert_eq!(warnings(&object["spec"], &kelson_machinery::Path::new("spec")), expected);
    };
    check(
        json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}]}),
        &[
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
        ],
    );
    check(
        json!({"ports": [{"containerPort": 80}, {"containerPort": 80}]}),
        &["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
    );
}
