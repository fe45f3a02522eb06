//! Which class counts, of those there are (G1.13).

use serde_json::json;

use super::*;

fn class(name: &str, second: u8, is_default: &str) -> Object {
    json!({ "metadata": { "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        "annotations": { IS_DEFAULT: is_default } } })
}

fn check(classes: &[Object], expected: Option<&str>) {
    assert_eq!(default_of(classes), expected);
}

#[test]
fn the_newest_default_class_counts() {
    check(&[], None);
    check(&[class("a", 1, "false"), json!({ "metadata": { "name": "b" } })], None);
    check(&[class("a", 1, "true"), class("b", 2, "false")], Some("a"));
    check(&[class("a", 1, "true"), class("b", 2, "true"), class("c", 1, "true")], Some("b"));
    check(&[class("b", 1, "true"), class("a", 1, "true")], Some("a"));
}
