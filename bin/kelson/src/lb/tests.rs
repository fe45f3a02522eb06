//! The flags of `kelson lb` and what they mean.

use clap::Parser;

use super::{Config, Flags, config};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn parsed(line: &str) -> Result<Config, String> {
    let words = std::iter::once("lb").chain(line.split_whitespace());
    config(&Cli::parse_from(words).flags, "host-1", 7).map_err(|usage| usage.to_string())
}

#[test]
fn a_range_is_all_it_needs() {
    let config = parsed("--load-balancer-cidr 10.10.0.0/26").unwrap();
    assert_eq!((config.pools.len(), config.arp.ranges.len()), (1, 1));
    assert_eq!((config.arp.only_links, config.arp.silent_links), (Vec::new(), Vec::new()));
    assert_eq!(config.seat.identity, "host-1_0000000000000007");
    assert_eq!((config.seat.namespace.as_str(), config.seat.name.as_str()), ("kube-system", "kelson-lb"));
    assert_eq!(config.health, "0.0.0.0:7472".parse().unwrap());
}

#[test]
fn every_flag_counts() {
    let line = "--load-balancer-cidr 10.10.0.0/26,10.20.0.0/30 --interface eth0 --interface eth1 --node-name n2 \
                --leader-elect-resource-namespace lb --health-bind-address 127.0.0.1:1";
    let config = parsed(line).unwrap();
    assert_eq!((config.pools.len(), config.arp.only_links.len()), (2, 2));
    assert_eq!(
        (config.seat.identity.as_str(), config.seat.namespace.as_str()),
        ("n2_0000000000000007", "lb")
    );
    assert_eq!(config.health, "127.0.0.1:1".parse().unwrap());
}

#[test]
fn what_cannot_be_names_its_flag() {
    let check = |line: &str, expected: &str| assert_eq!(parsed(line).unwrap_err(), expected);
    let malformed = |text: &str| {
        format!("--load-balancer-cidr: \"{text}\" is not an IPv4 range; pass one like 10.10.0.0/26")
    };
    check("--load-balancer-cidr ten", &malformed("ten"));
    check("--load-balancer-cidr fd00::/64", &malformed("fd00::/64"));
    check(
        "--load-balancer-cidr 10.10.0.0/24,10.10.0.0/26",
        "--load-balancer-cidr: 10.10.0.0/26 overlaps another 10.10.0.0/24",
    );
    let loopback = parsed("--load-balancer-cidr 127.0.0.0/8").unwrap_err();
    assert!(
        loopback.ends_with("holds addresses that clients cannot reach (loopback, link-local or multicast)")
    );
    let name = parsed("--load-balancer-cidr 10.10.0.0/26 --node-name A_B").unwrap_err();
    assert!(name.starts_with("--node-name: \"A_B\" is not a name: "), "{name}");
}
