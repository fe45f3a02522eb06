//! Resource quantities: `250m`, `1Gi`, `1e3`, and their canonical form.
//!
//! Invariant: the value is exact down to a billionth (finer is rounded away from zero, as upstream does) and at most
//! 2^63-1 whole units. Parsing is linear and never overflows.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
/// The largest magnitude kept, in billionths.
const MAX: i128 = (i64::MAX as i128) * NANO;
/// Digits beyond these change nothing that is kept.
const DIGITS_MAX: usize = 64;
const DECIMAL: [(i32, &str); 10] =
    [(-9, "n"), (-6, "u"), (-3, "m"), (0, ""), (3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E")];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// How a quantity was written, and is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `k`, `M`, `m` …
    Decimal,
    /// `Ki`, `Mi` …
    Binary,
    /// `e3`.
    Exponent,
}

/// Why a text is no quantity; the messages are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// Not of the form.
    Format,
    /// The suffix is none.
    Suffix,
    /// The number is none.
    Numeric,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            Self::Suffix => "unable to parse quantity's suffix",
            Self::Numeric => "unable to parse numeric part of quantity",
        })
    }
}

impl std::error::Error for QuantityError {}

/// An amount and how to write it. Compared by amount alone.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

impl Quantity {
    /// Parses upstream's syntax.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(QuantityError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end = unsigned
            .bytes()
            .position(|byte| !byte.is_ascii_digit() && byte != b'.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        if number.is_empty() {
            return Err(QuantityError::Format);
        }
        let (scale, format) = scale(suffix)?;
        let nano = nano(number, scale)?;
        Ok(Self { nano: if negative { -nano } else { nano }, format })
    }

    /// Whole units, written as decimal.
    pub fn whole(units: i64) -> Self {
        Self { nano: i128::from(units) * NANO, format: Format::Decimal }
    }

    /// Bytes, written in powers of two where they are whole ones.
    pub fn bytes(bytes: i64) -> Self {
        Self { nano: i128::from(bytes) * NANO, format: Format::Binary }
    }

    /// Thousandths (CPU), written as decimal.
    pub fn from_milli(milli: i64) -> Self {
        Self { nano: i128::from(milli) * (NANO / 1000), format: Format::Decimal }
    }

    /// Thousandths, rounded up: CPU in millicores.
    pub fn milli(&self) -> i64 {
        round_up(self.nano, NANO / 1000)
    }

    /// Whole units, rounded up: memory in bytes.
    pub fn value(&self) -> i64 {
        round_up(self.nano, NANO)
    }

    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// The sum, written as `self` is; held at the largest amount there is.
    pub fn plus(&self, other: &Self) -> Self {
        Self { nano: (self.nano + other.nano).clamp(-MAX, MAX), format: self.format }
    }

    /// The difference, written as `self` is.
    pub fn minus(&self, other: &Self) -> Self {
        Self { nano: (self.nano - other.nano).clamp(-MAX, MAX), format: self.format }
    }

    /// How many times the other it is; of nothing, no number.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        self.nano as f64 / other.nano as f64
    }

    /// The least whole number of units that is not less.
    pub fn ceil(&self) -> Self {
        Self { nano: i128::from(self.value()) * NANO, format: self.format }
    }
}

/// Parses and prints again: what the API stores.
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    Quantity::parse(text).map(|quantity| quantity.to_string())
}

/// What a suffix multiplies by.
enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale(suffix: &str) -> Result<(Scale, Format), QuantityError> {
    if let Some((exponent, _)) = DECIMAL.iter().find(|(_, name)| *name == suffix) {
        return Ok((Scale::Ten(*exponent), Format::Decimal));
    }
    if let Some(power) = BINARY.iter().position(|name| *name == suffix) {
        return Ok((Scale::Two(10 * power as u32), Format::Binary));
    }
    let in_form = suffix.bytes().all(|byte| b"eEinumkKMGTP+-0123456789".contains(&byte));
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(if in_form {
        QuantityError::Suffix
    } else {
        QuantityError::Format
    })?;
    let exponent = digits.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Scale::Ten(exponent), Format::Exponent))
}

fn nano(number: &str, scale: Scale) -> Result<i128, QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(QuantityError::Numeric);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS_MAX {
        return Ok(MAX);
    }
    Ok(match scale {
        Scale::Ten(exponent) => by_ten(whole, fraction, exponent),
        Scale::Two(bits) => by_two(whole, fraction, bits),
    })
}

