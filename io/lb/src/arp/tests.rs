//! What is understood of ARP, and what is said back.

use super::*;

/// A request as Linux sends it, padded to the shortest frame.
const REQUEST: [u8; 46] = {
    let mut bytes = [0; 46];
    let packet: [u8; LENGTH] =
        [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 7, 192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 10, 10, 0, 1];
    let mut at = 0;
    while at < LENGTH {
        bytes[at] = packet[at];
        at += 1;
    }
    bytes
};

fn check(change: fn(&mut Vec<u8>), expected: bool) {
    let mut bytes = REQUEST.to_vec();
    change(&mut bytes);
    let parsed = Packet::parse(&bytes);
    assert_eq!(parsed.is_some(), expected, "{bytes:?}");
    assert!(parsed.is_none_or(|packet| packet.encode() == bytes[..LENGTH]));
}

#[test]
fn only_ipv4_over_ethernet_from_somebody_is_understood() {
    check(|_| {}, true);
    check(|bytes| bytes.truncate(LENGTH), true);
    check(|bytes| bytes[7] = 2, true);
    check(|bytes| bytes.truncate(LENGTH - 1), false);
    check(Vec::clear, false);
    check(|bytes| bytes[7] = 3, false);
    check(|bytes| bytes[6] = 1, false);
    check(|bytes| bytes[1] = 6, false);
    check(|bytes| bytes[3] = 6, false);
    check(|bytes| bytes[4] = 8, false);
    check(|bytes| bytes[5] = 16, false);
    check(|bytes| bytes[8] = 1, false);
    check(|bytes| bytes[8..14].fill(0), false);
    check(|bytes| bytes[8..14].fill(0xff), false);
}

#[test]
fn an_answer_goes_back_to_who_asked() {
    let request = Packet::parse(&REQUEST).unwrap();
    let answer = request.answer([2, 0, 0, 0, 0, 1]);
    let expected = Packet {
        operation: Operation::Reply,
        sender_hardware: [2, 0, 0, 0, 0, 1],
        sender: [10, 10, 0, 1].into(),
        target_hardware: [2, 0, 0, 0, 0, 7],
        target: [192, 0, 2, 9].into(),
    };
    assert_eq!(answer, expected);
    assert_eq!(Packet::parse(&answer.encode()), Some(expected));
}

/// Every byte, changed to every value, is accepted unchanged or refused.
#[test]
fn what_is_accepted_encodes_to_itself() {
    for at in 0..LENGTH {
        for value in 0..=255 {
            let mut bytes = REQUEST;
            bytes[at] = value;
            assert!(Packet::parse(&bytes).is_none_or(|packet| packet.encode() == bytes[..LENGTH]));
        }
    }
}
