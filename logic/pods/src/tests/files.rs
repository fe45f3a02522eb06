//! resolv.conf, hosts file and hostname.

use super::world::pod;
use crate::dns::{self, ClusterDns, Resolv};
use crate::{hostname, hosts};
use serde_json::{Value, json};

const NODE: &str = "# a comment\nnameserver 192.0.2.53\nsearch old.example\nsearch corp.example. lan\noptions edns0 ndots:1\n";

fn check(spec: Value, expected: &str) -> Vec<String> {
    let mut spec = spec;
    spec["containers"] = json!([]);
    let cluster = ClusterDns { servers: vec!["10.96.0.10".to_owned()], domain: "cluster.local".to_owned() };
    let (resolv, reasons) = dns::of_pod(&pod(spec), &dns::parse(NODE), &cluster);
    assert_eq!(dns::render(&resolv), expected);
    reasons.into_iter().map(|it| format!("{}: {}", it.reason, it.message)).collect()
}

#[test]
fn d4_1_cluster_first_puts_the_cluster_first() {
    let text = "nameserver 10.96.0.10\nsearch ns.svc.cluster.local svc.cluster.local cluster.local corp.example lan\noptions ndots:5\n";
    check(json!({}), text);
    check(json!({"dnsPolicy": "ClusterFirst"}), text);
    check(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), text);
}

#[test]
fn d4_2_d4_4_d4_9_default_is_the_nodes() {
    let text = "nameserver 192.0.2.53\nsearch corp.example lan\noptions edns0 ndots:1\n";
    check(json!({"dnsPolicy": "Default"}), text);
    check(json!({"hostNetwork": true}), text);
    assert_eq!(dns::render(&dns::without_file()), "nameserver 127.0.0.1\nsearch .\n");
}

#[test]
fn d4_5_d4_6_none_and_what_the_pod_adds() {
    check(
        json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
        "nameserver 1.1.1.1\nsearch a\noptions ndots:2 edns0\n",
    );
    check(
        json!({"dnsConfig": {"nameservers": ["10.96.0.10", "1.1.1.1"], "searches": ["lan", "b"], "options": [{"name": "ndots", "value": "2"}]}}),
        "nameserver 10.96.0.10\nnameserver 1.1.1.1\nsearch ns.svc.cluster.local svc.cluster.local cluster.local corp.example lan b\noptions ndots:2\n",
    );
}

#[test]
fn d4_7_the_fourth_server_is_left_out_and_said() {
    let said = check(
        json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"]}}),
        "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n",
    );
    assert_eq!(
        said,
        [
            "DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3"
        ]
    );
}

#[test]
fn d4_8_without_cluster_dns_the_nodes_is_used_and_said() {
    let (resolv, reasons) =
        dns::of_pod(&pod(json!({"containers": []})), &dns::parse(NODE), &ClusterDns::default());
    assert_eq!(resolv, dns::parse(NODE));
    assert_eq!(reasons[0].reason, "MissingClusterDNS");
}

#[test]
fn d4_no_text_makes_the_parser_stumble() {
    for text in ["", "nameserver", "search", "\0\n;x\noptions", "nameserver  \t \n"] {
        assert_eq!(dns::parse(text), Resolv::default(), "{text:?}");
    }
}

fn name(meta_name: &str, spec: Value) -> Result<hostname::Hostname, String> {
    let mut pod = pod(json!({"containers": []}));
    pod.metadata.name = Some(meta_name.to_owned());
    let mut full = spec;
    full["containers"] = json!([]);
    pod.spec = serde_json::from_value(full).expect("a spec");
    hostname::of(&pod, "cluster.local")
}

#[test]
fn d5_1_hostname_and_domain() {
    let long = format!("{}-{}", "a".repeat(62), "b".repeat(10));
    assert_eq!(name(&long, json!({})).expect("a name").short, "a".repeat(62));
    let full =
        name("p", json!({"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": true})).expect("a name");
    assert_eq!(
        (full.short.as_str(), full.domain.as_str(), full.kernel.as_str()),
        ("h", "s.ns.svc.cluster.local", "h.s.ns.svc.cluster.local")
    );
    let error = name("p", json!({"hostname": "h".repeat(60), "subdomain": "s", "setHostnameAsFQDN": true}))
        .expect_err("too long");
    assert!(error.contains("is too long (64 characters is the max, 83 characters requested)"), "{error}");
}

#[test]
fn d5_3_hosts_files() {
    let host = name("p", json!({"hostname": "h", "subdomain": "s"})).expect("a name");
    let aliases =
        [serde_json::from_value(json!({"ip": "1.2.3.4", "hostnames": ["a", "b"]})).expect("an alias")];
    let head = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    let ips = ["10.244.0.5".to_owned()];
    assert_eq!(
        hosts::of_pod(&ips, &host, &aliases),
        format!(
            "{head}10.244.0.5\th.s.ns.svc.cluster.local\th\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
        )
    );
    let plain = name("p", json!({})).expect("a name");
    assert_eq!(hosts::of_pod(&ips, &plain, &[]), format!("{head}10.244.0.5\tp\n"));
    assert_eq!(
        hosts::of_host("127.0.0.1 localhost\n", &[]),
        "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"
    );
}
