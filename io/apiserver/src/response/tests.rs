//! Warnings and failures as HTTP.

use super::*;

#[test]
fn warnings_are_quoted_sent_once_and_bounded() {
    let mut headers = HeaderMap::new();
    let mut warnings = vec!["say \"x\\y\"\n".to_string(), "b".into(), "b".into()];
    warnings.extend((0..200).map(|i| format!("{i}{}", "z".repeat(100))));
    warn(&mut headers, &warnings);
    let sent: Vec<&str> = headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(sent[..2], ["299 - \"say \\\"x\\\\y\\\"\"", "299 - \"b\""]);
    assert!(sent.len() < 64 && sent.iter().map(|warning| warning.len()).sum::<usize>() < 5000);
}

#[test]
fn failures_say_when_to_come_back() {
    let answer = failure(&Status::too_many_requests("busy", 3));
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "3");
    assert_eq!(failure(&Status::unauthorized()).status(), 401);
}
