//! What the flags accept, and what they say when they do not.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn config(line: &str) -> Result<Config, String> {
    let arguments = std::iter::once("up").chain(line.split_whitespace());
    let flags = Line::try_parse_from(arguments).expect("the flags exist").flags;
    parse(flags, "Node-1", Some("192.0.2.7".parse().unwrap())).map_err(|usage| usage.0)
}

#[test]
fn defaults_are_the_tutorials() {
    let config = config("").unwrap();
    assert_eq!(config.service_cidr.to_string(), "10.96.0.0/16");
    assert_eq!(config.pod_cidr.to_string(), "10.244.0.0/16");
    assert_eq!(config.cluster_dns.to_string(), "10.96.0.10");
    assert_eq!(config.gateway().to_string(), "10.244.0.1");
    assert_eq!(config.node_name, "node-1");
    assert_eq!(config.node_ports, (30000, 32767));
    assert_eq!(config.kubeconfig.to_str(), Some("/var/lib/kelson/kubeconfig"));
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:6443", "192.0.2.7:6443"]);
}

#[test]
fn ingress_is_on_the_ports_of_the_web_unless_told_otherwise() {
    assert_eq!(config("").unwrap().ingress_ports, (80, 443));
    let none = config("--ingress-http-port 0 --ingress-https-port 0").unwrap();
    assert_eq!(none.ingress_ports, (0, 0));
    let same = "--ingress-https-port: 8080 is the port of --ingress-http-port too";
    check("--ingress-http-port 8080 --ingress-https-port 8080", same);
}

#[test]
fn without_a_routed_address_the_node_is_known_by_its_bridge() {
    let flags = Line::try_parse_from(["up"]).unwrap().flags;
    assert_eq!(parse(flags, "n", None).unwrap().node_ip.to_string(), "10.244.0.1");
}

#[test]
fn cluster_dns_follows_the_service_range() {
    assert_eq!(config("--service-cidr 10.224.0.0/16").unwrap().cluster_dns.to_string(), "10.224.0.10");
}

#[test]
fn what_the_node_keeps_free_is_read_as_the_kubelet_reads_it() {
    assert!(!config("").unwrap().eviction_hard.is_empty());
    assert!(config("--eviction-hard=").unwrap().eviction_hard.is_empty());
    assert!(config("--eviction-hard memory.available<1Gi,nodefs.available<10%").is_ok());
    check("--eviction-hard swap<1Gi", "--eviction-hard: unsupported eviction signal swap");
}

#[test]
fn balancer_ranges_are_off_unless_given() {
    assert!(config("").unwrap().load_balancer_ranges.is_empty());
    let given = config("--load-balancer-cidr 10.10.0.1/26 --load-balancer-cidr 192.0.2.240/28").unwrap();
    let pools: Vec<String> = given.load_balancer_pools().iter().map(ToString::to_string).collect();
    assert_eq!(pools, ["10.10.0.0/26", "192.0.2.240/28"]);
    assert!(config("--load-balancer-cidr 10.10.0.5/32").is_ok());
}

#[test]
fn balancer_ranges_are_nobody_elses() {
    let check = |value: &str, expected: &str| check(&format!("--load-balancer-cidr {value}"), expected);
    check("10.10.0.0", "--load-balancer-cidr: \"10.10.0.0\" is not an IPv4 range; pass one like");
    check("fd00::/120", "--load-balancer-cidr: \"fd00::/120\" is not an IPv4 range");
    check("127.0.0.0/24", "--load-balancer-cidr: 127.0.0.0/24 holds addresses that clients cannot reach");
    check("10.244.9.0/24", "--load-balancer-cidr: 10.244.9.0/24 overlaps --cluster-cidr 10.244.0.0/16");
    check("10.96.0.0/12", "--load-balancer-cidr: 10.96.0.0/12 overlaps --service-cidr 10.96.0.0/16");
    check(
        "10.10.0.0/26 --load-balancer-cidr 10.10.0.0/24",
        "--load-balancer-cidr: 10.10.0.0/24 overlaps another 10.10.0.0/26; give it a range of its own",
    );
    check("192.0.2.0/24", "--load-balancer-cidr: 192.0.2.0/24 holds the node's address 192.0.2.7");
}

/// A line of flags must be refused in words that name the flag and a remedy.
fn check(line: &str, expected: &str) {
    let said = config(line).expect_err(line);
    assert!(said.contains(expected), "{line}: {said}");
}

#[test]
fn refusals_name_the_flag() {
    check(
        "--service-cidr 10.96.0.0",
        "--service-cidr: \"10.96.0.0\" is not an IPv4 range; pass one like 10.96.0.0/16",
    );
    check(
        "--service-cidr 10.96.0.0/30",
        "--service-cidr: 10.96.0.0/30 has a prefix of /30; pass one from /8 to /28",
    );
    check("--cluster-cidr 10.0.0.0/8", "--service-cidr: 10.96.0.0/16 overlaps --cluster-cidr 10.0.0.0/8");
    check(
        "--cluster-dns 10.97.0.10",
        "--cluster-dns: 10.97.0.10 must be a free address of --service-cidr 10.96.0.0/16",
    );
    check("--cluster-dns 10.96.0.1", "--cluster-dns: 10.96.0.1 must be a free address");
    check("--cluster-domain a_b", "--cluster-domain: \"a_b\" is not a domain name");
    check("--service-node-port-range 5", "--service-node-port-range: \"5\" is not a range of ports");
    check("--service-node-port-range 9-5", "--service-node-port-range: \"9-5\" is not a range of ports");
    check("--node-name Node_1", "--node-name: \"Node_1\" cannot name a node");
    check(
        "--node-ip 10.96.3.3",
        "--node-ip: the node's address 10.96.3.3 lies in --service-cidr 10.96.0.0/16",
    );
    check("--node-ip 127.0.0.1", "--node-ip: 127.0.0.1 cannot be reached by pods");
    check("--datastore-endpoint http://127.0.0.1:2379", "--datastore-endpoint: only the embedded store");
}
