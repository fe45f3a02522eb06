//! The cache: how long, how much, and never what may not be kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cache, ENTRIES_MAX};
use crate::message::{Question, Received};

fn question(number: usize) -> Question {
    let label = format!("{number:06}");
    let bytes = [&[6], label.as_bytes(), &[0, 0, 1, 0, 1]].concat().into();
    Question { bytes, dnssec_ok: false, checking_disabled: false }
}

/// A reply of one A record.
fn reply(question: &Question, ttl: u32) -> Arc<Received> {
    let header = [0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0];
    let record = [&[0xc0, 12, 0, 1, 0, 1][..], &ttl.to_be_bytes(), &[0, 4, 192, 0, 2, 1]].concat();
    Arc::new(Received::read([&header[..], &question.bytes, &record].concat(), question).unwrap())
}

#[test]
fn kept_for_its_time_and_no_longer_than_ours_d3_2() {
    let check = |ttl: u32, after: u64, expected: Option<u32>| {
        let (mut cache, now, asked) = (Cache::default(), Instant::now(), question(1));
        cache.put(&asked, &reply(&asked, ttl), now);
        let age = cache.get(&asked, now + Duration::from_secs(after)).map(|(_, age)| age);
        assert_eq!(age, expected, "ttl {ttl}, after {after}");
    };
    check(10, 9, Some(9));
    check(10, 10, None);
    check(3600, 29, Some(29));
    check(3600, 30, None);
    check(0, 0, None);
}

#[test]
fn different_questions_are_different() {
    let (mut cache, now, asked) = (Cache::default(), Instant::now(), question(1));
    cache.put(&asked, &reply(&asked, 10), now);
    assert!(cache.get(&question(2), now).is_none());
    assert!(cache.get(&Question { dnssec_ok: true, ..question(1) }, now).is_none());
}

#[test]
fn the_oldest_goes_when_there_is_no_room() {
    let (mut cache, now) = (Cache::default(), Instant::now());
    for number in 0..ENTRIES_MAX + 10 {
        let asked = question(number);
        cache.put(&asked, &reply(&asked, 10), now);
        cache.put(&asked, &reply(&asked, 10), now);
    }
    assert_eq!((cache.held(), cache.evicted()), ([ENTRIES_MAX, 0], [10, 0]));
    assert!(cache.get(&question(9), now).is_none());
    assert!(cache.get(&question(10), now).is_some());
}

/// A reply that says there is no such name, with the SOA that says how long that holds (RFC 2308 §5).
fn denial(question: &Question, ttl: u32, minimum: u32) -> Arc<Received> {
    let header = [0, 1, 0x80, 3, 0, 1, 0, 0, 0, 1, 0, 0];
    let record = [&[0xc0, 12, 0, 6, 0, 1][..], &ttl.to_be_bytes(), &[0, 22, 0, 0]].concat();
    let numbers = [1, 7200, 1800, 86_400, minimum].map(u32::to_be_bytes).concat();
    Arc::new(Received::read([&header[..], &question.bytes, &record, &numbers].concat(), question).unwrap())
}

#[test]
fn denials_are_kept_as_long_as_their_soa_says() {
    let (mut cache, now, asked) = (Cache::default(), Instant::now(), question(1));
    cache.put(&asked, &denial(&asked, 20, 8), now);
    assert_eq!(cache.held(), [0, 1]);
    assert!(cache.get(&asked, now + Duration::from_secs(7)).is_some());
    assert!(cache.get(&asked, now + Duration::from_secs(8)).is_none());
    cache.put(&asked, &reply(&asked, 20), now + Duration::from_secs(9));
    assert_eq!(cache.held(), [1, 0]);
    let without_soa = question(2);
    let bare = [&[0, 1, 0x80, 3, 0, 1, 0, 0, 0, 0, 0, 0][..], &without_soa.bytes].concat();
    cache.put(&without_soa, &Arc::new(Received::read(bare, &without_soa).unwrap()), now);
    assert!(cache.get(&without_soa, now).is_none(), "how long it holds is not said");
}
