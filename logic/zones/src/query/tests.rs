//! Queries off the wire: what is read, what is refused, and that no packet makes the parser panic.

use super::{Edns, Query, QueryError};
use crate::rcode;

/// A query for `name` (wire form) with `extra` after the question and `counts` of sections.
fn packet(name: &[u8], counts: [u8; 4], extra: &[u8]) -> Vec<u8> {
    let header = [0xab, 0xcd, 1, 0, 0, counts[0], 0, counts[1], 0, counts[2], 0, counts[3]];
    [&header[..], name, &[0, 1, 0, 1], extra].concat()
}

fn check_refused(packet: &[u8], expected: QueryError) {
    assert_eq!(Query::parse(packet).err(), Some(expected), "{packet:?}");
}

const FORMAT: QueryError = QueryError::Refuse(rcode::FORMAT_ERROR);
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0];

#[test]
fn a_plain_query() {
    let packet = packet(b"\x03WwW\x05Local\0", [1, 0, 0, 0], &[]);
    let query = Query::parse(&packet).unwrap();
    assert_eq!(query.name(), b"\x03www\x05local\0");
    assert_eq!(&query.question[..5], b"\x03WwW\x05");
    assert_eq!((query.id, query.recursion_desired, query.rtype, query.class), ([0xab, 0xcd], true, 1, 1));
    assert_eq!(query.edns, None);
}

#[test]
fn edns_is_found_behind_other_records() {
    let tsig_like = [&b"\x01k\0"[..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, 2, 9, 9]].concat();
    let packet = packet(b"\x01a\0", [1, 0, 0, 2], &[&tsig_like[..], &OPT].concat());
    let edns = Edns { udp_size: 1232, version: 0, dnssec_ok: true };
    assert_eq!(Query::parse(&packet).unwrap().edns, Some(edns));
}

#[test]
fn what_is_refused() {
    check_refused(&packet(b"\0", [0, 0, 0, 0], &[]), FORMAT);
    check_refused(&packet(b"\0", [2, 0, 0, 0], &[]), FORMAT);
    check_refused(&packet(b"\xc0\x0c", [1, 0, 0, 0], &[]), FORMAT);
    check_refused(&packet(b"\x40a\0", [1, 0, 0, 0], &[]), FORMAT);
    check_refused(&packet(b"\x05abc\0", [1, 0, 0, 0], &[])[..18], FORMAT);
    check_refused(
        &packet(
            &[[1, b'a']; 128].as_flattened()[..].iter().copied().chain([0]).collect::<Vec<_>>(),
            [1, 0, 0, 0],
            &[],
        ),
        FORMAT,
    );
    check_refused(&packet(b"\0", [1, 0, 0, 2], &[OPT, OPT].concat()), FORMAT);
    check_refused(&packet(b"\0", [1, 0, 0, 1], &OPT[..9]), FORMAT);
    check_refused(&packet(b"\0", [1, 0, 0, 200], &[]), FORMAT);
    let mut update = packet(b"\0", [1, 0, 0, 0], &[]);
    update[2] = 5 << 3;
    check_refused(&update, QueryError::Refuse(rcode::NOT_IMPLEMENTED));
}

#[test]
fn what_is_ignored() {
    check_refused(&[], QueryError::Ignore);
    check_refused(&[0; 11], QueryError::Ignore);
    let mut response = packet(b"\0", [1, 0, 0, 0], &[]);
    response[2] |= 0x80;
    check_refused(&response, QueryError::Ignore);
}

#[test]
fn every_prefix_of_a_query_is_survived() {
    let packet = packet(b"\x03www\x05local\0", [1, 0, 0, 1], &OPT);
    for length in 0..packet.len() {
        assert!(Query::parse(&packet[..length]).is_err(), "{length}");
    }
    assert!(Query::parse(&packet).is_ok());
}
