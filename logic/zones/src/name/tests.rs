//! Names: what parses, what is refused, reverse and dashed addresses.

use super::{Name, dashed, is_beneath, reversed};

fn check(text: &str, expected: Option<&[u8]>) {
    assert_eq!(Name::parse(text).as_ref().map(Name::wire), expected, "{text:?}");
}

#[test]
fn text_to_wire() {
    check("Svc.Local", Some(b"\x03svc\x05local\0"));
    check("svc.local.", Some(b"\x03svc\x05local\0"));
    check("", Some(b"\0"));
    check("a..b", None);
    check(&"x".repeat(64), None);
    check(&["x".repeat(63).as_str(); 4].join("."), None);
    assert!(
        Name::parse(&[&"x".repeat(63), "y".repeat(63).as_str(), &"z".repeat(63), &"w".repeat(61)].join("."))
            .is_some()
    );
}

#[test]
fn wire_to_name() {
    assert_eq!(Name::from_wire(b"\x01A\0"), Name::parse("a"));
    for broken in [&b""[..], b"\x01", b"\x01a", b"\x01a\0x", b"\xc0\x0c", b"\x02a\0"] {
        assert_eq!(Name::from_wire(broken), None, "{broken:?}");
    }
}

#[test]
fn beneath_is_by_label() {
    let zone = b"\x05local\0";
    assert!(is_beneath(zone, zone));
    assert!(is_beneath(b"\x01a\x05local\0", zone));
    assert!(!is_beneath(b"\x07a\x05local\0", zone), "the suffix lies inside a label");
    assert!(!is_beneath(b"\x05other\0", zone));
    assert!(!is_beneath(b"", zone));
}

#[test]
fn reverse_there_and_back() {
    for text in ["10.96.0.10", "255.0.1.2", "fd00::1", "2001:db8:1:2:3:4:5:6"] {
        let address = text.parse().unwrap();
        assert_eq!(reversed(Name::reverse(address).wire()), Some(address), "{text}");
    }
    for text in
        ["1.2.3.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "x.2.3.4.in-addr.arpa", "in-addr.arpa", "1.ip6.arpa"]
    {
        assert_eq!(reversed(Name::parse(text).unwrap().wire()), None, "{text}");
    }
}

#[test]
fn dashed_addresses_d1_10() {
    let check = |label: &str, expected: Option<&str>| {
        assert_eq!(dashed(label.as_bytes()), expected.map(|text| text.parse().unwrap()), "{label}");
    };
    check("10-244-0-7", Some("10.244.0.7"));
    check("fd00--1", Some("fd00::1"));
    check("1-2-3-4-5-6-7-8", Some("1:2:3:4:5:6:7:8"));
    check("--1", Some("::1"));
    check("10-244-0", None);
    check("10-244-0-256", None);
    check("web", None);
    check("", None);
}
