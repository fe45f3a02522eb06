//! Environment, service links, process and resources.

use super::world::pod;
use crate::env::{Sources, environment, expand};
use crate::process::{self, ImageProcess};
use crate::qos_class;
use crate::resources::{self, Cgroup};
use crate::service_env::{self, Linked};
use k8s_openapi::api::core::v1::{Container, Service};
use serde_json::{Value, json};

fn service(name: &str, namespace: &str, spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))
        .expect("a Service")
}

/// The variables for a pod of the namespace `ns`.
fn variables<'a>(services: impl IntoIterator<Item = &'a Service>, links: bool) -> Vec<(String, String)> {
    let linked: Vec<Linked> = services.into_iter().filter_map(Linked::of).collect();
    service_env::variables(&linked, "ns", links)
}

fn lines(variables: &[(String, String)]) -> Vec<String> {
    variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn e1_e2_e3_both_styles_of_service_variables() {
    let web = service(
        "my-web",
        "ns",
        json!({"clusterIP": "10.96.0.9", "ports": [
        {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns-udp", "port": 53, "protocol": "UDP"}]}),
    );
    let headless = service("h", "ns", json!({"clusterIP": "None", "ports": [{"port": 1}]}));
    let external = service("e", "ns", json!({"type": "ExternalName", "externalName": "x.y"}));
    let elsewhere = service("o", "other", json!({"clusterIP": "10.96.0.8", "ports": [{"port": 1}]}));
    let got = variables([&web, &headless, &external, &elsewhere], true);
    assert_eq!(
        lines(&got),
        [
            "MY_WEB_SERVICE_HOST=10.96.0.9",
            "MY_WEB_SERVICE_PORT=80",
            "MY_WEB_SERVICE_PORT_HTTP=80",
            "MY_WEB_SERVICE_PORT_DNS_UDP=53",
            "MY_WEB_PORT=tcp://10.96.0.9:80",
            "MY_WEB_PORT_80_TCP=tcp://10.96.0.9:80",
            "MY_WEB_PORT_80_TCP_PROTO=tcp",
            "MY_WEB_PORT_80_TCP_PORT=80",
            "MY_WEB_PORT_80_TCP_ADDR=10.96.0.9",
            "MY_WEB_PORT_53_UDP=udp://10.96.0.9:53",
            "MY_WEB_PORT_53_UDP_PROTO=udp",
            "MY_WEB_PORT_53_UDP_PORT=53",
            "MY_WEB_PORT_53_UDP_ADDR=10.96.0.9",
        ]
    );
}

#[test]
fn e3_e4_digits_first_and_ipv6() {
    let got =
        variables([&service("1x", "ns", json!({"clusterIP": "fd00::1", "ports": [{"port": 80}]}))], true);
    assert_eq!(lines(&got)[0], "_1X_SERVICE_HOST=fd00::1");
    assert_eq!(lines(&got)[2], "_1X_PORT=tcp://[fd00::1]:80");
}

#[test]
fn e5_the_api_is_always_named_and_links_may_be_off() {
    let api = service(
        "kubernetes",
        "default",
        json!({"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}),
    );
    let own = service("kubernetes", "ns", json!({"clusterIP": "10.96.0.7", "ports": [{"port": 1}]}));
    let check = |links: bool, host: &str| {
        let got = variables([&api, &own], links);
        assert_eq!(lines(&got)[0], format!("KUBERNETES_SERVICE_HOST={host}"));
        let got = variables([&own, &api], links);
        assert_eq!(lines(&got)[0], format!("KUBERNETES_SERVICE_HOST={host}"));
    };
    check(false, "10.96.0.1");
    check(true, "10.96.0.7");
}

#[test]
fn e7_references_are_expanded() {
    let known = |name: &str| (name == "A").then(|| "1".to_owned());
    let check = |text: &str, expected: &str| assert_eq!(expand(text, known), expected, "{text}");
    check("x$(A)y", "x1y");
    check("$(B)", "$(B)");
    check("$$(A)", "$(A)");
    check("$$$(A)", "$1");
    check("$", "$");
    check("$(A", "$(A");
    check("$A é$(A)", "$A é1");
}

fn container(value: Value) -> Container {
    serde_json::from_value(value).expect("a container")
}

fn sources() -> Sources {
    let map = json!({"metadata": {"name": "m"}, "data": {"k": "v", "b": "w"}});
    let secret = json!({"metadata": {"name": "s"}, "data": {"p": "cXV4"}});
    Sources {
        config_maps: [("m".to_owned(), serde_json::from_value(map).expect("a map"))].into(),
        secrets: [("s".to_owned(), serde_json::from_value(secret).expect("a secret"))].into(),
        services: vec![
            ("SVC_HOST".to_owned(), "10.96.0.9".to_owned()),
            ("OWN".to_owned(), "service".to_owned()),
        ],
        pod_ips: vec!["10.244.0.5".to_owned()],
        host_ips: vec!["192.0.2.1".to_owned()],
        node_cpu_milli: 2000,
        node_memory: 1 << 30,
    }
}

fn check_env(value: Value, expected: Result<&[&str], &str>) {
    let container = container(value);
    let mut pod = pod(json!({"containers": [], "nodeName": "n1"}));
    pod.spec.as_mut().expect("a spec").containers.push(container.clone());
    let got = environment(&pod, &container, &sources());
    assert_eq!(
        got.map(|it| lines(&it)),
        expected.map(|it| it.iter().map(|line| (*line).to_owned()).collect()).map_err(str::to_owned)
    );
}

#[test]
fn e7_sources_in_order_and_own_variables_win() {
    check_env(
        json!({"name": "c",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}, {"secretRef": {"name": "no", "optional": true}}],
        "env": [
            {"name": "URL", "value": "http://$(SVC_HOST)/$(P_k)"},
            {"name": "OWN", "value": "mine"},
            {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "b"}}},
            {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "zz", "optional": true}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ]}),
        Ok(&[
            "P_b=w",
            "P_k=v",
            "p=qux",
            "URL=http://10.96.0.9/v",
            "OWN=mine",
            "KEY=w",
            "NAME=p",
            "NODE=n1",
            "IP=10.244.0.5",
            "APP=web",
            "CPU=2",
            "MEM=1024",
            "SVC_HOST=10.96.0.9",
        ]),
    );
}

#[test]
fn what_is_missing_is_said_in_upstreams_words() {
    let from = |source: Value| json!({"name": "c", "env": [{"name": "X", "valueFrom": source}]});
    check_env(
        from(json!({"configMapKeyRef": {"name": "no", "key": "k"}})),
        Err("configmap \"no\" not found"),
    );
    check_env(from(json!({"secretKeyRef": {"name": "no", "key": "k"}})), Err("secret \"no\" not found"));
    check_env(
        from(json!({"configMapKeyRef": {"name": "m", "key": "zz"}})),
        Err("couldn't find key zz in ConfigMap ns/m"),
    );
    check_env(
        from(json!({"secretKeyRef": {"name": "s", "key": "zz"}})),
        Err("couldn't find key zz in Secret ns/s"),
    );
}

#[test]
fn command_and_args_replace_the_images_as_cri_does() {
    let image = ImageProcess {
        entrypoint: vec!["e".to_owned()],
        cmd: vec!["d".to_owned()],
        env: vec!["PATH=/x".to_owned(), "A=1".to_owned()],
        ..Default::default()
    };
    let check = |value: Value, expected: &[&str]| {
        let env = vec![("V".to_owned(), "7".to_owned())];
        let got = process::of(&pod(json!({"containers": []})), &container(value), &image, env, "host")
            .expect("a process");
        assert_eq!(got.args, expected);
        assert_eq!(lines(&got.env), ["PATH=/x", "HOSTNAME=host", "A=1", "V=7"]);
    };
    check(json!({"name": "c"}), &["e", "d"]);
    check(json!({"name": "c", "args": ["$(V)"]}), &["e", "7"]);
    check(json!({"name": "c", "command": ["x"]}), &["x"]);
    check(json!({"name": "c", "command": ["x"], "args": ["y"]}), &["x", "y"]);
}

#[test]
fn run_as_non_root_refuses_root() {
    let check = |security: Value, user: &str, expected: Option<&str>| {
        let image =
            ImageProcess { entrypoint: vec!["e".to_owned()], user: user.to_owned(), ..Default::default() };
        let got = process::of(
            &pod(json!({"containers": []})),
            &container(json!({"name": "c", "securityContext": security})),
            &image,
            Vec::new(),
            "h",
        );
        assert_eq!(got.err().as_deref(), expected);
    };
    check(
        json!({"runAsNonRoot": true}),
        "",
        Some("container has runAsNonRoot and image will run as root (pod: \"p_ns(u1)\", container: c)"),
    );
    check(json!({"runAsNonRoot": true}), "1000:0", None);
    check(
        json!({"runAsNonRoot": true, "runAsUser": 0}),
        "",
        Some("container's runAsUser breaks non-root policy (pod: \"p_ns(u1)\", container: c)"),
    );
    check(
        json!({"runAsNonRoot": true}),
        "www",
        Some(
            "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root (pod: \"p_ns(u1)\", container: c)",
        ),
    );
    check(json!({}), "", None);
}

#[test]
fn limits_become_cgroup_figures() {
    let check = |value: Value, class: &str, expected: Cgroup| {
        let pod = pod(json!({"containers": [{"name": "c", "resources": value}]}));
        let spec = pod.spec.as_ref().expect("a spec");
        assert_eq!(qos_class(spec), class);
        assert_eq!(resources::of_container(&pod, &spec.containers[0], 4 << 30), expected);
    };
    check(
        json!({}),
        "BestEffort",
        Cgroup { cpu_shares: 2, cpu_quota_us: None, memory_limit: None, oom_score_adj: 1000 },
    );
    check(
        json!({"limits": {"cpu": "500m", "memory": "64Mi"}}),
        "Guaranteed",
        Cgroup {
            cpu_shares: 512,
            cpu_quota_us: Some(50_000),
            memory_limit: Some(64 << 20),
            oom_score_adj: -997,
        },
    );
    check(
        json!({"requests": {"cpu": "100m", "memory": "1Gi"}}),
        "Burstable",
        Cgroup { cpu_shares: 102, cpu_quota_us: None, memory_limit: None, oom_score_adj: 750 },
    );
}
