//! Go's decoder, as users meet it: messages, nulls, empty values, quantities.

use crate::tests::kind_of;
use serde_json::{Value, json};

fn check_error(manifest: Value, expected: &str) {
    let (kind, _) = kind_of(&manifest);
    assert_eq!((kind.decode)(manifest).unwrap_err().to_string(), expected);
}

fn check(manifest: Value, pointer: &str, expected: Value) {
    let (kind, _) = kind_of(&manifest);
    let object = (kind.decode)(manifest).unwrap().object;
    assert_eq!(object.pointer(pointer).cloned().unwrap_or(Value::Null), expected, "{pointer} of {object}");
}

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec})
}

fn deployment(container: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"containers": [container]}}}})
}

#[test]
fn wrong_types_are_told_as_upstream_tells_them() {
    check_error(
        service(json!({"ports": [{"port": "80"}]})),
        "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal string into Go struct field \
         ServicePort.spec.ports.port of type int32",
    );
    check_error(
        deployment(json!({"env": [{"name": "A", "value": true}]})),
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal bool into Go struct \
         field EnvVar.spec.template.spec.containers.env.value of type string",
    );
    check_error(
        deployment(json!({"ports": {"containerPort": 80}})),
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal object into Go struct \
         field Container.spec.template.spec.containers.ports of type []v1.ContainerPort",
    );
    check_error(
        service(json!("x")),
        "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal string into Go struct field \
         Service.spec of type v1.ServiceSpec",
    );
    check_error(
        service(json!({"ports": [{"port": 70_000_000_000_i64}]})),
        "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal number 70000000000 into Go \
         struct field ServicePort.spec.ports.port of type int32",
    );
    check_error(
        service(json!({"selector": {"a": 1}})),
        "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal number into Go struct field \
         ServiceSpec.spec.selector of type string",
    );
}

#[test]
fn wrong_values_too() {
    check_error(
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "not base64!"}}),
        "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3",
    );
    check_error(
        deployment(json!({"resources": {"limits": {"cpu": "a lot"}}})),
        "Deployment in version \"v1\" cannot be handled as a Deployment: quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
}

#[test]
fn depth_is_bounded() {
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({"a": deep});
    }
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"managedFields": [{"fieldsV1": deep}]}});
    let (kind, _) = kind_of(&manifest);
    let error = (kind.decode)(manifest).unwrap_err();
    assert_eq!(error.cause, "json: exceeded max depth");
}

#[test]
fn null_is_the_zero_value() {
    check(service(json!({"ports": null, "selector": {"a": null}})), "/spec/ports", Value::Null);
    check(service(json!({"selector": {"a": null}})), "/spec/selector/a", json!(""));
    check(service(Value::Null), "/spec", Value::Null);
}

#[test]
fn empty_values_go_where_go_leaves_them_out() {
    check(
        service(json!({"clusterIP": "", "ports": [{"port": 80, "nodePort": 0}]})),
        "/spec",
        json!({"ports": [{"port": 80}]}),
    );
    check(service(json!({"selector": {}, "externalIPs": []})), "/spec", json!({}));
    check(
        deployment(json!({"name": "c", "securityContext": {}})),
        "/spec/template/spec/containers/0",
        json!({"name": "c", "securityContext": {}}),
    );
    let scaled = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 0}});
    check(scaled, "/spec/replicas", json!(0));
}

#[test]
fn quantities_become_canonical() {
    let limits = |amount: Value| deployment(json!({"resources": {"limits": {"cpu": amount}}}));
    let pointer = "/spec/template/spec/containers/0/resources/limits/cpu";
    check(limits(json!(1)), pointer, json!("1"));
    check(limits(json!(0.5)), pointer, json!("500m"));
    check(limits(json!("1024Mi")), pointer, json!("1Gi"));
}

#[test]
fn times_keep_their_precision() {
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata":
        {"creationTimestamp": "2026-01-02T05:04:05.9+02:00"}, "spec": {"renewTime": "2026-01-02T03:04:05.123456789Z"}});
    check(lease.clone(), "/metadata/creationTimestamp", json!("2026-01-02T03:04:05Z"));
    check(lease, "/spec/renewTime", json!("2026-01-02T03:04:05.123456Z"));
}

#[test]
fn unknown_fields_are_named_with_indices() {
    let manifest = deployment(json!({"name": "c", "imag": "x", "env": [{"name": "a"}, {"nam": "b"}]}));
    let (kind, _) = kind_of(&manifest);
    let unknown = (kind.decode)(manifest).unwrap().unknown;
    let path = "spec.template.spec.containers[0]";
    assert_eq!(unknown, vec![format!("{path}.env[1].nam"), format!("{path}.imag")]);
}
