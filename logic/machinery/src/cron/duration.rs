//! Durations as Go writes them: `1h30m`, `90s`, `1.5h`. Leaf of `cron`.

use jiff::SignedDuration;

const NANOSECONDS: &[(&str, f64)] =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// Reads a duration; the error is Go's.
pub(super) fn parse(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        let tail = &rest[digits..];
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        if unit == 0 {
            return Err(format!("missing unit in duration {text:?}"));
        }
        let scale = NANOSECONDS.iter().find(|(name, _)| *name == &tail[..unit]);
        let (_, scale) =
            scale.ok_or_else(|| format!("unknown unit {:?} in duration {text:?}", &tail[..unit]))?;
        sum += number * scale;
        rest = &tail[unit..];
    }
    // Beyond what Go's 64 bits hold.
    if sum > i64::MAX as f64 {
        return Err(invalid());
    }
    let duration = SignedDuration::from_nanos(sum as i64);
    Ok(if negative { -duration } else { duration })
}
