//! Sets of completion indexes, as `completedIndexes` writes them: `0-2,5` (H6.3). Pure leaf.

use std::collections::BTreeSet;

/// Indexes that are told apart at most; the API allows a tenth of it where each may fail for itself.
const INDEXES_MAX: usize = 1_000_000;

/// Indexes in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(pub BTreeSet<usize>);

impl Indexes {
    /// Reads what is written, as far as it is below `bound`; what cannot be read counts as nothing.
    pub(super) fn parse(text: &str, bound: usize) -> Self {
        let bound = bound.min(INDEXES_MAX);
        let mut all = BTreeSet::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else { continue };
            all.extend(first..=last.min(bound.saturating_sub(1)));
        }
        all.retain(|index| *index < bound);
        Self(all)
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.0.contains(&index)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Runs of three and more as `first-last`, shorter ones one by one.
    pub(super) fn write(&self) -> String {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for index in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *index => *last = *index,
                _ => runs.push((*index, *index)),
            }
        }
        let written = runs.into_iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        });
        written.collect::<Vec<_>>().join(",")
    }
}
