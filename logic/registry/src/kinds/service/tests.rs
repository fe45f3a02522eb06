//! Services: defaults, rules, normalization, warnings, cells, by the ids of the behaviour checklist.

use super::KIND;
use crate::tests::{create, now, update};
use kelson_machinery::Object;
use serde_json::{Value, json};

fn manifest(spec: Value) -> Object {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

/// A spec on port 80 with these fields besides.
fn with(fields: Value) -> Value {
    let mut spec = json!({"ports": [{"port": 80}]});
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

/// The errors of a create.
fn check(spec: Value, expected: &[&str]) {
    let (_, errors) = create(manifest(spec.clone()));
    assert_eq!(errors, expected, "{spec}");
}

/// The errors of an update from one spec to another, both complete.
fn check_update(old: Value, new: Value, expected: &[&str]) {
    let (old, errors) = create(manifest(old));
    assert_eq!(errors, Vec::<String>::new());
    let (_, errors) = update(&old, manifest(new.clone()));
    assert_eq!(errors, expected, "{new}");
}

/// What an update makes of a spec.
fn updated(old: Value, new: Value) -> Value {
    let (old, _) = create(manifest(old));
    update(&old, manifest(new)).0["spec"].clone()
}

#[test]
fn a2_defaults() {
    let (service, _) = create(manifest(with(json!({}))));
    let expected = json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None",
        "type": "ClusterIP", "internalTrafficPolicy": "Cluster"});
    assert_eq!(service["spec"], expected);
    assert_eq!(service["status"], json!({"loadBalancer": {}}));
    let of = |spec: Value, field: &str| create(manifest(with(spec))).0["spec"][field].clone();
    assert_eq!(of(json!({"type": "NodePort"}), "externalTrafficPolicy"), json!("Cluster"));
    assert_eq!(of(json!({"externalIPs": ["192.0.2.1"]}), "externalTrafficPolicy"), json!("Cluster"));
    assert_eq!(of(json!({"type": "LoadBalancer"}), "allocateLoadBalancerNodePorts"), json!(true));
    assert_eq!(
        of(json!({"type": "ExternalName", "externalName": "a.b"}), "internalTrafficPolicy"),
        Value::Null
    );
    let affine = json!({"clientIP": {"timeoutSeconds": 10_800}});
    assert_eq!(of(json!({"sessionAffinity": "ClientIP"}), "sessionAffinityConfig"), affine);
    assert_eq!(of(json!({"sessionAffinityConfig": affine}), "sessionAffinityConfig"), Value::Null);
    let zero = with(json!({"ports": [{"port": 80, "targetPort": 0}, {"port": 81, "targetPort": "http"}]}));
    let (service, _) = create(manifest(zero));
    assert_eq!(service["spec"]["ports"][0]["targetPort"], json!(80));
    assert_eq!(service["spec"]["ports"][1]["targetPort"], json!("http"));
}

#[test]
fn a3_1_to_a3_4_types() {
    check(json!({}), &["spec.ports: Required value"]);
    check(json!({"clusterIP": "None"}), &[]);
    check(
        with(json!({"clusterIP": "None", "type": "LoadBalancer"})),
        &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
    );
    check(json!({"type": "ExternalName"}), &["spec.externalName: Required value"]);
    check(json!({"type": "ExternalName", "externalName": "example.com."}), &[]);
    check(
        json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.0.0.1", "ipFamilyPolicy": "SingleStack"}),
        &[
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
        ],
    );
    check(
        with(json!({"type": "Cluster"})),
        &[
            "spec.type: Unsupported value: \"Cluster\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
}

#[test]
fn a3_5_to_a3_12_ports() {
    let ports = |ports: Value| json!({ "ports": ports });
    check(
        ports(json!([{"port": 0}])),
        &[
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    );
    check(
        ports(json!([{"port": 80, "protocol": "tcp"}])),
        &["spec.ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\""],
    );
    check(
        ports(json!([{"port": 80}, {"port": 81}])),
        &["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
    );
    check(
        ports(json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}])),
        &["spec.ports[1].name: Duplicate value: \"a\""],
    );
    check(
        ports(json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}])),
        &["spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}"],
    );
    check(ports(json!([{"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}])), &[]);
    check(
        ports(json!([{"port": 80, "nodePort": 30080}])),
        &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    );
    check(
        json!({"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}]}),
        &["spec.ports[1].nodePort: Duplicate value: 30080"],
    );
}

#[test]
fn a3_13_to_a3_19_affinity_and_addresses() {
    check(
        with(json!({"sessionAffinity": "Cookie"})),
        &["spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\""],
    );
    check(
        with(
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86_401}}}),
        ),
        &[
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
        ],
    );
    check(
        with(json!({"clusterIPs": ["10.0.0.1"]})),
        &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"],
    );
    check(
        with(json!({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]})),
        &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: first value must match `clusterIP`"],
    );
    check(
        with(json!({"clusterIP": "10.0.0.256"})),
        &[
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.256\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ],
    );
    check(
        with(json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]})),
        &[
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ],
    );
    check(
        with(json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"]})),
        &[
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family",
        ],
    );
    check(
        with(json!({"ipFamilyPolicy": "Dual", "ipFamilies": ["IPv5"]})),
        &[
            "spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: \"IPv4\", \"IPv6\"",
            "spec.ipFamilyPolicy: Unsupported value: \"Dual\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
        ],
    );
}

