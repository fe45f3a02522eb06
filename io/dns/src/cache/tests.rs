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
    assert_eq!(cache.len(), ENTRIES_MAX);
    assert!(cache.get(&question(9), now).is_none());
    assert!(cache.get(&question(10), now).is_some());
}
