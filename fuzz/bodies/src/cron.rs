//! Schedules of CronJobs from anybody.

use kelson_machinery::cron::{Schedule, time_zone};

/// Every time a schedule names is later than the one before.
pub fn schedule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    let Ok(schedule) = Schedule::parse(text) else { return };
    let berlin = || time_zone("Europe/Berlin").expect("the zone comes with the program");
    let zone = time_zone(zone).unwrap_or_else(berlin);
    let mut at = "2026-03-28T23:59:59.5Z".parse().expect("a time");
    for _ in 0..3 {
        let Some(next) = schedule.next(at, &zone) else { break };
        assert!(next > at, "{text:?} goes back from {at} to {next}");
        at = next;
    }
}
