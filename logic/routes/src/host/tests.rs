//! Hosts as clients write them, patterns as rules write them.

use super::*;
use crate::test_world::Random;

#[test]
fn hosts_have_one_spelling() {
    let check = |written: &str, expected: &str| assert_eq!(normalize(written), expected, "{written}");
    check("foo.example", "foo.example");
    check("Foo.EXAMPLE:8080", "foo.example");
    check("foo.example.", "foo.example");
    check("foo.example.:443", "foo.example");
    check("10.0.0.1:80", "10.0.0.1");
    check("[::1]:80", "[::1]");
    check("[FE80::1]", "[fe80::1]");
    check("[::1", "[::1");
    check("", "");
    check(":80", "");
}

#[test]
fn any_host_is_something() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let host = random.text(&["a", "Z", ".", ":", "[", "]", "*", "é", "80", "\u{0}"], 9);
        let once = normalize(&host).into_owned();
        assert_eq!(once, once.to_ascii_lowercase());
        HostPattern::parse(&host);
    }
}

#[test]
fn patterns() {
    let check = |written: &str, expected: Option<HostPattern>| {
        assert_eq!(HostPattern::parse(written), expected, "{written}");
    };
    check("", Some(HostPattern::Any));
    check("Foo.com", Some(HostPattern::Exact("foo.com".into())));
    check("*.foo.com", Some(HostPattern::Wildcard("foo.com".into())));
    check("*", None);
    check("*.", None);
    check("a*.foo.com", None);
    check("*.*.foo.com", None);
}

/// G2.2: one label, not none and not two; G2.3: exact before wildcard before every host.
#[test]
fn the_most_specific_pattern_comes_first() {
    let mut map = HostMap::default();
    for pattern in ["", "*.foo.com", "bar.foo.com", "foo.com"] {
        map.entry(HostPattern::parse(pattern).unwrap(), || pattern);
    }
    let check = |host: &str, expected: &[&str]| {
        assert_eq!(map.matching(host).copied().collect::<Vec<_>>(), expected, "{host}");
    };
    check("bar.foo.com", &["bar.foo.com", "*.foo.com", ""]);
    check("baz.foo.com", &["*.foo.com", ""]);
    check("baz.bar.foo.com", &[""]);
    check("foo.com", &["foo.com", ""]);
    check(".foo.com", &[""]);
    check("", &[""]);
}
