//! Properties under concurrency: what a list and a watch say together is what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;

use super::directory::{Directory, list};
use crate::{Change, Embedded, EventKind, Expect, Store};

/// Keys to values, as a reader knows them.
type Known = BTreeMap<String, Vec<u8>>;

/// A small generator: the same seed, the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn random_commit(random: &mut Random) -> Vec<Change> {
    (0..1 + random.below(4)).map(|_| random_change(random)).collect()
}

fn random_change(random: &mut Random) -> Change {
    let key = format!("/{}/{}", random.below(3), random.below(20));
    match random.below(3) {
        0 => Change::delete(key, Expect::Any, "gone"),
        _ => Change::put(key, Expect::Any, random.below(1000).to_string()),
    }
}

fn known(store: &Embedded, prefix: &str) -> (u64, Known) {
    let listing = list(store, prefix, None, 0);
    let entries = listing.entries.iter().map(|entry| (entry.key.to_string(), entry.value.to_vec()));
    (listing.revision, entries.collect())
}

async fn write_randomly(store: Arc<Embedded>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..100 {
        store.commit(random_commit(&mut random)).await.unwrap();
    }
}

/// Lists, then follows the watch to `end`; on the way every list must agree with what the watch has said so far.
async fn follow(store: Arc<Embedded>, prefix: &'static str, end: u64) -> Known {
    let (mut revision, mut state) = known(&store, prefix);
    let mut watch = store.watch(prefix, revision).unwrap();
    while revision < end {
        let event = watch.next().await.unwrap().unwrap();
        assert!(event.revision >= revision, "revisions never go back");
        revision = event.revision;
        let known = state.get(&*event.entry.key).cloned();
        assert_eq!(
            event.previous.as_ref().map(|previous| previous.value.to_vec()),
            known,
            "it follows on what was"
        );
        assert_eq!(event.kind == EventKind::Created, known.is_none());
        match event.kind {
            EventKind::Deleted => drop(state.remove(&*event.entry.key)),
            _ => drop(state.insert(event.entry.key.to_string(), event.entry.value.to_vec())),
        }
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn list_and_watch_replay_to_the_current_state() {
    for seed in 1..6 {
        let directory = Directory::new();
        let store = Arc::new(directory.open());
        let writers: Vec<_> =
            (0..4).map(|n| tokio::spawn(write_randomly(store.clone(), seed * 1000 + n * 7919 + 1))).collect();
        tokio::time::sleep(std::time::Duration::from_millis(seed * 3)).await;
        // The end is a last commit under every prefix, which the followers wait for.
        let (early, early_narrow) = (known(&store, "/"), known(&store, "/1/"));
        for writer in writers {
            writer.await.unwrap();
        }
        let last = ["/0/end", "/1/end", "/2/end"].map(|key| Change::put(key, Expect::Any, "end"));
        let end = store.commit(last.into()).await.unwrap();
        for ((revision, mut state), prefix) in [(early, "/"), (early_narrow, "/1/")] {
            let mut watch = store.watch(prefix, revision).unwrap();
            replay(&mut watch, &mut state, end, if prefix == "/" { 3 } else { 1 }).await;
            assert_eq!(
                state,
                known(&store, prefix).1,
                "seed {seed}, prefix {prefix}, from revision {revision}"
            );
        }
    }
}

/// Applies events until `ends` of them are of the last revision.
async fn replay(watch: &mut crate::Watch, state: &mut Known, end: u64, ends: usize) {
    let mut left = ends;
    while left > 0 {
        let event = watch.next().await.unwrap().unwrap();
        match event.kind {
            EventKind::Deleted => drop(state.remove(&*event.entry.key)),
            _ => drop(state.insert(event.entry.key.to_string(), event.entry.value.to_vec())),
        }
        left -= usize::from(event.revision == end);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn followers_see_every_step_while_others_write() {
    let directory = Directory::new();
    let store = Arc::new(directory.open());
    // One commit a revision and none of them empty: 200 puts by two writers end at revision 201.
    let puts = |seed: u64| {
        let store = store.clone();
        async move {
            let mut random = Random(seed);
            for _ in 0..100 {
                let key = format!("/k/{}", random.below(10));
                store
                    .commit(vec![Change::put(key, Expect::Any, random.below(1000).to_string())])
                    .await
                    .unwrap();
            }
        }
    };
    let follower = tokio::spawn(follow(store.clone(), "/k/", 201));
    let writers = [tokio::spawn(puts(3)), tokio::spawn(puts(5))];
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(follower.await.unwrap(), known(&store, "/k/").1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_is_seen_whole_and_lists_never_go_back() {
    let directory = Directory::new();
    let store = Arc::new(directory.open());
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for n in 0..300_u64 {
            let both = ["/pair/a", "/pair/b"].map(|key| Change::put(key, Expect::Any, n.to_string()));
            let revision = writer.commit(both.into()).await.unwrap();
            assert!(writer.revision() >= revision, "what was answered can be read");
        }
    });
    let mut last = 0;
    while !writing.is_finished() {
        let listing = list(&store, "/pair/", None, 0);
        assert!(listing.revision >= last);
        last = listing.revision;
        if let [a, b] = listing.entries.as_slice() {
            assert_eq!((&a.value, a.mod_revision), (&b.value, b.mod_revision), "half a commit was visible");
            assert_eq!(a.mod_revision, listing.revision);
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
