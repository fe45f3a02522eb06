//! The flags of `kelson proxy` and what they mean.

use clap::Parser;

use super::{Config, Flags, config};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn parsed(line: &str) -> Result<Config, String> {
    let words = std::iter::once("proxy").chain(line.split_whitespace());
    config(&Cli::parse_from(words).flags, "host-1").map_err(|usage| usage.to_string())
}

#[test]
fn defaults_are_kube_proxys_c8_5() {
    let config = parsed("").unwrap();
    assert_eq!(config.node_name, "host-1");
    assert_eq!(config.health, "0.0.0.0:10256".parse().unwrap());
    assert_eq!(config.metrics, "127.0.0.1:10249".parse().unwrap());
    assert!(config.proxy.pod_interfaces.is_empty() && !config.proxy.masquerade_pods);
}

#[test]
fn every_flag_counts() {
    let line = "--hostname-override n2 --cluster-cidr 10.1.0.0/16,fd00::/64 --service-cidr 10.2.0.0/16 --masquerade-all";
    let config = parsed(line).unwrap();
    assert_eq!(config.node_name, "n2");
    assert_eq!((config.pod_cidrs.len(), config.service_cidrs.len()), (2, 1));
    assert!(config.proxy.masquerade_all);
}

#[test]
fn what_cannot_be_names_its_flag() {
    let check = |line: &str, expected: &str| assert_eq!(parsed(line).unwrap_err(), expected);
    check("--cluster-cidr ten", "--cluster-cidr: \"ten\" is no address range; pass one like 10.244.0.0/16");
    assert!(parsed("--node-name A_B").unwrap_err().starts_with("--node-name: \"A_B\" is not a name: "));
}