/// Shifts the decimal point: the digits up to nine places behind it are kept, what follows rounds up.
fn by_ten(whole: &str, fraction: &str, exponent: i32) -> i128 {
    let digits = whole.bytes().chain(fraction.bytes());
    let kept = whole.len() as i64 + i64::from(exponent) + 9;
    let (mut value, mut rest) = (0_i128, false);
    let mut seen = 0_i64;
    for digit in digits {
        if seen < kept {
            value = (value * 10 + i128::from(digit - b'0')).min(MAX);
        } else {
            rest |= digit != b'0';
        }
        seen += 1;
    }
    if value > 0 {
        for _ in seen..kept.min(seen + DIGITS_MAX as i64) {
            value = (value * 10).min(MAX);
        }
    }
    (value + i128::from(rest)).min(MAX)
}

fn by_two(whole: &str, fraction: &str, bits: u32) -> i128 {
    let exact = by_ten(whole, fraction, 0);
    exact.saturating_mul(1_i128 << bits).min(MAX)
}

fn round_up(nano: i128, unit: i128) -> i64 {
    let quotient = nano / unit;
    let up = i128::from(nano % unit > 0) - i128::from(nano % unit < 0);
    (quotient + up).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nano % NANO == 0;
        match self.format {
            Format::Binary if whole && self.nano.abs() >= 1024 * NANO => binary(self.nano / NANO, f),
            Format::Exponent => decimal(self.nano, true, f),
            _ => decimal(self.nano, false, f),
        }
    }
}

fn binary(mut units: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut power = 0;
    while units % 1024 == 0 && power + 1 < BINARY.len() {
        units /= 1024;
        power += 1;
    }
    write!(f, "{units}{}", BINARY[power])
}

fn decimal(mut value: i128, exponent_form: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value == 0 {
        return f.write_str("0");
    }
    let mut step = 0;
    while value % 1000 == 0 && step + 1 < DECIMAL.len() {
        value /= 1000;
        step += 1;
    }
    match DECIMAL[step] {
        (0, _) => write!(f, "{value}"),
        (exponent, _) if exponent_form => write!(f, "{value}e{exponent}"),
        (_, suffix) => write!(f, "{value}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(canonical(input).unwrap(), expected, "{input}");
        assert_eq!(canonical(expected).unwrap(), expected, "{expected} is canonical already");
    }

    #[test]
    fn canonical_forms_are_upstreams() {
        for (input, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("100000", "100k"),
            ("1500m", "1500m"),
            ("0.1Gi", "107374182400m"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("12e-3", "12e-3"),
            ("512Ki", "512Ki"),
            ("1023", "1023"),
            ("0.5Ki", "512"),
            ("1025Ki", "1025Ki"),
            ("+1", "1"),
            ("-1.5", "-1500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.0000000001", "1n"),
            ("9223372036854775808", "9223372036854775807"),
            ("100u", "100u"),
            ("1e30", "9223372036854775807"),
        ] {
            check(input, expected);
        }
    }

    #[test]
    fn values_round_up() {
        let parse = |text| Quantity::parse(text).unwrap();
        assert_eq!((parse("250m").milli(), parse("1").milli(), parse("0.0001").milli()), (250, 1000, 1));
        assert_eq!((parse("1Gi").value(), parse("100m").value(), parse("-1.5").value()), (1 << 30, 1, -2));
        assert!(parse("1Gi") > parse("1G") && parse("1000m") == parse("1"));
        assert_eq!(parse("1Gi").plus(&parse("1Gi")).to_string(), "2Gi");
        assert_eq!(parse("1").minus(&parse("250m")).to_string(), "750m");
    }

    #[test]
    fn rubbish_says_why() {
        for (input, expected) in [
            ("", QuantityError::Format),
            ("a", QuantityError::Format),
            ("1.2.3", QuantityError::Numeric),
            (".", QuantityError::Numeric),
            ("1kk", QuantityError::Suffix),
            ("1e", QuantityError::Suffix),
            ("1 Gi", QuantityError::Format),
            ("1Kb", QuantityError::Format),
            ("-", QuantityError::Format),
            ("1e99999999999", QuantityError::Suffix),
            ("--1", QuantityError::Format),
        ] {
            assert_eq!(Quantity::parse(input).unwrap_err(), expected, "{input:?}");
        }
    }

    #[test]
    fn extremes_neither_panic_nor_take_long() {
        for input in [
            "1e2147483647",
            "1e-2147483648",
            "0e2147483647",
            &"9".repeat(100_000),
            &format!("0.{}", "0".repeat(100_000)),
        ] {
            Quantity::parse(input).unwrap().to_string();
        }
        assert_eq!(Quantity::parse("1e-400").unwrap().to_string(), "1e-9");
    }
}
