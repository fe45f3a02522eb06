//! Schedules: grammar, refusals in upstream's words, and the times they lead to.

use jiff::Timestamp;

use super::{Schedule, time_zone};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next times of a schedule in a zone, in the zone's own clocks.
fn check(schedule: &str, zone: &str, after: &str, expected: &[&str]) {
    let (parsed, zone) = (Schedule::parse(schedule).unwrap(), time_zone(zone).unwrap());
    let mut time = at(after);
    for expected in expected {
        time = parsed.next(time, &zone).unwrap_or_else(|| panic!("{schedule}: no time after {time}"));
        assert_eq!(time, at(expected), "{schedule}");
    }
}

fn refuse(schedule: &str, expected: &str) {
    assert_eq!(Schedule::parse(schedule).unwrap_err(), expected, "{schedule:?}");
}

#[test]
fn h7_2_fields_lists_ranges_steps_and_names() {
    check("* * * * *", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]);
    check("*/15 * * * *", "UTC", "2026-01-01T00:14:59Z", &["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]);
    check("5/20 3 * * *", "UTC", "2026-01-01T03:05:00Z", &["2026-01-01T03:25:00Z", "2026-01-01T03:45:00Z"]);
    check("0 9-17/4 * * MON-FRI", "UTC", "2026-01-02T17:00:00Z", &["2026-01-05T09:00:00Z"]);
    check("0,30 0 1 JAN,jul ?", "UTC", "2026-01-01T00:30:00Z", &["2026-07-01T00:00:00Z"]);
    check("59 23 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T23:59:00Z"]);
}

#[test]
fn h7_2_either_day_will_do_when_both_are_asked_for() {
    // The 13th, or a Friday.
    check("0 0 13 * 5", "UTC", "2026-01-03T00:00:00Z", &["2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]);
    // A step leaves the field restricted, as the library has it.
    check("0 0 */10 * 5", "UTC", "2026-01-03T00:00:00Z", &["2026-01-09T00:00:00Z", "2026-01-11T00:00:00Z"]);
}

#[test]
fn h7_2_descriptors_and_intervals() {
    for (name, fields) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        assert_eq!(Schedule::parse(name), Schedule::parse(fields));
    }
    check("@every 1h30m", "UTC", "2026-01-01T00:00:10.5Z", &["2026-01-01T01:30:10Z"]);
    check("@every 10ms", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T00:00:01Z"]);
}

#[test]
fn h7_2_time_zones_and_the_nights_their_clocks_change() {
    check("30 6 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", &["2026-01-01T01:00:00Z"]);
    // Berlin has no 02:30 on 2026-03-29, and two on 2026-10-25.
    check("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", &["2026-03-30T00:30:00Z"]);
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
    );
    assert!(time_zone("Mars/Olympus").is_none());
}

#[test]
fn h7_2_what_never_comes_is_not_looked_for_for_ever() {
    let never = Schedule::parse("0 0 31 2 *").unwrap();
    assert_eq!(never.next(at("2026-01-01T00:00:00Z"), &time_zone("UTC").unwrap()), None);
}

#[test]
fn h7_2_refusals_are_upstreams() {
    refuse("", "empty spec string");
    refuse("hello", "expected exactly 5 fields, found 1: [hello]");
    refuse("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]");
    refuse("60 * * * *", "end of range (60) above maximum (59): 60");
    refuse("* * 0 * *", "beginning of range (0) below minimum (1): 0");
    refuse("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3");
    refuse("1-2-3 * * * *", "too many hyphens: 1-2-3");
    refuse("*/1/2 * * * *", "too many slashes: */1/2");
    refuse("*/0 * * * *", "step of range should be a positive number: */0");
    refuse("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax");
    refuse("@fortnightly", "unrecognized descriptor: @fortnightly");
    refuse("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\"");
}

/// Fields put together by chance: every time is later than the one before, and ends in whole minutes.
#[test]
fn times_only_go_forwards() {
    let fields = ["*", "0", "*/7", "1-5", "3,9", "2/3", "31", "?"];
    let zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]
        .map(|name| time_zone(name).unwrap());
    let mut seed = 1u32;
    let mut pick = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        fields[(seed >> 16) as usize % fields.len()]
    };
    for round in 0..400 {
        let text = [pick(), pick(), pick(), pick(), pick()].join(" ");
        let Ok(schedule) = Schedule::parse(&text) else { continue };
        let mut time = at("2026-03-28T21:59:30Z");
        for _ in 0..20 {
            let Some(next) = schedule.next(time, &zones[round % zones.len()]) else { break };
            assert!(next > time && next.as_second() % 60 == 0, "{text}: {next} after {time}");
            time = next;
        }
    }
}

#[test]
fn no_text_makes_it_panic() {
    for text in
        ["@", "@every ", "-", "/", ",", "*-", "-1 * * * *", "1/99999999999 * * * *", "µ * * * *", "@every 1µ"]
    {
        let _ = Schedule::parse(text);
    }
}
