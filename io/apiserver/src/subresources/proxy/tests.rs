//! What a name means, and which endpoints a request may go to.

use std::net::IpAddr;

use serde_json::json;

use super::{Id, candidates, is_unicast, name_of, port_of, split};

#[test]
fn names_may_carry_a_scheme_and_a_port() {
    let check = |text, expected: Option<(bool, &str, &str)>| {
        assert_eq!(Id::parse(text).map(|id| (id.tls, id.name, id.port)), expected, "{text}");
    };
    check("web", Some((false, "web", "")));
    check("web:80", Some((false, "web", "80")));
    check("web:", Some((false, "web", "")));
    check("http:web:", Some((false, "web", "")));
    check("https:web:main", Some((true, "web", "main")));
    check(":web:80", Some((false, "web", "80")));
    for wrong in ["", ":80", "ftp:web:80", "https:web:80:1", "https::80"] {
        check(wrong, None);
    }
}

#[test]
fn paths_are_cut_as_they_came() {
    let check = |path: &str, expected: (&str, &str)| assert_eq!(split(path, super::SEGMENTS), expected);
    let root = "/api/v1/namespaces/d/services/https:web:443/proxy";
    check(root, (root, ""));
    check(&format!("{root}/"), (root, "/"));
    check(&format!("{root}//a%2Fb/../proxy/"), (root, "//a%2Fb/../proxy/"));
    check("//api/v1//namespaces/d/pods/p/proxy/x", ("//api/v1//namespaces/d/pods/p/proxy", "/x"));
    check("/api/v1", ("/api/v1", ""));
}

#[test]
fn the_port_of_a_pod() {
    let pod = json!({ "spec": { "containers": [
        { "name": "a" }, { "name": "b", "ports": [{ "containerPort": 8080 }, { "containerPort": 8081 }] },
    ] } });
    let check = |pod: &serde_json::Value, id, expected: Result<u16, &str>| {
        let found = port_of(pod, Id::parse(id).unwrap());
        assert_eq!(found.map_err(|status| status.message), expected.map_err(str::to_owned), "{id}");
    };
    check(&pod, "p", Ok(8080));
    check(&pod, "p:9", Ok(9));
    check(&pod, "p:web", Err("invalid port \"web\""));
    check(&pod, "p:70000", Err("invalid port \"70000\""));
    check(&json!({}), "p", Ok(80));
    check(&json!({}), "https:p:", Ok(443));
}

#[test]
fn the_name_of_a_services_port() {
    let service = json!({ "spec": { "ports": [{ "port": 80, "name": "a" }, { "port": 81 }] } });
    let check = |number, expected: Result<&str, &str>| {
        let found = name_of(&service, number, "web");
        assert_eq!(found.as_deref().map_err(|status| status.message.as_str()), expected);
    };
    check(80, Ok("a"));
    check(81, Ok(""));
    check(82, Err("no service port 82 found for service \"web\""));
}

#[test]
fn only_pods_of_the_namespace_and_only_ready_ones() {
    let of = |namespace: &str, ip: &str| json!({ "ip": ip, "targetRef": { "kind": "Pod", "namespace": namespace, "name": "p" } });
    let endpoints = json!({ "subsets": [
        {
            "addresses": [of("d", "10.244.0.5"), of("other", "10.244.0.6"), of("d", "127.0.0.1"), { "ip": "10.0.0.1" }],
            "notReadyAddresses": [of("d", "10.244.0.7")],
            "ports": [{ "name": "a", "port": 8080 }, { "name": "b", "port": 8081 }],
        },
        { "addresses": [of("d", "10.244.0.8")], "ports": [{ "name": "b", "port": 9090 }] },
    ] });
    let check = |port, expected: &[&str]| {
        let found = candidates(&endpoints, port, "d");
        assert_eq!(found.iter().map(|(_, at)| at.to_string()).collect::<Vec<_>>(), expected, "{port}");
    };
    check("a", &["10.244.0.5:8080"]);
    check("b", &["10.244.0.5:8081", "10.244.0.8:9090"]);
    check("", &[]);
}

#[test]
fn addresses_that_mean_this_machine_or_a_link_are_no_pods() {
    let check =
        |text: &str, expected| assert_eq!(is_unicast(text.parse::<IpAddr>().unwrap()), expected, "{text}");
    check("10.244.0.5", true);
    check("fd00::5", true);
    for wrong in [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
    ] {
        check(wrong, false);
    }
}
