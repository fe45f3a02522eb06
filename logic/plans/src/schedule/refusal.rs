//! Why no node would do, in upstream's words. Pure leaf of `schedule`.

use std::collections::BTreeMap;

const NO_NODES: &str = "no nodes available to schedule pods";
const HELPLESS: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NEVER: &str = "not eligible due to preemptionPolicy=Never.";
const CLAIMS: &str = "no new claims to deallocate";

/// Why one node will not do, and whether evicting pods from it could change that.
#[derive(Clone, Debug)]
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

    /// Nobody is there whom the pod could drive away.
    pub(super) fn no_victims() -> Self {
        Self::final_(NO_VICTIMS)
    }
}

/// Whether it could help to drive pods away.
pub(super) fn is_passing(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|verdict| verdict.passing)
}

/// What came of trying to drive other pods away.
pub(super) enum Attempt {
    /// Pods go, and the pod has a node to wait for.
    Made,
    /// The pod may not.
    Never,
    /// It would not help, and why, node by node.
    Vain(Counts),
}

/// The verdicts of nodes, counted.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<String, usize>);

impl Counts {
    pub(super) fn add(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            *self.0.entry(verdict.message.clone()).or_default() += 1;
        }
    }

    /// A node where driving pods away changes nothing.
    pub(super) fn add_helpless(&mut self, nodes: usize) {
        if nodes > 0 {
            *self.0.entry(HELPLESS.to_owned()).or_default() += nodes;
        }
    }

    fn listed(&self) -> String {
        let mut lines: Vec<String> =
            self.0.iter().map(|(message, count)| format!("{count} {message}")).collect();
        lines.sort();
        lines.join(", ")
    }
}

/// The whole message: what the filters said of the nodes, and what came of preemption.
pub(super) fn message(nodes: usize, filters: &str, attempt: &Attempt) -> String {
    if nodes == 0 {
        return NO_NODES.to_owned();
    }
    let filtered = format!("0/{nodes} nodes are available: {filters}.");
    match attempt {
        Attempt::Made => filtered,
        Attempt::Never => format!("{filtered} {CLAIMS}, preemption: {NEVER}"),
        Attempt::Vain(counts) => {
            format!("{filtered} {CLAIMS}, preemption: 0/{nodes} nodes are available: {}.", counts.listed())
        }
    }
}

/// What the filters said, each reason with its number of nodes.
pub(super) fn filters(counts: &Counts) -> String {
    counts.listed()
}
