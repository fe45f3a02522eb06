//! Which of a schedule's times is due, and which comes next (H7.4). Pure leaf.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::CronJob;
use kelson_machinery::cron::Schedule;

/// So many missed times are more than an outage explains.
const MANY: i64 = 100;
/// Looked for a moment later, so that the time has surely come.
const LEEWAY: SignedDuration = SignedDuration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    None,
    Few,
    Many,
}

/// The latest time that has come and not been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub at: Option<Timestamp>,
    pub missed: Missed,
    /// From where it was looked for.
    since: Timestamp,
}

/// What is due now; times longer ago than `deadline` are past caring about.
pub(super) fn due(
    cron: &CronJob,
    now: Timestamp,
    deadline: Option<SignedDuration>,
    schedule: &Schedule,
    zone: &TimeZone,
) -> Due {
    let created = cron.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let last = cron.status.as_ref().and_then(|status| status.last_schedule_time.as_ref()).map(|time| time.0);
    let since = last.or(created).unwrap_or(now);
    let earliest = deadline.and_then(|deadline| now.checked_sub(deadline).ok());
    let since = earliest.map_or(since, |earliest| since.max(earliest));
    let nothing = Due { at: None, missed: Missed::None, since };
    let Some(first) = schedule.next(since, zone).filter(|first| *first <= now) else { return nothing };
    let second = schedule.next(first, zone);
    let Some(second) = second.filter(|second| *second <= now) else {
        return Due { at: Some(first), ..nothing };
    };
    let pace = second.duration_since(first).as_secs().max(1);
    let count = now.duration_since(first).as_secs() / pace + 1;
    let missed = if count > MANY { Missed::Many } else { Missed::Few };
    // Most of the way in one leap, in whole paces so that `@every` keeps its beat; the rest is walked.
    let leap = SignedDuration::from_secs((count - 2).max(0).saturating_mul(pace));
    let mut at = second;
    let mut from = first.checked_add(leap).unwrap_or(first);
    while let Some(next) = schedule.next(from, zone).filter(|next| *next <= now) {
        (at, from) = (next, next);
    }
    Due { at: Some(at), missed, since }
}

/// When to look again: just after the next time.
pub(super) fn next(
    cron: &CronJob,
    now: Timestamp,
    schedule: &Schedule,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let due = due(cron, now, None, schedule, zone);
    let next = schedule.next(due.at.unwrap_or(due.since), zone)?;
    next.checked_add(LEEWAY).ok()
}

/// `Mon, 02 Jan 2006 15:04:05 +0000`.
pub(super) fn rfc1123(at: Timestamp) -> String {
    strtime::format("%a, %d %b %Y %H:%M:%S +0000", at).unwrap_or_default()
}

/// By the clocks of the zone, `Z` where they are UTC's.
pub(super) fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    if local.offset().is_zero() {
        return strtime::format("%Y-%m-%dT%H:%M:%SZ", &local).unwrap_or_default();
    }
    strtime::format("%Y-%m-%dT%H:%M:%S%:z", &local).unwrap_or_default()
}
