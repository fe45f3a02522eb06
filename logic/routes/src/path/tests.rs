//! Paths: one spelling, and which rule is for one, against a plain reading of the specification.

use super::*;
use crate::test_world::Random;

#[test]
fn paths_have_one_spelling() {
    let check = |written: &str, expected: &str| assert_eq!(normalize(written), expected, "{written}");
    check("/", "/");
    check("/a/b", "/a/b");
    check("/a/../b", "/b");
    check("/a/./b", "/a/b");
    check("/a/..", "/");
    check("/a/.", "/a/");
    check("/../../etc", "/etc");
    check("/%61dmin", "/admin");
    check("/%2e%2E/admin", "/admin");
    check("/a%2fb", "/a%2Fb");
    check("/a%zz%", "/a%zz%");
    check("/%e4%", "/%E4%");
    check("/.hidden/..x", "/.hidden/..x");
    check("/a//b", "/a//b");
    check("*", "*");
    check("", "");
}

const PARTS: &[&str] =
    &["/", "/", "a", "b", "A", "%", "%2f", "%61", "%2e", ".", "..", "é", "\u{0}", ";", "?"];

/// Whatever is sent has a spelling, and that spelling is its own.
#[test]
fn normalizing_never_panics_and_is_idempotent_without_escapes_left() {
    let mut random = Random(11);
    for _ in 0..50_000 {
        let path = random.text(PARTS, 12);
        let once = normalize(&path).into_owned();
        if path.starts_with('/') {
            assert!(once.starts_with('/'), "{path:?} → {once:?}");
            assert!(!once.split('/').any(|element| element == "." || element == ".."), "{path:?} → {once:?}");
        }
        if !once.contains('%') {
            assert_eq!(normalize(&once), once);
        }
    }
}

fn map(rules: &[(&str, &str)]) -> PathMap<usize> {
    let mut map = PathMap::default();
    for (index, (kind, path)) in rules.iter().enumerate() {
        match *kind {
            "Exact" => map.insert_exact(path, index),
            _ => map.insert_prefix(path, index),
        };
    }
    map
}

/// The table of examples in the Ingress documentation (G2.4–G2.6).
#[test]
fn the_documented_examples() {
    let check = |rules: &[(&str, &str)], path: &str, expected: Option<usize>| {
        assert_eq!(map(rules).find(path), expected.as_ref(), "{rules:?} {path}");
    };
    check(&[("Prefix", "/")], "/anything", Some(0));
    check(&[("Exact", "/foo")], "/foo", Some(0));
    check(&[("Exact", "/foo")], "/bar", None);
    check(&[("Exact", "/foo")], "/foo/", None);
    check(&[("Exact", "/foo/")], "/foo", None);
    check(&[("Exact", "/foo")], "/FOO", None);
    check(&[("Prefix", "/foo")], "/foo", Some(0));
    check(&[("Prefix", "/foo")], "/foo/", Some(0));
    check(&[("Prefix", "/foo/")], "/foo", Some(0));
    check(&[("Prefix", "/foo/")], "/foo/", Some(0));
    check(&[("Prefix", "/foo")], "/foobar", None);
    check(&[("Prefix", "/aaa/bb")], "/aaa/bbb", None);
    check(&[("Prefix", "/aaa/bbb")], "/aaa/bbb", Some(0));
    check(&[("Prefix", "/aaa/bbb/")], "/aaa/bbb", Some(0));
    check(&[("Prefix", "/aaa/bbb")], "/aaa/bbb/", Some(0));
    check(&[("Prefix", "/aaa/bbb")], "/aaa/bbb/ccc", Some(0));
    check(&[("Prefix", "/aaa/bbb")], "/aaa/bbbxyz", None);
    check(&[("Prefix", "/"), ("Prefix", "/aaa")], "/aaa/ccc", Some(1));
    check(&[("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/aaa/bbb", Some(2));
    check(&[("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/ccc", Some(0));
    check(&[("Prefix", "/foo"), ("Exact", "/foo")], "/foo", Some(1));
    check(&[("Prefix", "/foo"), ("Exact", "/foo")], "/foo/", Some(0));
    check(&[("Prefix", "/")], "*", None);
}

/// G2.5 read plainly: element by element.
fn is_prefix(prefix: &str, path: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Exact before prefix, the longest prefix before others, for thousands of made-up maps and paths.
#[test]
fn finding_is_what_the_specification_says() {
    let mut random = Random(5);
    for _ in 0..5_000 {
        let some_path = |random: &mut Random| format!("/{}", random.text(&["a", "b", "/", "/"], 6));
        let rules: Vec<(&str, String)> = (0..random.below(6))
            .map(|_| (random.pick(&["Exact", "Prefix"]), some_path(&mut random)))
            .collect();
        let borrowed: Vec<(&str, &str)> = rules.iter().map(|(kind, path)| (*kind, path.as_str())).collect();
        let map = map(&borrowed);
        for _ in 0..10 {
            let path = some_path(&mut random);
            let exact = borrowed.iter().position(|rule| *rule == ("Exact", path.as_str()));
            let prefixes = borrowed
                .iter()
                .enumerate()
                .filter(|(_, (kind, rule))| *kind == "Prefix" && is_prefix(rule, &path));
            let trimmed = |rule: &str| rule.strip_suffix('/').unwrap_or(rule).len();
            let longest = prefixes
                .max_by_key(|(index, (_, rule))| (trimmed(rule), std::cmp::Reverse(*index)))
                .map(|(index, _)| index);
            assert_eq!(map.find(&path).copied(), exact.or(longest), "{borrowed:?} {path}");
        }
    }
}

#[test]
fn the_first_to_claim_a_path_keeps_it() {
    let mut map = PathMap::default();
    assert!(map.insert_prefix("/foo/", 1));
    assert!(!map.insert_prefix("/foo", 2));
    assert!(map.insert_exact("/foo", 3));
    assert!(!map.insert_exact("/f%6fo", 4));
    assert_eq!(map.find("/foo/x"), Some(&1));
    assert_eq!(map.find("/foo"), Some(&3));
}
