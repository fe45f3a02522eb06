//! The flags of `kelson dns` and what they mean.

use clap::Parser;
use kelson_dns::Upstream;

use super::{Flags, config};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn parsed(line: &str) -> Result<kelson_dns::Config, String> {
    let words = std::iter::once("dns").chain(line.split_whitespace());
    config(&Cli::parse_from(words).flags).map_err(|usage| usage.to_string())
}

#[test]
fn defaults_are_coredns_ports_d3_2() {
    let config = parsed("").unwrap();
    assert_eq!(config.listen, ["0.0.0.0:53".parse().unwrap()]);
    assert_eq!(config.metrics, ["0.0.0.0:9153".parse().unwrap()]);
    assert_eq!(config.health, ["0.0.0.0:8080".parse().unwrap()]);
    assert_eq!(config.ready, ["0.0.0.0:8181".parse().unwrap()]);
    assert_eq!(config.upstream, Upstream::ResolvConf("/etc/resolv.conf".into()));
    assert_eq!(config.domain, "cluster.local");
}

#[test]
fn every_flag_counts() {
    let config = parsed(
        "--bind-address 127.0.0.2 --bind-address ::1 --port 5353 --cluster-domain Example.Org. \
         --upstream 192.0.2.1 --upstream [2001:db8::1]:5300 --metrics-port 0 --health-port 1 --ready-port 2",
    )
    .unwrap();
    assert_eq!(config.listen, ["127.0.0.2:5353".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
    assert_eq!(config.domain, "example.org");
    let servers = ["192.0.2.1:53", "[2001:db8::1]:5300"].map(|server| server.parse().unwrap());
    assert_eq!(config.upstream, Upstream::Servers(servers.into()));
    assert!(config.metrics.is_empty());
    assert_eq!(config.health[0].port(), 1);
    assert_eq!(config.ready[1].port(), 2);
}

#[test]
fn what_cannot_be_names_its_flag() {
    let check = |line: &str, expected: &str| {
        let error = parsed(line).unwrap_err();
        assert!(error.starts_with(expected), "{line}: {error}");
    };
    check(
        "--upstream nowhere",
        "--upstream: \"nowhere\" is no name server; pass an address like 192.0.2.53:53",
    );
    check("--upstream 0.0.0.0", "--upstream: \"0.0.0.0\" is no name server");
    check("--cluster-domain a..b", "--cluster-domain: \"a..b\" is not a domain name");
}
