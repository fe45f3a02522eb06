//! Choices among endpoints that nobody listens on: only the choosing is tried.

use super::*;
use crate::config::Limits;
use crate::upstream::Upstreams;

fn upstreams(count: u8) -> Vec<Arc<Upstream>> {
    let addresses: Vec<_> = (1..=count).map(|last| ([192, 0, 2, last], 80).into()).collect();
    Upstreams::new(Arc::new(Limits::default()), 1).of(&addresses, false)
}

fn balance(upstreams: &[Arc<Upstream>]) -> Balance {
    Balance::new(upstreams.to_vec(), 7).unwrap()
}

/// G2.10: one after the other, each gets its turn.
#[test]
fn without_load_every_endpoint_gets_its_turn() {
    for count in 1..=10 {
        let upstreams = upstreams(count);
        let balance = balance(&upstreams);
        let mut chosen: Vec<_> = (0..count).map(|_| balance.choose(&[]).address()).collect();
        chosen.sort();
        assert_eq!(chosen, upstreams.iter().map(|upstream| upstream.address()).collect::<Vec<_>>());
    }
}

#[test]
fn the_less_loaded_of_two_is_chosen() {
    let upstreams = upstreams(2);
    let balance = balance(&upstreams);
    let requests: Vec<_> = (0..3).map(|_| upstreams[0].request()).collect();
    assert!((0..10).all(|_| Arc::ptr_eq(balance.choose(&[]), &upstreams[1])));
    drop(requests);
    assert!((0..10).any(|_| Arc::ptr_eq(balance.choose(&[]), &upstreams[0])));
}

#[test]
fn what_was_tried_in_vain_is_chosen_only_when_nothing_else_is_left() {
    let upstreams = upstreams(3);
    let balance = balance(&upstreams);
    let tried = &upstreams[..2];
    assert!((0..10).all(|_| Arc::ptr_eq(balance.choose(tried), &upstreams[2])));
    assert!((0..10).any(|_| Arc::ptr_eq(balance.choose(&upstreams), &upstreams[0])));
}

#[test]
fn an_endpoint_that_was_unreachable_is_passed_over() {
    let upstreams = upstreams(2);
    let balance = balance(&upstreams);
    upstreams[1].avoid();
    assert!((0..10).all(|_| Arc::ptr_eq(balance.choose(&[]), &upstreams[0])));
}

#[test]
fn no_endpoint_is_no_balance() {
    assert!(Balance::new(Vec::new(), 0).is_none());
}
