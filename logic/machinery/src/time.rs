//! Times as the API writes them. No clock here: times are parameters.

use jiff::{Timestamp, Unit};

/// `2024-05-06T07:08:09Z`: `metav1.Time`, whole seconds (fractions are cut).
pub fn seconds(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    whole.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2024-05-06T07:08:09.123456Z`: `metav1.MicroTime`, always six digits.
pub fn micros(time: Timestamp) -> String {
    let rounded = Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time);
    rounded.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Parses RFC 3339 with any offset and any precision.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Seconds from `earlier` to `later`, negative if it is the other way round.
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> i64 {
    later.duration_since(earlier).as_secs()
}

/// `time` cut to whole seconds: what survives being stored.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, short: &str, long: &str) {
        let time = parse(input).unwrap();
        assert_eq!((seconds(time).as_str(), micros(time).as_str()), (short, long));
    }

    #[test]
    fn writes_both_forms() {
        check("2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09.000000Z");
        check("2024-05-06T09:08:09.1234567+02:00", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09.123456Z");
    }

    #[test]
    fn differences_have_a_sign() {
        let (a, b) = (parse("2024-01-01T00:00:00Z").unwrap(), parse("2024-01-01T00:01:00Z").unwrap());
        assert_eq!((seconds_between(a, b), seconds_between(b, a)), (60, -60));
    }

    #[test]
    fn rubbish_is_no_time() {
        assert_eq!(parse("soon"), None);
    }
}
