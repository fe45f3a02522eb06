//! Which client goes to which backend, read from the kernel before its table is made afresh, and given back.
//!
//! The key names the Service port by its address, so it means the same in every table (spec C7.1); a backend that is
//! usable no more is no harm, since the rules ask (spec C7.4). Without the old map clients are only drawn anew.

use kelson_tables::Family;
use kelson_tables::nft::{AFFINITY, AFFINITY_MAX, Command, Learned};

use crate::attributes::{Attributes, Head, Writer};
use crate::encode::{DUMP, GET_ELEMENTS, REQUEST, TABLE, protocol_family};
use crate::socket::Socket;

/// The command that gives the new map what the old one held; `None` when there is none or nothing in it.
pub(crate) fn carry_over(socket: &mut Socket, family: Family) -> Option<Command> {
    let mut w = Writer::default();
    let head = Head {
        kind: GET_ELEMENTS,
        flags: REQUEST | DUMP,
        sequence: 1,
        family: protocol_family(family),
        resource: 0,
    };
    w.message(head, |w| {
        w.name(1, TABLE);
        w.name(2, AFFINITY);
    });
    let mut learned = Vec::new();
    let outcome = socket.dump(&w.into_bytes(), |message| {
        let list = Attributes(message.attributes().first(3).unwrap_or_default());
        learned.extend(list.filter_map(|(_, one)| element(Attributes(one), family)));
    });
    if let Err(error) = outcome {
        // No table is the usual case: the first start.
        tracing::debug!(?error, "no session affinity to carry over");
    }
    learned.truncate(usize::try_from(AFFINITY_MAX).unwrap_or(usize::MAX));
    (!learned.is_empty()).then_some(Command::Restore { map: AFFINITY, learned })
}

/// One element, if it has the shape this version gives it and is alive.
fn element(element: Attributes, family: Family) -> Option<Learned> {
    let address = if family == Family::V4 { 4 } else { 16 };
    let bytes = |kind, length: usize| {
        let value = Attributes(element.first(kind)?).first(1)?;
        (value.len() == length).then(|| value.to_vec())
    };
    let time = |kind| element.first(kind)?.try_into().ok().map(u64::from_be_bytes);
    let (key, value) = (bytes(1, 2 * address + 8)?, bytes(2, address + 4)?);
    let (timeout_ms, left_ms) = (time(4)?, time(5)?);
    (left_ms > 0 && left_ms <= timeout_ms).then_some(Learned { key, value, timeout_ms, left_ms })
}
