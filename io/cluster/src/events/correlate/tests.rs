//! Correlation: counting, combining, limiting.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kelson_plans::Severity;

use super::{COMBINED, Correlator, Write};
use crate::events::{Note, Source};

fn note(object: &str, message: &str, seconds: i64) -> Note {
    Note {
        source: Arc::new(Source { component: "tester".to_owned(), host: None }),
        regarding: ObjectReference {
            name: Some(object.to_owned()),
            uid: Some(object.to_owned()),
            ..Default::default()
        },
        severity: Severity::Normal,
        reason: "Tested".to_owned(),
        message: message.to_owned(),
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
    }
}

/// What is written, as `count message`, or `-`.
fn check(notes: Vec<Note>, expected: &[&str]) {
    let mut correlator = Correlator::default();
    let written = notes.iter().map(|note| match correlator.add(note) {
        Some(write) => {
            let (_, count, message, _) = write.parts();
            format!("{count} {message}")
        }
        None => "-".to_owned(),
    });
    assert_eq!(written.collect::<Vec<_>>(), expected);
}

#[test]
fn repeats_become_a_count_on_the_same_event() {
    check(
        vec![note("a", "x", 0), note("a", "x", 1), note("b", "x", 2), note("a", "y", 3)],
        &["1 x", "2 x", "1 x", "1 y"],
    );
    let mut correlator = Correlator::default();
    let Some(Write::New { name, at, .. }) = correlator.add(&note("a", "x", 5)) else { panic!("it is new") };
    let again = correlator.add(&note("a", "x", 9));
    assert_eq!(again, Some(Write::Again { name, count: 2, message: "x".to_owned(), first: at }));
}

#[test]
fn what_is_alike_is_combined_after_ten() {
    let notes: Vec<Note> = (0..13).map(|number| note("a", &format!("pod {number}"), number)).collect();
    let mut expected: Vec<String> = (0..10).map(|number| format!("1 pod {number}")).collect();
    expected.extend((10..13).map(|number| format!("{} {COMBINED}pod {number}", number - 9)));
    check(notes, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    let later = note("a", "late", 12 + 601);
    let mut correlator = Correlator::default();
    (0..13).for_each(|number| drop(correlator.add(&note("a", &format!("pod {number}"), number))));
    assert!(matches!(correlator.add(&later), Some(Write::New { message, .. }) if message == "late"));
}

#[test]
fn who_says_too_much_about_one_object_is_cut_short() {
    let mut notes: Vec<Note> = (0..27).map(|_| note("a", "x", 0)).collect();
    notes.push(note("b", "x", 0));
    notes.push(note("a", "x", 300));
    let mut expected: Vec<String> = (1..=25).map(|count| format!("{count} x")).collect();
    expected.extend(["-", "-", "1 x", "26 x"].map(str::to_owned));
    check(notes, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn names_are_never_the_same() {
    let mut correlator = Correlator::default();
    let name = |write: Option<Write>| write.unwrap().parts().0.to_owned();
    let names = [name(correlator.add(&note("a", "x", 7))), name(correlator.add(&note("a", "y", 7)))];
    assert_eq!(names[0], "a.1a13b8600");
    assert_ne!(names[0], names[1]);
}
