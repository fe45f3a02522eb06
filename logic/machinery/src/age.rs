//! Durations as kubectl prints them.
//!
//! Pure leaf: two or three significant figures, the same steps as upstream's `HumanDuration`.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// `90s`, `5m30s`, `3h`, `2d4h`, `1y10d`; `<invalid>` for what lies more than a second in the future.
pub fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / MINUTE, seconds / HOUR);
    match seconds {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % MINUTE, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// The age column: how long ago `timestamp` (RFC 3339) was; `<unknown>` when it is missing or not a time.
pub fn cell(timestamp: Option<&str>, now: Timestamp) -> String {
    match timestamp.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => human(now.duration_since(then).as_secs()),
        None => "<unknown>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: i64, expected: &str) {
        assert_eq!(human(seconds), expected);
    }

    #[test]
    fn prints_as_kubectl_does() {
        check(-2, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(330, "5m30s");
        check(10 * MINUTE + 59, "10m");
        check(3 * HOUR - 1, "179m");
        check(3 * HOUR, "3h");
        check(7 * HOUR + 59 * MINUTE, "7h59m");
        check(8 * HOUR + 59 * MINUTE, "8h");
        check(48 * HOUR - 1, "47h");
        check(48 * HOUR, "2d");
        check(100 * HOUR, "4d4h");
        check(8 * 24 * HOUR + HOUR, "8d");
        check(2 * 365 * 24 * HOUR - 1, "729d");
        check(2 * 365 * 24 * HOUR, "2y");
        check((2 * 365 + 10) * 24 * HOUR, "2y10d");
        check(8 * 365 * 24 * HOUR + 400 * HOUR, "8y");
    }

    #[test]
    fn a_missing_time_is_unknown() {
        let now = "2024-01-01T00:01:00Z".parse().unwrap();
        assert_eq!(cell(Some("2024-01-01T00:00:00Z"), now), "60s");
        assert_eq!(cell(None, now), "<unknown>");
        assert_eq!(cell(Some("yesterday"), now), "<unknown>");
    }
}
