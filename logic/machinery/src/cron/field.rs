//! One field of a schedule: lists of values, ranges and steps, by number or by name. Leaf of `cron`.

/// What a field may hold.
pub(super) struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

pub(super) const MINUTE: Bounds = Bounds { least: 0, most: 59, names: &[] };
pub(super) const HOUR: Bounds = Bounds { least: 0, most: 23, names: &[] };
pub(super) const DAY: Bounds = Bounds { least: 1, most: 31, names: &[] };
pub(super) const MONTH: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
pub(super) const WEEKDAY: Bounds =
    Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The values a field allows, a bit each, and whether it was left open (`*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    bits: u64,
    pub(super) any: bool,
}

impl Field {
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let mut all = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let one = range(part, bounds)?;
            all = Self { bits: all.bits | one.bits, any: all.any || one.any };
        }
        Ok(all)
    }

    pub(super) fn has(&self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits >> value & 1 == 1)
    }
}

/// `*`, `a`, `a-b`, each with an optional `/step`.
fn range(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let (span, step) = match text.split('/').collect::<Vec<_>>().as_slice() {
        [span] => (*span, None),
        [span, step] => (*span, Some(number(step)?)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let ends: Vec<&str> = span.split('-').collect();
    let any = matches!(ends[0], "*" | "?");
    let (start, mut end) = match ends.as_slice() {
        _ if any => (bounds.least, bounds.most),
        [only] => (value(only, bounds)?, value(only, bounds)?),
        [first, last] => (value(first, bounds)?, value(last, bounds)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    // `n/step` goes on to the end.
    if step.is_some() && ends.len() == 1 {
        end = bounds.most;
    }
    let step = step.unwrap_or(1);
    check(text, bounds, start, end, step)?;
    let stride = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (start..=end).step_by(stride).fold(0, |bits, value| bits | 1u64 << value);
    Ok(Field { bits, any: any && step == 1 })
}

fn check(text: &str, bounds: &Bounds, start: u32, end: u32, step: u32) -> Result<(), String> {
    let Bounds { least, most, .. } = bounds;
    if start < *least {
        return Err(format!("beginning of range ({start}) below minimum ({least}): {text}"));
    }
    if end > *most {
        return Err(format!("end of range ({end}) above maximum ({most}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    match step {
        0 => Err(format!("step of range should be a positive number: {text}")),
        _ => Ok(()),
    }
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        Some(place) => Ok(bounds.least + u32::try_from(place).unwrap_or(0)),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    let syntax =
        || format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
    let number: i64 = text.parse().map_err(|_| syntax())?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    u32::try_from(number).map_err(|_| syntax())
}
