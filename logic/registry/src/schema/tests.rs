//! The shapes of real kinds, by upstream's markers.

use kelson_machinery::apply::{Element, Shape, Writer, apply, fields, update};
use serde_json::json;

use super::*;

fn kind(group: &str, plural: &str) -> &'static Kind {
    crate::resolve(group, "v1", plural).expect("the registry has the kind").0
}

#[test]
fn every_kind_has_its_model() {
    for kind in crate::kinds() {
        let (_, shape) = shape(kind);
        assert!(matches!(shape, Shape::Struct(_)), "{kind:?} has no model: run tests/schemas with UPDATE=1");
    }
}

#[test]
fn facts_name_fields_that_are() {
    for (name, field) in facts::named() {
        let full = ["io.k8s.api.", "io.k8s.apimachinery.pkg.apis."].map(|prefix| format!("{prefix}{name}"));
        let model = full.iter().find_map(|name| model(name)).unwrap_or_else(|| panic!("{name} is a model"));
        assert!(
            model.properties.iter().any(|property| property.name == field),
            "{name} has no field {field}"
        );
    }
}

#[test]
fn a_deployments_fields_are_owned_as_upstream_owns_them() {
    let (schema, shape) = shape(kind("apps", "deployments"));
    let object = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"nodeSelector": {"x": "y"}, "tolerations": [{"key": "k"}], "imagePullSecrets": [{"name": "s"}], "containers": [
            {"name": "c", "args": ["x"], "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}}],
             "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}], "resources": {"limits": {"cpu": "1"}}}]}}}});
    let port = |text: &str| {
        json!({".": {}, "f:containerPort": {}}).as_object().map(|map| (text.to_owned(), map.clone())).unwrap()
    };
    let (tcp, tcp_fields) = port("k:{\"containerPort\":80,\"protocol\":\"TCP\"}");
    let expected = json!({"f:spec": {"f:selector": {}, "f:template": {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:nodeSelector": {}, "f:tolerations": {}, "f:imagePullSecrets": {"k:{\"name\":\"s\"}": {}}, "f:containers": {"k:{\"name\":\"c\"}": {".": {},
            "f:name": {}, "f:args": {}, "f:env": {"k:{\"name\":\"E\"}": {".": {}, "f:name": {}, "f:valueFrom": {"f:secretKeyRef": {}}}},
            "f:ports": {tcp: tcp_fields, "k:{\"containerPort\":53,\"protocol\":\"UDP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            "f:resources": {"f:limits": {"f:cpu": {}}}}}}}}});
    assert_eq!(fields(schema, &shape, &object).to_json(), expected);
}

#[test]
fn a_services_ports_are_told_apart_by_number_and_protocol() {
    let (schema, shape) = shape(kind("", "services"));
    let object = json!({"spec": {"selector": {"a": "b"}, "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}]}});
    let set = fields(schema, &shape, &object);
    let spec = set.below(&Element::field("spec")).unwrap();
    assert!(spec.has(&Element::field("selector")) && spec.has(&Element::field("clusterIPs")));
    let ports = spec.below(&Element::field("ports")).unwrap();
    assert!(ports.has(&Element::parse("k:{\"port\":80,\"protocol\":\"TCP\"}").unwrap()));
}

#[test]
fn a_configuration_keeps_to_its_own_container() {
    let (schema, shape) = shape(kind("apps", "deployments"));
    let ignored = Default::default();
    let writer = |name| Writer {
        name,
        api_version: "apps/v1",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        ignored: &ignored,
    };
    let mut live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}}});
    update(schema, &shape, &json!({}), &mut live, &writer("kubectl-create"));
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [{"name": "s", "image": "y"}]}}}});
    let merged = apply(schema, &shape, &live, &sidecar, &writer("side"), false).unwrap();
    let names: Vec<_> = merged["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(names, ["a", "s"]);
}
