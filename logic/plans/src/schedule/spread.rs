//! Pods that want to be spread evenly over places: topologySpreadConstraints, as upstream counts them. Part of `schedule`.
//!
//! A place is a value of the constraint's topology key; a constraint compares the pods it means in the node's place with
//! the emptiest place there is. What must hold refuses a node, what should hold orders the nodes that are left.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, Taint, TopologySpreadConstraint};

use super::refusal::Verdict;
use super::{affinity, nodes};
use crate::pod;
use crate::select;

const UNEVEN: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// Pods as if they were not there, by uid.
pub(super) type Gone<'a> = BTreeSet<&'a str>;

/// A pod's constraints with the places counted for them.
pub(super) struct Spread<'a> {
    pod: &'a Pod,
    required: Vec<Count<'a>>,
    preferred: Vec<Count<'a>>,
}

/// One constraint and how many of the pods it means are in each place.
struct Count<'a> {
    constraint: &'a TopologySpreadConstraint,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Spread<'a> {
    /// Counts over all nodes and the pods on them, without those that are `gone`.
    pub(super) fn of<'n>(
        pod: &'a Pod,
        nodes: impl Iterator<Item = (&'a Node, &'n [&'a Pod])> + Clone,
        gone: &Gone<'_>,
    ) -> Self
    where
        'a: 'n,
    {
        let counted = |when: &str| {
            let wanted: Vec<&TopologySpreadConstraint> =
                constraints(pod).iter().filter(|one| one.when_unsatisfiable == when).collect();
            let counted = |constraint| Count {
                constraint,
                places: places(pod, constraint, &wanted, nodes.clone(), gone),
            };
            wanted.iter().map(|constraint| counted(*constraint)).collect()
        };
        Self { pod, required: counted("DoNotSchedule"), preferred: counted("ScheduleAnyway") }
    }

    /// Whether there is anything to count, so that others pay nothing.
    pub(super) fn concerns(pod: &Pod) -> bool {
        !constraints(pod).is_empty()
    }

    /// Why the node would make the spread uneven.
    pub(super) fn verdict(&self, node: &Node) -> Option<Verdict> {
        self.required.iter().find_map(|count| {
            let Some(place) = label(node, count.constraint) else { return Some(Verdict::final_(NO_LABEL)) };
            (count.skew(self.pod, place) > i64::from(count.constraint.max_skew))
                .then(|| Verdict::passing(UNEVEN))
        })
    }

    /// How full the node's places are for what is preferred: less is better, without a place is worst.
    pub(super) fn crowd(&self, node: &Node) -> usize {
        let in_place = |count: &Count<'_>| match label(node, count.constraint) {
            Some(place) => count.places.get(place).copied().unwrap_or(0),
            None => usize::from(u16::MAX),
        };
        self.preferred.iter().map(in_place).sum()
    }
}

impl Count<'_> {
    /// How many more there would be than in the emptiest place.
    fn skew(&self, pod: &Pod, place: &str) -> i64 {
        let few = i64::from(self.constraint.min_domains.unwrap_or(1)) > self.places.len() as i64;
        let least = self.places.values().min().copied();
        let least = if few { 0 } else { least.map_or(i64::from(i32::MAX), |least| least as i64) };
        let here = self.places.get(place).copied().unwrap_or(0) as i64;
        here + i64::from(means(self.constraint, pod, pod)) - least
    }
}

fn constraints(pod: &Pod) -> &[TopologySpreadConstraint] {
    pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_deref()).unwrap_or_default()
}

fn label<'n>(node: &'n Node, constraint: &TopologySpreadConstraint) -> Option<&'n str> {
    node.metadata.labels.as_ref()?.get(&constraint.topology_key).map(String::as_str)
}

/// Nodes count that have a place for each of the constraints and that the constraint's policies include.
fn places<'a, 'n>(
    pod: &Pod,
    constraint: &TopologySpreadConstraint,
    all: &[&TopologySpreadConstraint],
    nodes: impl Iterator<Item = (&'a Node, &'n [&'a Pod])>,
    gone: &Gone<'_>,
) -> BTreeMap<&'a str, usize>
where
    'a: 'n,
{
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (node, pods) in nodes {
        let placed = all.iter().all(|other| label(node, other).is_some());
        let Some(place) = label(node, constraint).filter(|_| placed && includes(constraint, pod, node))
        else {
            continue;
        };
        let counts = |other: &&&Pod| {
            let absent = gone.contains(other.metadata.uid.as_deref().unwrap_or_default());
            !absent && !pod::is_deleting(other) && means(constraint, pod, other)
        };
        *places.entry(place).or_default() += pods.iter().filter(counts).count();
    }
    places
}

fn includes(constraint: &TopologySpreadConstraint, pod: &Pod, node: &Node) -> bool {
    let by_affinity = constraint.node_affinity_policy.as_deref() == Some("Ignore");
    let by_taints = constraint.node_taints_policy.as_deref() != Some("Honor");
    (by_affinity || affinity::allows(pod, node)) && (by_taints || !repels(pod, node))
}

fn repels(pod: &Pod, node: &Node) -> bool {
    let hard = |taint: &&Taint| ["NoSchedule", "NoExecute"].contains(&taint.effect.as_str());
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).filter(hard);
    taints.any(|taint| !nodes::tolerates(pod, taint))
}

/// Whether a constraint of `of` means the other pod: its namespace, its selector, and the values that `of` itself has for
/// the listed labels.
fn means(constraint: &TopologySpreadConstraint, of: &Pod, other: &Pod) -> bool {
    let labels = other.metadata.labels.as_ref();
    let chosen = constraint.label_selector.as_ref().is_some_and(|selector| select::matches(selector, labels));
    let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
    let value = |pod: &Pod, key: &String| pod.metadata.labels.as_ref().and_then(|it| it.get(key)).cloned();
    let alike = |key: &String| value(of, key).is_none_or(|own| value(other, key) == Some(own));
    of.metadata.namespace == other.metadata.namespace && chosen && keys.iter().all(alike)
}
