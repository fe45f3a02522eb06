//! A histogram with CoreDNS' bounds: counted with two additions, written out cumulatively as Prometheus wants it.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most bounds a histogram has.
const BOUNDS_MAX: usize = 14;

/// Bounds and how a raw value becomes the unit that is shown.
pub(super) struct Scale {
    bounds: &'static [u64],
    /// Raw units in one that is shown.
    unit: f64,
}

/// Nanoseconds, shown as seconds: from 250 µs, doubled each time.
pub(super) const DURATIONS: Scale = Scale {
    bounds: &[
        250_000,
        500_000,
        1_000_000,
        2_000_000,
        4_000_000,
        8_000_000,
        16_000_000,
        32_000_000,
        64_000_000,
        128_000_000,
        256_000_000,
        512_000_000,
        1_024_000_000,
        2_048_000_000,
    ],
    unit: 1e9,
};

/// Bytes of a message.
pub(super) const SIZES: Scale = Scale {
    bounds: &[0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000],
    unit: 1.0,
};

/// How many values fell below each bound and not below the one before, and their sum, in raw units.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDS_MAX + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// Counts `value` so many times.
    pub fn add(&self, scale: &Scale, value: u64, count: u64) {
        let bucket = scale.bounds.iter().position(|bound| value <= *bound).unwrap_or(scale.bounds.len());
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum.fetch_add(value.saturating_mul(count), Ordering::Relaxed);
    }
}

/// Writes the sum of some histograms as the samples of `name` with `labels`; nothing when nothing was counted.
pub(super) fn write<'a>(
    text: &mut String,
    name: &str,
    labels: &str,
    scale: &Scale,
    parts: impl Iterator<Item = &'a Histogram> + Clone,
) {
    let load = |pick: &dyn Fn(&Histogram) -> &AtomicU64| -> u64 {
        parts.clone().map(|part| pick(part).load(Ordering::Relaxed)).sum()
    };
    let counts: Vec<u64> =
        (0..=scale.bounds.len()).map(|bucket| load(&|part| &part.counts[bucket])).collect();
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    let mut below = 0;
    for (bound, count) in scale.bounds.iter().zip(&counts) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{}\"}} {below}", shown(*bound, scale));
    }
    let sum = shown(load(&|part| &part.sum), scale);
    let _ = writeln!(
        text,
        "{name}_bucket{{{labels},le=\"+Inf\"}} {total}\n{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}"
    );
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
fn shown(value: u64, scale: &Scale) -> f64 {
    value as f64 / scale.unit
}
