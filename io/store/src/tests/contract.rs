//! What every store promises.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::directory::{Directory, commit, list, value};
use crate::{
    CHANGES_MAX, Change, Config, Event, EventKind, Expect, Op, Store, StoreError, VALUE_BYTES_MAX, Watch,
};

fn put(key: &str, text: &str) -> Change {
    Change::put(key, Expect::Any, text.to_owned())
}

fn next(watch: &mut Watch) -> Option<Result<Arc<Event>, StoreError>> {
    watch.next().now_or_never().unwrap()
}

fn seen(watch: &mut Watch, count: usize) -> Vec<(u64, EventKind, String)> {
    let event = |watch: &mut Watch| next(watch).unwrap().unwrap();
    (0..count)
        .map(|_| event(watch))
        .map(|event| (event.revision, event.kind, event.entry.key.to_string()))
        .collect()
}

#[test]
fn a_commit_has_one_revision_and_the_encoder_is_told() {
    let directory = Directory::new();
    let store = directory.open();
    let encode = |revision: u64| Bytes::from(format!("made at {revision}"));
    let change = Change { key: "/b".to_owned(), expect: Expect::Absent, op: Op::Put(Box::new(encode)) };
    assert_eq!(store.revision(), 1);
    assert_eq!(commit(&store, vec![put("/a", "1"), change]).unwrap(), 2);
    assert_eq!(value(&store, "/b").unwrap(), "made at 2");
    assert_eq!(commit(&store, vec![put("/a", "2")]).unwrap(), 3);
    let entry = store.get("/a").now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision), (2, 3));
}

#[test]
fn preconditions_are_all_or_nothing() {
    let directory = Directory::new();
    let store = directory.open();
    commit(&store, vec![put("/a", "1")]).unwrap();
    let check = |expect, expected: Result<u64, usize>| {
        let outcome = commit(&store, vec![put("/other", "x"), Change::put("/a", expect, "2")]);
        match (outcome, expected) {
            (Ok(revision), Ok(expected)) => assert_eq!(revision, expected),
            (Err(StoreError::Conflict { index, current }), Err(expected)) => {
                assert_eq!((index, current.unwrap().mod_revision), (expected, 2));
                assert_eq!(value(&store, "/other"), None, "nothing of a failed commit is there");
            }
            other => panic!("{other:?}"),
        }
    };
    check(Expect::Absent, Err(1));
    check(Expect::Revision(1), Err(1));
    check(Expect::Revision(2), Ok(3));
    check(Expect::Any, Ok(4));
}

#[test]
fn changes_of_one_commit_see_each_other() {
    let directory = Directory::new();
    let store = directory.open();
    let twice = vec![Change::put("/a", Expect::Absent, "1"), Change::put("/a", Expect::Revision(2), "2")];
    assert_eq!(commit(&store, twice).unwrap(), 2);
    let clash = vec![Change::put("/b", Expect::Absent, "1"), Change::put("/b", Expect::Absent, "2")];
    assert!(matches!(commit(&store, clash), Err(StoreError::Conflict { index: 1, .. })));
}

#[test]
fn changing_nothing_takes_no_revision() {
    let directory = Directory::new();
    let store = directory.open();
    assert_eq!(commit(&store, vec![]).unwrap(), 1);
    assert_eq!(commit(&store, vec![Change::delete("/a", Expect::Any, "gone")]).unwrap(), 1);
    let missing = commit(&store, vec![Change::delete("/a", Expect::Revision(1), "gone")]);
    assert!(matches!(missing, Err(StoreError::Conflict { index: 0, current: None })));
}

#[test]
fn lists_by_prefix_and_page() {
    let directory = Directory::new();
    let store = directory.open();
    commit(&store, ["/p/a", "/p/b", "/p/c", "/pq", "/o"].map(|key| put(key, "x")).into()).unwrap();
    let check = |prefix, after, limit, keys: &[&str], remaining| {
        let page = list(&store, prefix, after, limit);
        let found: Vec<&str> = page.entries.iter().map(|entry| entry.key.as_ref()).collect();
        assert_eq!((found.as_slice(), page.remaining, page.revision), (keys, remaining, 2));
    };
    check("/p/", None, 0, &["/p/a", "/p/b", "/p/c"], 0);
    check("/p/", None, 2, &["/p/a", "/p/b"], 1);
    check("/p/", Some("/p/b"), 2, &["/p/c"], 0);
    check("/p/", Some("/a"), 1, &["/p/a"], 2);
    check("/p/", Some("/z"), 0, &[], 0);
    check("/none", None, 0, &[], 0);
}

