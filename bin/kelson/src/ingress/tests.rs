//! The flags of `kelson ingress` and what they mean.

use clap::Parser;

use super::{Flags, config};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn parsed(line: &str) -> Result<kelson_ingress::Config, String> {
    let words = std::iter::once("ingress").chain(line.split_whitespace());
    config(&Cli::parse_from(words).flags).map_err(|usage| usage.to_string())
}

#[test]
fn defaults_are_the_ports_of_the_web() {
    let config = parsed("").unwrap();
    assert_eq!(config.http, Some("0.0.0.0:80".parse().unwrap()));
    assert_eq!(config.https, Some("0.0.0.0:443".parse().unwrap()));
    assert_eq!(config.routes.class.name, "kelson");
    assert_eq!(config.routes.domain, "cluster.local");
    assert!(config.status_addresses.is_empty() && config.trusted_proxies.is_empty() && !config.local_names);
}

#[test]
fn every_flag_counts() {
    let config = parsed(
        "--bind-address 127.0.0.2 --http-port 0 --https-port 8443 --ingress-class mine --cluster-domain Example.Org. \
         --publish-status-address 192.0.2.1 --trusted-proxy 10.0.0.0/8 --trusted-proxy 192.0.2.9",
    )
    .unwrap();
    assert_eq!((config.http, config.https), (None, Some("127.0.0.2:8443".parse().unwrap())));
    assert_eq!((config.routes.class.name.as_str(), config.routes.domain.as_str()), ("mine", "example.org"));
    assert_eq!(config.status_addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    let trusted: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(trusted, ["10.0.0.0/8", "192.0.2.9/32"]);
}

#[test]
fn what_cannot_be_names_its_flag() {
    let check = |line: &str, expected: &str| {
        let error = parsed(line).unwrap_err();
        assert!(error.starts_with(expected), "{line}: {error}");
    };
    check("--http-port 0 --https-port 0", "--http-port and --https-port: they are the same");
    check("--http-port 443", "--http-port and --https-port: they are the same");
    check("--trusted-proxy here", "--trusted-proxy: \"here\" is no address range; pass one like 10.0.0.0/8");
    check("--cluster-domain a..b", "--cluster-domain: \"a..b\" is not a domain name");
    check("--ingress-class A_b", "--ingress-class: \"A_b\" cannot name a class");
}
