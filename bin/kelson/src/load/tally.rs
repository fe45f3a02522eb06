//! What `kelson load` counted: answers by how long they took, losses by their kind. Leaf.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Kinds of losses told apart.
const KINDS_MAX: usize = 20;

/// Answers and losses so far.
#[derive(Default)]
pub struct Tally {
    took_us: Vec<u32>,
    lost: BTreeMap<String, usize>,
    /// Requests repeated because a kept connection was found closed.
    pub repeated: usize,
}

impl Tally {
    /// One more request, answered or lost.
    pub fn count(&mut self, answered: Result<Duration, String>) {
        match answered {
            Ok(took) => self.took_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
            Err(why) => {
                let why = match self.lost.len() < KINDS_MAX || self.lost.contains_key(&why) {
                    true => why,
                    false => "otherwise".to_owned(),
                };
                *self.lost.entry(why).or_default() += 1;
            }
        }
    }

    /// What another counted.
    pub fn add(&mut self, other: Tally) {
        self.took_us.extend(other.took_us);
        self.repeated += other.repeated;
        for (why, count) in other.lost {
            *self.lost.entry(why).or_default() += count;
        }
    }

    /// One line of figures, `name value` in turn, then a line for each kind of loss.
    pub fn report(mut self) -> String {
        self.took_us.sort_unstable();
        let lost: usize = self.lost.values().sum();
        let at = |permille: usize| {
            let index = (self.took_us.len() * permille / 1000).min(self.took_us.len().saturating_sub(1));
            f64::from(self.took_us.get(index).copied().unwrap_or(0)) / 1e3
        };
        let mut out = format!(
            "requests {} lost {lost} repeated {} p50_ms {:.2} p99_ms {:.2} max_ms {:.2}\n",
            self.took_us.len() + lost,
            self.repeated,
            at(500),
            at(990),
            at(1000),
        );
        for (why, count) in &self.lost {
            let _ = writeln!(out, "lost: {why} ({count})");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tally;

    #[test]
    fn answers_and_losses_are_counted_by_kind() {
        let mut tally = Tally::default();
        (1..=100).for_each(|ms| tally.count(Ok(Duration::from_millis(ms))));
        let mut other = Tally { repeated: 2, ..Tally::default() };
        ["reset", "refused", "reset"].iter().for_each(|why| other.count(Err((*why).to_owned())));
        tally.add(other);
        let expected = "requests 103 lost 3 repeated 2 p50_ms 51.00 p99_ms 100.00 max_ms 100.00\n\
                        lost: refused (1)\nlost: reset (2)\n";
        assert_eq!(tally.report(), expected);
    }
}
