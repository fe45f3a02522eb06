//! Preemption: a pod that fits nowhere may drive away less important ones, as upstream's DefaultPreemption chooses them.
//!
//! Part of `schedule`. A node is tried as if every less important pod on it were gone; those that still fit beside the
//! newcomer are spared: first those whose going would break a PodDisruptionBudget, then the others, the most important
//! first. Invariant: nobody is driven away for a pod that would not fit then, and while those who were driven away for it
//! still take their time, nobody else is.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::allowances::Allowances;
use super::nodes::{Nodes, Trial};
use super::refusal::{self, Attempt, Counts, Verdict};
use super::spread::Gone;
use crate::plan::{Action, Reason, Step};
use crate::pod;

const DISRUPTION_TARGET: &str = "DisruptionTarget";
const BY_SCHEDULER: &str = "PreemptionByScheduler";
/// Nodes tried at most, or a tenth of those that come into question, if that is more (upstream's defaults).
const CANDIDATES: usize = 100;
/// What makes sums of priorities positive, so that fewer victims never count as more.
const OFFSET: i64 = i32::MAX as i64 + 1;

/// What a pod that fits nowhere does about it.
pub(super) enum Outcome<'a> {
    /// Waits for this node, from which these go.
    Preempts { node: String, victims: Vec<&'a Pod> },
    /// Goes on waiting for the node it is nominated to.
    Waits,
    /// Has no node to wait for.
    Nothing(Attempt),
}

/// Decides for a pod that the filters refused on every node; `verdicts` are theirs, by node.
pub(super) fn outcome<'a>(
    nodes: &Nodes<'a>,
    trial: &Trial<'a>,
    verdicts: &[(&'a str, Vec<Verdict>)],
) -> Outcome<'a> {
    let spec = trial.pod.spec.as_ref();
    if spec.and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Outcome::Nothing(Attempt::Never);
    }
    if waits_for_victims(nodes, trial, verdicts) {
        return Outcome::Waits;
    }
    let (open, closed): (Vec<_>, Vec<_>) =
        verdicts.iter().partition(|(_, verdicts)| refusal::is_passing(verdicts));
    let mut counts = Counts::default();
    counts.add_helpless(closed.len());
    let most = CANDIDATES.max(open.len() / 10);
    let mut best: Option<(Rank, &str, Vec<&'a Pod>)> = None;
    let mut found = 0;
    let budgets = nodes.allowances();
    for (name, _) in open {
        match victims(nodes, trial, name, budgets) {
            Err(verdicts) => counts.add(&verdicts),
            Ok((victims, broken)) => {
                let rank = rank(&victims, broken);
                if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                    best = Some((rank, name, victims));
                }
                found += 1;
            }
        }
        // While all that was found breaks budgets, there may be better.
        if found >= most && best.as_ref().is_some_and(|(rank, ..)| rank.0 == 0) {
            break;
        }
    }
    match best {
        Some((_, node, victims)) => Outcome::Preempts { node: node.to_owned(), victims },
        None => Outcome::Nothing(Attempt::Vain(counts)),
    }
}

/// Whether pods that were driven away for it are still going.
fn waits_for_victims(nodes: &Nodes<'_>, trial: &Trial<'_>, verdicts: &[(&str, Vec<Verdict>)]) -> bool {
    let Some(nominated) = nominated(trial.pod) else { return false };
    if nodes.is_promised(nominated, priority(trial.pod)) {
        return false;
    }
    let of_node = verdicts.iter().find(|(name, _)| *name == nominated);
    let hopeless = of_node.is_none_or(|(_, verdicts)| !refusal::is_passing(verdicts));
    let going = |pod: &&Pod| {
        let condition = pod::condition(pod, DISRUPTION_TARGET);
        let driven = condition.and_then(|it| it.reason.as_deref()) == Some(BY_SCHEDULER);
        pod::is_deleting(pod) && driven && priority(pod) < priority(trial.pod)
    };
    !hopeless && nodes.pods_on(nominated).iter().any(going)
}

/// The node a pod waits for.
pub(super) fn nominated(pod: &Pod) -> Option<&str> {
    let node = pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref());
    node.filter(|node| !node.is_empty())
}

pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// The least that must go from the node, the most important first, and how many of them break a budget; or why not even
/// all would do.
fn victims<'a>(
    nodes: &Nodes<'a>,
    trial: &Trial<'a>,
    node: &str,
    budgets: &Allowances<'a>,
) -> Result<(Vec<&'a Pod>, usize), Vec<Verdict>> {
    let mut possible: Vec<&'a Pod> = nodes
        .pods_on(node)
        .iter()
        .copied()
        .filter(|pod| pod::node(pod) == Some(node) && priority(pod) < priority(trial.pod))
        .collect();
    // Who goes already makes room for others, too.
    let going = nodes.condemned();
    if possible.is_empty() && going.is_empty() {
        return Err(vec![Verdict::no_victims()]);
    }
    possible.sort_by_key(|pod| (Reverse(priority(pod)), started(pod), uid(pod)));
    let mut gone: Gone<'_> =
        possible.iter().map(|pod| uid(pod)).chain(going.iter().map(String::as_str)).collect();
    let verdicts = nodes.verdicts(trial, node, &gone);
    if !verdicts.is_empty() {
        return Err(verdicts);
    }
    let broken = budgets.broken_by(&possible);
    let breaks = |pod: &&&'a Pod| broken.contains(uid(pod));
    for pod in possible.iter().filter(breaks).chain(possible.iter().filter(|pod| !breaks(pod))) {
        gone.remove(uid(pod));
        if !nodes.verdicts(trial, node, &gone).is_empty() {
            gone.insert(uid(pod));
        }
    }
    let gone: BTreeSet<&str> = gone;
    let victims: Vec<&'a Pod> = possible.into_iter().filter(|pod| gone.contains(uid(pod))).collect();
    let broken = victims.iter().filter(|pod| broken.contains(uid(pod))).count();
    Ok((victims, broken))
}

pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// When a pod began to run; one that has not yet counts as the latest.
fn started(pod: &Pod) -> Timestamp {
    let start = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    start.map_or(Timestamp::MAX, |time| time.0)
}

/// Upstream's order of nodes: the fewest broken budgets, the lowest highest priority, the least sum, the fewest, the latest start among the most
/// important.
type Rank = (usize, i32, i64, usize, Reverse<Timestamp>);

fn rank(victims: &[&Pod], broken: usize) -> Rank {
    let highest = victims.first().map_or(i32::MIN, |pod| priority(pod));
    let sum = victims.iter().map(|pod| i64::from(priority(pod)) + OFFSET).sum();
    let most_important = victims.iter().filter(|pod| priority(pod) == highest);
    let earliest = most_important.map(|pod| started(pod)).min().unwrap_or(Timestamp::MAX);
    (broken, highest, sum, victims.len(), Reverse(earliest))
}

/// Says on a victim that it goes, and why; once.
pub(super) fn mark(victim: &Pod, now: Timestamp) -> Option<Step> {
    let marked = pod::condition(victim, DISRUPTION_TARGET).is_some_and(|it| it.status == "True");
    if marked || pod::is_deleting(victim) {
        return None;
    }
    let mut after = victim.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != DISRUPTION_TARGET);
    conditions.push(PodCondition {
        type_: DISRUPTION_TARGET.to_owned(),
        status: "True".to_owned(),
        reason: Some(BY_SCHEDULER.to_owned()),
        message: Some("default-scheduler: preempting to accommodate a higher priority pod".to_owned()),
        last_transition_time: Some(Time(now)),
        observed_generation: victim.metadata.generation,
        ..PodCondition::default()
    });
    Action::patch_status(victim, &after).map(Step::from)
}

/// Whether a pod hopes for a node where room is made for a more important one.
pub(super) fn is_outdone(pod: &Pod, preemptor: &Pod, node: &str) -> bool {
    nominated(pod) == Some(node) && priority(pod) < priority(preemptor)
}

/// Takes back what a pod hoped for, which another has now.
pub(super) fn disappoint(pod: &Pod) -> Option<Step> {
    let mut after = pod.clone();
    after.status.get_or_insert_default().nominated_node_name = None;
    Action::patch_status(pod, &after).map(Step::from)
}

/// Makes a victim go, unless it goes already.
pub(super) fn evict(victim: &Pod, preemptor: &Pod, node: &str) -> Option<Step> {
    if pod::is_deleting(victim) {
        return None;
    }
    let message = format!("Preempted by pod {} on node {node}", uid(preemptor));
    Some(Step::from(Action::delete(victim)).done(Reason::normal(victim, "Preempted", message)))
}
