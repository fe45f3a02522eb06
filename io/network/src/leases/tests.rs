//! Leases: uniqueness, late reuse, exhaustion, and what is refused when read back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use super::{Lease, Leases};
use crate::address::Range;

const SMALL: Range = Range { network: Ipv4Addr::new(10, 1, 0, 0), prefix: 29 };

fn take(leases: &mut Leases, pod: &str) -> Option<u8> {
    leases.take(pod, Path::new("/n")).map(|lease| lease.address.octets()[3])
}

/// Runs steps (`"+a"` takes, `"-a"` releases) and compares the last octets handed out; 0 stands for none left.
fn check(steps: &[&str], expected: &[u8]) {
    let mut leases = Leases::new(SMALL);
    let mut got = Vec::new();
    for step in steps {
        match step.split_at(1) {
            ("+", pod) => got.push(take(&mut leases, pod).unwrap_or(0)),
            (_, pod) => drop(leases.release(pod)),
        }
    }
    assert_eq!(got, expected, "{steps:?}");
}

#[test]
fn gateway_network_and_broadcast_are_never_handed_out() {
    check(&["+a", "+b", "+c", "+d", "+e", "+f"], &[2, 3, 4, 5, 6, 0]);
}

#[test]
fn the_same_pod_keeps_its_address() {
    check(&["+a", "+b", "+a"], &[2, 3, 2]);
}

#[test]
fn a_released_address_is_reused_last() {
    check(&["+a", "-a", "+b", "-b", "+c", "+d", "+e", "+f"], &[2, 3, 4, 5, 6, 2]);
}

#[test]
fn an_exhausted_range_hands_out_what_is_released() {
    check(&["+a", "+b", "+c", "+d", "+e", "-c", "+f", "+g"], &[2, 3, 4, 5, 6, 4, 0]);
}

#[test]
fn cursor_survives_and_links_differ() {
    let mut leases = Leases::new(SMALL);
    take(&mut leases, "a");
    take(&mut leases, "b");
    leases.release("a");
    let mut again = Leases::restore(SMALL, leases.cursor(), leases.held().clone()).unwrap();
    assert_eq!(again, leases);
    assert_eq!(take(&mut again, "c"), Some(4));
    let links: BTreeSet<_> = again.held().values().map(|lease| lease.link.clone()).collect();
    assert_eq!(links.len(), 2);
    assert!(links.iter().all(|link| link.len() == 15));
}

#[test]
fn damaged_leases_are_refused() {
    let lease = |last| Lease { address: [10, 1, 0, last].into(), link: "kp0".into(), netns: "/n".into() };
    let held = |pods: &[(&str, u8)]| -> BTreeMap<String, Lease> {
        pods.iter().map(|(pod, last)| ((*pod).to_owned(), lease(*last))).collect()
    };
    let cursor = SMALL.first();
    assert!(Leases::restore(SMALL, cursor, held(&[("a", 2), ("b", 3)])).is_some());
    assert!(
        Leases::restore(SMALL, cursor, held(&[("a", 2), ("b", 2)])).is_none(),
        "one address, two holders"
    );
    assert!(Leases::restore(SMALL, cursor, held(&[("a", 1)])).is_none(), "the gateway's");
    assert!(Leases::restore(SMALL, cursor, held(&[("a", 9)])).is_none(), "outside the range");
}
