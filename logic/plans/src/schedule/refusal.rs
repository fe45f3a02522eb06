//! Why no node would do, in upstream's words. Pure leaf of `schedule`.

use std::collections::BTreeMap;

const NO_NODES: &str = "no nodes available to schedule pods";
const HELPLESS: &str = "Preemption is not helpful for scheduling";

/// Why one node will not do, and whether evicting pods from it could change that.
pub(super) struct Verdict {
    message: String,
    passing: bool,
}

impl Verdict {
    /// Nothing that happens to other pods changes it.
    pub(super) fn final_(message: impl Into<String>) -> Self {
        Self { message: message.into(), passing: false }
    }

    /// Other pods are in the way.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), passing: true }
    }
}

/// The verdicts of all nodes, counted.
#[derive(Default)]
pub(super) struct Refusal {
    counts: BTreeMap<String, usize>,
    helpless: usize,
    crowded: usize,
}

impl Refusal {
    pub(super) fn add(&mut self, verdicts: Vec<Verdict>) {
        match verdicts.iter().all(|verdict| verdict.passing) {
            true => self.crowded += 1,
            false => self.helpless += 1,
        }
        for verdict in verdicts {
            *self.counts.entry(verdict.message).or_default() += 1;
        }
    }

    /// One reason that holds for every node, said once.
    pub(super) fn of_all(&self, why: String, nodes: usize) -> String {
        if nodes == 0 {
            return NO_NODES.to_owned();
        }
        format!(
            "0/{nodes} nodes are available: {why}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {nodes} {HELPLESS}."
        )
    }

    pub(super) fn message(&self, nodes: usize) -> String {
        if nodes == 0 {
            return NO_NODES.to_owned();
        }
        let lines = self.counts.iter().map(|(message, count)| format!("{count} {message}"));
        let preemption =
            [(self.crowded, "No preemption victims found for incoming pod"), (self.helpless, HELPLESS)];
        let preemption = preemption.iter().filter(|(count, _)| *count > 0);
        let preemption = preemption.map(|(count, message)| format!("{count} {message}"));
        format!(
            "0/{nodes} nodes are available: {}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {}.",
            joined(lines),
            joined(preemption)
        )
    }
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines.join(", ")
}
