//! `--eviction-hard memory.available<100Mi,nodefs.available<10%`: reading thresholds, and which are met.
//!
//! The texts of the errors are upstream's.

use super::{Observation, Observations, Signal, Starved};
use kelson_machinery::quantity::Quantity;

/// What a node may have no less of than.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Quantity(Quantity),
    /// A share of the capacity, 0 to 1; as exact as upstream's.
    Share(f32),
}

/// One threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    pub signal: Signal,
    pub amount: Amount,
}

/// At most one threshold a signal, in the signals' order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(Vec<Threshold>);

impl Thresholds {
    /// Reads a list separated by commas. Nothing is no threshold at all; of two for one signal the later counts; `0%` and
    /// `100%` are none.
    pub fn parse(text: &str) -> Result<Thresholds, String> {
        let mut all: Vec<Threshold> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (signal, value) = pair
                .split_once('<')
                .ok_or_else(|| format!("malformed pair, expect string<string: {pair}"))?;
            let signal = self::signal(signal.trim())?;
            all.retain(|threshold| threshold.signal != signal);
            all.extend(amount(signal, value.trim())?.map(|amount| Threshold { signal, amount }));
        }
        all.sort_by_key(|threshold| threshold.signal);
        Ok(Thresholds(all))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The thresholds that are met, in the order in which they are seen to.
    pub(super) fn met(&self, observations: &Observations) -> impl Iterator<Item = Starved> {
        self.0.iter().filter_map(|threshold| threshold.starved(observations.get(&threshold.signal)?))
    }
}

impl Threshold {
    fn starved(&self, seen: &Observation) -> Option<Starved> {
        let threshold = match self.amount {
            Amount::Quantity(quantity) => quantity,
            Amount::Share(share) => Quantity::bytes((seen.capacity as f64 * f64::from(share)) as i64),
        };
        let available = self.signal.quantity(seen.available);
        (available < threshold).then_some(Starved { signal: self.signal, threshold, available })
    }
}

fn signal(name: &str) -> Result<Signal, String> {
    let found = Signal::ALL.into_iter().find(|signal| signal.name() == name);
    found.ok_or_else(|| format!("unsupported eviction signal {name}"))
}

fn amount(signal: Signal, text: &str) -> Result<Option<Amount>, String> {
    let name = signal.name();
    let Some(percentage) = text.strip_suffix('%') else {
        let quantity = Quantity::parse(text).map_err(|error| format!("{name}<{text}: {error}"))?;
        return match quantity.is_negative() || quantity.is_zero() {
            true => Err(format!("eviction threshold {name} must be positive: {quantity}")),
            false => Ok(Some(Amount::Quantity(quantity))),
        };
    };
    let malformed = || format!("{name}<{text}: \"{percentage}\" is not a number of per cent");
    let share: f32 = percentage.parse().map_err(|_| malformed())?;
    match share / 100.0 {
        share if !share.is_finite() => Err(malformed()),
        share if share < 0.0 => Err(format!("eviction percentage threshold {name} must be >= 0%: {text}")),
        share if share > 1.0 => Err(format!("eviction percentage threshold {name} must be <= 100%: {text}")),
        share if share == 0.0 || share == 1.0 => Ok(None),
        share => Ok(Some(Amount::Share(share))),
    }
}