#[test]
fn watches_replay_and_follow() {
    let directory = Directory::new();
    let store = directory.open();
    commit(&store, vec![put("/p/a", "1"), put("/o", "x")]).unwrap();
    commit(&store, vec![put("/p/a", "2")]).unwrap();
    let mut watch = store.watch("/p/", 1).unwrap();
    let mut later = store.watch("/p/", 2).unwrap();
    commit(&store, vec![Change::delete("/p/a", Expect::Any, "gone")]).unwrap();
    let (created, updated, deleted) = (EventKind::Created, EventKind::Updated, EventKind::Deleted);
    let key = || "/p/a".to_owned();
    assert_eq!(seen(&mut watch, 3), [(2, created, key()), (3, updated, key()), (4, deleted, key())]);
    assert_eq!(seen(&mut later, 1), [(3, updated, key())]);
    let tombstone = next(&mut later).unwrap().unwrap();
    assert_eq!(
        (&tombstone.entry.value[..], &tombstone.previous.as_ref().unwrap().value[..]),
        (&b"gone"[..], &b"2"[..])
    );
    assert!(watch.next().now_or_never().is_none(), "it waits for more");
    drop(store);
    assert!(next(&mut watch).is_none(), "it ends with the store");
}

#[test]
fn the_past_is_bounded_and_the_future_refused() {
    let directory = Directory::new();
    let store = directory.open_with(Config { events_max: 2, ..Config::default() });
    for n in 0..5 {
        commit(&store, vec![put("/a", &n.to_string())]).unwrap();
    }
    assert!(matches!(store.watch("/", 3), Err(StoreError::Compacted { oldest: 4 })));
    assert_eq!(seen(&mut store.watch("/", 4).unwrap(), 2).len(), 2);
    assert!(matches!(store.watch("/", 7), Err(StoreError::FutureRevision { requested: 7, current: 6 })));
    let small = Directory::new();
    let store = small.open_with(Config { event_bytes_max: 1000, ..Config::default() });
    for _ in 0..5 {
        commit(&store, vec![put("/a", &"x".repeat(300))]).unwrap();
    }
    assert!(matches!(store.watch("/", 4), Err(StoreError::Compacted { oldest: 5 })));
    assert!(store.watch("/", 5).is_ok());
}

#[test]
fn a_slow_watcher_is_ended_and_the_writer_goes_on() {
    let directory = Directory::new();
    let store = directory.open_with(Config { watcher_events_max: 3, ..Config::default() });
    let mut slow = store.watch("/", 1).unwrap();
    for n in 0..10 {
        commit(&store, vec![put("/a", &n.to_string())]).unwrap();
    }
    assert_eq!(seen(&mut slow, 3).len(), 3, "what fitted is still delivered");
    assert!(matches!(next(&mut slow), Some(Err(StoreError::Lagged { kept: 3 }))));
    assert!(next(&mut slow).is_none());
}

#[test]
fn sizes_are_bounded_and_say_which() {
    let directory = Directory::new();
    let store = directory.open();
    let check = |changes, expected: &str| match commit(&store, changes) {
        Err(StoreError::TooLarge { what, .. }) => assert_eq!(what, expected),
        other => panic!("{other:?}"),
    };
    check(vec![put(&"k".repeat(1025), "")], "the key");
    check(vec![Change::put("/a", Expect::Any, vec![0; VALUE_BYTES_MAX + 1])], "the value");
    check((0..=CHANGES_MAX).map(|n| put(&n.to_string(), "")).collect(), "the commit");
    assert_eq!(store.revision(), 1);
}

#[test]
fn a_panicking_encoder_fails_its_own_commit_only() {
    let directory = Directory::new();
    let store = directory.open();
    let panics = Op::Put(Box::new(|_| panic!("on purpose")));
    let outcome = commit(
        &store,
        vec![put("/a", "1"), Change { key: "/b".to_owned(), expect: Expect::Any, op: panics }],
    );
    assert!(matches!(outcome, Err(StoreError::Encode)));
    assert_eq!(commit(&store, vec![put("/c", "1")]).unwrap(), 2);
    assert_eq!((value(&store, "/a"), value(&store, "/c")), (None, Some("1".to_owned())));
}
