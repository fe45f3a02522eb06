//! Pool: what ranges offer, and which texts are none.

use std::net::IpAddr;

use super::{Pool, PoolError};

/// The first and last address on offer, and how many there are.
fn check(text: &str, expected: Result<(&str, &str, usize), PoolError>) {
    let offered = text.parse::<Pool>().map(|pool| {
        let all: Vec<IpAddr> = pool.iter().take(1 << 17).collect();
        assert!(all.iter().all(|address| pool.offers(*address)), "{text} yields what it does not offer");
        (all[0].to_string(), all[all.len() - 1].to_string(), all.len())
    });
    let expected = expected.map(|(first, last, count)| (first.to_owned(), last.to_owned(), count));
    assert_eq!(offered, expected, "{text}");
}

#[test]
fn network_and_broadcast_addresses_are_nobodys() {
    check("10.10.0.0/26", Ok(("10.10.0.1", "10.10.0.62", 62)));
    check(" 10.10.0.77/26 ", Ok(("10.10.0.65", "10.10.0.126", 62)));
    check("10.10.0.0/30", Ok(("10.10.0.1", "10.10.0.2", 2)));
    check("10.10.0.0/31", Ok(("10.10.0.0", "10.10.0.1", 2)));
    check("10.10.0.9/32", Ok(("10.10.0.9", "10.10.0.9", 1)));
    check("fd00::/120", Ok(("fd00::1", "fd00::ff", 255)));
    check("fd00::/64", Ok(("fd00::1", "fd00::2:0", 1 << 17)));
}

#[test]
fn what_is_no_range_of_reachable_addresses_is_refused() {
    for text in ["", "10.10.0.0", "10.10.0.0/33", "10.10.0.0/-1", "a/8", "fd00::/129", "10.10.0.0/26/1"] {
        check(text, Err(PoolError::Malformed));
    }
    for text in [
        "127.0.0.0/8",
        "169.254.7.0/24",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "0.0.0.0/0",
        "0.0.0.0/8",
        "fe80::/64",
        "::1/128",
        "ff00::/8",
        "::/0",
    ] {
        check(text, Err(PoolError::Unreachable));
    }
}

#[test]
fn families_never_mix() {
    let pool: Pool = "10.10.0.0/26".parse().unwrap();
    assert!(pool.offers("10.10.0.1".parse().unwrap()));
    for other in ["10.10.0.0", "10.10.0.63", "10.10.0.64", "::10.10.0.1"] {
        assert!(!pool.offers(other.parse().unwrap()), "{other}");
    }
}
