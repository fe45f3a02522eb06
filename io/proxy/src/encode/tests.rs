//! The shape of a batch: its bounds, its numbering, what is acknowledged, and that no message outgrows its length.

use kelson_tables::Family;
use kelson_tables::nft::{Command, ENDPOINTS, Element, Value};

use super::{BATCH_BEGIN, BATCH_END, DELETE_TABLE, NEW_ELEMENTS, NEW_TABLE, batch};
use crate::attributes::{Attributes, Messages};

fn elements(count: u32) -> Command {
    let element = |n: u32| Element {
        key: n.to_be_bytes().repeat(4),
        key_end: None,
        interval_end: false,
        value: Value::Bytes(vec![1; 8]),
    };
    Command::AddElements { set: ENDPOINTS, elements: (0..count).map(element).collect() }
}

#[test]
fn a_batch_is_framed_numbered_and_acknowledged_once() {
    let commands =
        [(Family::V4, vec![Command::AddTable, Command::DeleteTable]), (Family::V6, vec![Command::AddTable])];
    let batch = batch(&commands).unwrap();
    let messages: Vec<_> = Messages(&batch.bytes).collect();
    let kinds: Vec<u16> = messages.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [BATCH_BEGIN, NEW_TABLE, DELETE_TABLE, NEW_TABLE, BATCH_END]);
    assert!(messages.iter().map(|m| m.sequence).eq(0..5));
    assert_eq!(batch.asked, [(0, 0), (0, 0), (0, 1), (1, 0)]);
    let acknowledged = |at: usize| batch.bytes[at + super::FLAGS_AT] & 4 != 0;
    let mut at = 0;
    let mut asked = vec![];
    for message in &messages {
        asked.push(acknowledged(at));
        at += message.body.len() + 16;
    }
    assert_eq!(asked, [false, false, false, true, false]);
}

#[test]
fn many_elements_become_several_messages_and_none_is_lost() {
    let batch = batch(&[(Family::V4, vec![elements(10_000)])]).unwrap();
    let lists: Vec<usize> = Messages(&batch.bytes)
        .filter(|m| m.kind == NEW_ELEMENTS)
        .map(|m| Attributes(m.attributes().first(3).unwrap()).count())
        .collect();
    assert!(lists.len() > 10, "{lists:?}");
    assert_eq!(lists.iter().sum::<usize>(), 10_000);
}

#[test]
fn nothing_to_do_is_no_batch() {
    assert!(batch(&[(Family::V4, vec![])]).is_none());
    assert!(batch(&[(Family::V4, vec![elements(0)])]).is_none());
}
