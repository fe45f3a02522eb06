//! When an Event has had its time.

use serde_json::json;

use super::*;

fn check(event: Object, expected: bool) {
    let now = "2026-01-01T12:00:00Z".parse().unwrap();
    assert_eq!(is_expired(&event, now), expected, "{event}");
}

#[test]
fn an_event_lives_an_hour_after_it_was_last_seen() {
    check(json!({"lastTimestamp": "2026-01-01T10:59:59Z"}), true);
    check(json!({"lastTimestamp": "2026-01-01T11:00:00Z"}), false);
    let counted = json!({"metadata": {"creationTimestamp": "2026-01-01T01:00:00Z"}, "lastTimestamp": "2026-01-01T11:30:00Z"});
    check(counted, false);
    check(
        json!({"eventTime": "2026-01-01T10:00:00.000000Z", "series": {"lastObservedTime": "2026-01-01T11:59:00.000000Z"}}),
        false,
    );
    check(json!({"metadata": {"creationTimestamp": "2026-01-01T01:00:00Z"}}), true);
    check(json!({}), false);
}
