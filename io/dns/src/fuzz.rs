//! Entries for fuzzing what other name servers and the node's files say: any bytes in, no panic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kelson_zones::Query;

use crate::cache::Cache;
use crate::message::{Question, Received};
use crate::resolv_conf;

/// The number the question was sent under.
const ID: u16 = 5;

/// What a name server of the outside answers to `client`'s query: `reply` from its flags on. Its number and question are
/// put in front, so that every input gets past the first check.
pub fn reply(client: &[u8], reply: &[u8]) {
    let Ok(query) = Query::parse(client) else { return };
    let question = Question::of(&query);
    let (flags, rest) = reply.split_at(reply.len().min(2));
    let (counts, rest) = rest.split_at(rest.len().min(6));
    let bytes = [&ID.to_be_bytes(), flags, &[0, 1], counts, &question.bytes, rest].concat();
    if !question.is_answered_by(ID, &bytes) {
        return;
    }
    let length = bytes.len();
    let Some(received) = Received::read(bytes, &question) else { return };
    let (received, now) = (Arc::new(received), Instant::now());
    let mut cache = Cache::default();
    cache.put(&question, &received, now);
    let kept = cache.get(&question, now + Duration::from_secs(1)).map(|(reply, age)| (reply, Some(age)));
    let (received, age) = kept.unwrap_or((received, None));
    for limit in [512, usize::from(u16::MAX)] {
        let answer = received.reply_to(&query, age.unwrap_or(u32::MAX), limit);
        assert!(answer.len() <= limit.max(client.len()), "{} bytes of {length}", answer.len());
        assert_eq!((&answer[..2], answer[2] & 0x80), (&query.id[..], 0x80));
    }
}

/// A `resolv.conf`.
pub fn resolv_conf(text: &str) {
    let _ = resolv_conf::name_servers(text);
}
