//! A CronJob's schedule from anybody: reading it never panics, and every time it names is later than the one before.
#![no_main]

use kelson_machinery::cron::{Schedule, time_zone};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schedule) = Schedule::parse(text) else { return };
    for zone in ["UTC", "Europe/Berlin"] {
        let zone = time_zone(zone).expect("the zone comes with the program");
        let mut at = "2026-03-28T23:59:59.5Z".parse().expect("a time");
        for _ in 0..3 {
            let Some(next) = schedule.next(at, &zone) else { break };
            assert!(next > at, "{text:?} goes back from {at} to {next}");
            at = next;
        }
    }
});
