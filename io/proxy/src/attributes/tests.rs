//! What is written is read back, and no bytes whatsoever make the reader panic.

use super::{Attributes, Head, Messages, Writer};

#[test]
fn what_is_written_is_read() {
    let mut w = Writer::default();
    for sequence in [7, 8] {
        w.message(Head { kind: 0x0a0c, flags: 1, sequence, family: 2, resource: 0 }, |w| {
            w.name(1, "kelson");
            w.nest(3, |w| w.number(2, 0x0102_0304));
            w.put(4, &[9; 5]);
        });
    }
    let bytes = w.into_bytes();
    let read: Vec<_> = Messages(&bytes).collect();
    assert_eq!(read.iter().map(|m| (m.kind, m.sequence)).collect::<Vec<_>>(), [(0x0a0c, 7), (0x0a0c, 8)]);
    for message in read {
        let attributes = message.attributes();
        assert_eq!(attributes.first(1).unwrap(), b"kelson\0");
        assert_eq!(Attributes(attributes.first(3).unwrap()).first(2).unwrap(), [1, 2, 3, 4]);
        assert_eq!(attributes.first(4).unwrap(), [9; 5]);
        assert_eq!(attributes.first(5), None);
    }
}

#[test]
fn any_bytes_can_be_read() {
    let mut state = 1u32;
    for length in 0..512 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Mostly small numbers, so that lengths are often plausible.
                (state >> 24) as u8 & if state & 0x100 == 0 { 0x1f } else { 0xff }
            })
            .collect();
        for message in Messages(&bytes) {
            for (_, value) in message.attributes() {
                assert!(Attributes(value).count() <= value.len());
            }
        }
        assert!(Attributes(&bytes).count() <= bytes.len());
    }
}