#[test]
fn a3_20_to_a3_30_the_rest() {
    check(
        with(json!({"externalIPs": ["127.0.0.1"]})),
        &[
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ],
    );
    check(
        with(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]})),
        &["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    );
    check(with(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": [" 10.0.0.0/8 "]})), &[]);
    check(
        with(json!({"allocateLoadBalancerNodePorts": true, "loadBalancerClass": "a/b"})),
        &[
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ],
    );
    check(
        with(json!({"externalTrafficPolicy": "Local"})),
        &[
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ],
    );
    check(
        with(json!({"type": "NodePort", "externalTrafficPolicy": "Near", "internalTrafficPolicy": "Far"})),
        &[
            "spec.externalTrafficPolicy: Unsupported value: \"Near\": supported values: \"Cluster\", \"Local\"",
            "spec.internalTrafficPolicy: Unsupported value: \"Far\": supported values: \"Cluster\", \"Local\"",
        ],
    );
    check(
        with(json!({"healthCheckNodePort": 30000})),
        &[
            "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ],
    );
    check(
        with(json!({"trafficDistribution": "PreferFar"})),
        &[
            "spec.trafficDistribution: Unsupported value: \"PreferFar\": supported values: \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\"",
        ],
    );
    let mut annotated = manifest(with(json!({})));
    annotated["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "auto"});
    let expected = "metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: \"Auto\": must match \
                    annotations[service.kubernetes.io/topology-aware-hints] when both are specified";
    assert_eq!(create(annotated).1, [expected]);
}

#[test]
fn a1_7_names_are_labels() {
    let mut digits = manifest(with(json!({})));
    digits["metadata"]["name"] = json!("1web");
    assert_eq!(create(digits.clone()).1, Vec::<String>::new());
    digits["metadata"]["name"] = json!("a.b");
    assert_eq!(create(digits).1, ["metadata.name: Invalid value: \"a.b\": must not contain dots"]);
}

#[test]
fn a3_32_to_a3_34_what_is_set_stays() {
    let old =
        || with(json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
    check_update(
        old(),
        with(json!({"clusterIP": "10.0.0.2"})),
        &["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"],
    );
    check_update(
        old(),
        with(json!({"clusterIP": "None"})),
        &["spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"],
    );
    check_update(
        old(),
        with(json!({"ipFamilies": ["IPv6"]})),
        &[
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
            "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set",
        ],
    );
    check_update(
        with(json!({"type": "LoadBalancer", "loadBalancerClass": "a/b"})),
        with(json!({"type": "LoadBalancer", "loadBalancerClass": "a/c"})),
        &["spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"],
    );
    check_update(old(), with(json!({"type": "ExternalName", "externalName": "a.b"})), &[]);
}

#[test]
fn a7_1_allocated_values_survive_an_update_without_them() {
    let old = json!({"type": "NodePort", "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]});
    let spec = updated(
        old.clone(),
        json!({"type": "NodePort", "ports": [{"name": "b", "port": 91}, {"name": "c", "port": 92}]}),
    );
    assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
    assert_eq!(spec["clusterIP"], json!("10.0.0.1"));
    assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
    assert_eq!(spec["ports"][0]["nodePort"], json!(30002));
    assert_eq!(spec["ports"][1]["nodePort"], Value::Null);
    // The number is used elsewhere in the new spec: not restored.
    let spec = updated(
        old,
        json!({"type": "NodePort", "ports": [{"name": "b", "port": 91}, {"name": "c", "port": 92, "nodePort": 30002}]}),
    );
    assert_eq!(spec["ports"][0]["nodePort"], Value::Null);
}

#[test]
fn a7_4_what_the_type_has_no_use_for_goes() {
    let old = json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 30009, "loadBalancerClass": "a/b",
        "ports": [{"port": 80, "nodePort": 30001}]});
    let mut new = old.clone();
    new["type"] = json!("ClusterIP");
    new["allocateLoadBalancerNodePorts"] = json!(true);
    let expected = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]});
    assert_eq!(updated(old.clone(), new), expected);
    let spec = updated(
        old,
        json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}),
    );
    assert_eq!(
        (&spec["clusterIP"], &spec["clusterIPs"], &spec["ipFamilies"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[test]
fn a7_4_leaving_load_balancer_clears_its_status() {
    let (mut old, _) = create(manifest(with(json!({"type": "LoadBalancer"}))));
    old["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    let (new, _) = update(&old, manifest(with(json!({}))));
    assert_eq!(new["status"], json!({"loadBalancer": {}}));
}

#[test]
fn a9_8_single_stack_alone_releases_the_secondary() {
    let old = with(
        json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "PreferDualStack"}),
    );
    let mut new = old.clone();
    new["ipFamilyPolicy"] = json!("SingleStack");
    let spec = updated(old.clone(), new);
    assert_eq!((&spec["clusterIPs"], &spec["ipFamilies"]), (&json!(["10.0.0.1"]), &json!(["IPv4"])));
    let mut new = old.clone();
    new["clusterIPs"] = json!(["10.0.0.1"]);
    check_update(
        old,
        new,
        &[
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP",
        ],
    );
}

#[test]
fn a3_35_status_of_load_balancers() {
    let status = |spec: Value, ingress: Value| {
        let (old, _) = create(manifest(with(spec)));
        let mut new = old.clone();
        new["status"] = json!({"loadBalancer": {"ingress": [ingress]}});
        (KIND.default)(&mut new);
        (KIND.validate_status_update)(&new, &old).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let balanced = json!({"type": "LoadBalancer"});
    assert_eq!(status(balanced.clone(), json!({"ip": "192.0.2.1"})), Vec::<String>::new());
    let text =
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is \"LoadBalancer\"";
    assert_eq!(status(json!({}), json!({"hostname": "a.b"})), [text]);
    let text = "status.loadBalancer.ingress[0].hostname: Invalid value: \"192.0.2.1\": must be a DNS name, not an IP address";
    assert_eq!(status(balanced, json!({"hostname": "192.0.2.1"})), [text]);
}

#[test]
fn a4_warnings() {
    let check = |spec: Value, expected: &[&str]| {
        let (service, _) = create(manifest(with(spec)));
        assert_eq!((KIND.warnings)(&service, None), expected);
    };
    check(json!({}), &[]);
    check(
        json!({"clusterIP": "None", "externalIPs": ["192.0.2.1"], "sessionAffinity": "ClientIP"}),
        &[
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
        ],
    );
    check(
        json!({"externalIPs": ["192.0.2.1"]}),
        &["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
    );
    check(
        json!({"externalName": "a.b"}),
        &["spec.externalName is ignored when spec.type is not \"ExternalName\""],
    );
    check(
        json!({"trafficDistribution": "PreferClose"}),
        &["spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""],
    );
}

#[test]
fn i5_cells() {
    let check = |spec: Value, status: Value, expected: [&str; 4]| {
        let (mut service, _) = create(manifest(with(spec)));
        service["status"] = status;
        service["metadata"]["creationTimestamp"] = json!("2026-01-02T03:03:05Z");
        let cells = (KIND.cells)(&service, now());
        assert_eq!(cells[1..5], expected.map(Value::from));
        assert_eq!(cells[5], json!("60s"));
    };
    let none = json!({"loadBalancer": {}});
    check(json!({"clusterIP": "10.0.0.1"}), none.clone(), ["ClusterIP", "10.0.0.1", "<none>", "80/TCP"]);
    check(json!({"clusterIP": "None", "ports": []}), none.clone(), ["ClusterIP", "None", "<none>", "<none>"]);
    check(
        json!({"type": "ExternalName", "externalName": "a.b"}),
        none.clone(),
        ["ExternalName", "<none>", "a.b", "80/TCP"],
    );
    let balanced =
        json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30080}]});
    check(balanced.clone(), none, ["LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP"]);
    let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"hostname": "a.b"}]}});
    check(balanced, status, ["LoadBalancer", "10.0.0.1", "192.0.2.2,a.b", "80:30080/TCP"]);
}

#[test]
fn a1_8_field_selectors() {
    let (service, _) = create(manifest(with(json!({"clusterIP": "10.0.0.1"}))));
    assert_eq!((KIND.select)(&service, "spec.clusterIP").as_deref(), Some("10.0.0.1"));
    assert_eq!((KIND.select)(&service, "spec.type").as_deref(), Some("ClusterIP"));
}
