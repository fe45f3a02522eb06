//! The nodes as the scheduler sees them: what is free on each, and which suits a pod best.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use super::allowances::Allowances;
use super::fit::{Free, Request};
use super::neighbours::Neighbours;
use super::preempt::{self, Outcome};
use super::refusal::{self, Attempt, Counts, Verdict};
use super::spread::{Gone, Spread};
use super::volumes::{self, Claims};
use super::{affinity, fit};
use crate::kinds::Any;
use crate::owners::controller_of;
use crate::pod;
use crate::view::View;

/// All nodes by name, each with what its pods leave free.
pub(super) struct Nodes<'a> {
    view: &'a View,
    nodes: BTreeMap<&'a str, Candidate<'a>>,
    neighbours: Neighbours<'a>,
    /// The uids of those that are driven away: nobody else drives them away, too.
    condemned: BTreeSet<String>,
    /// How many of whose pods may still go.
    allowances: Allowances<'a>,
    /// Nodes where room is made, by the priority of the most important it is made for.
    promised: BTreeMap<String, i32>,
}

/// Where a pod is to go, and which of its claims have to be bound before it may.
pub(super) struct Placement<'a> {
    pub node: String,
    pub open: Vec<&'a Arc<k8s_openapi::api::core::v1::PersistentVolumeClaim>>,
}

/// Why a pod has no node, and what it does about it.
pub(super) struct Refused<'a> {
    pub message: String,
    pub outcome: Outcome<'a>,
}

/// A pod that a node is sought for, with what is known of it on every node.
pub(super) struct Trial<'a> {
    pub pod: &'a Pod,
    request: Request,
    claims: Claims<'a>,
    spread: Option<Spread<'a>>,
}

struct Candidate<'a> {
    node: &'a Arc<Node>,
    free: Free,
    pods: Vec<&'a Pod>,
    /// How many pods of each controller are on it: pods of one set are spread.
    siblings: BTreeMap<String, usize>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let candidate = |node: &'a Arc<Node>| Candidate {
            node,
            free: Free::of(node),
            pods: Vec::new(),
            siblings: BTreeMap::new(),
        };
        let nodes = view.nodes.iter().map(|(key, node)| (key.name.as_str(), candidate(node)));
        let neighbours = Neighbours::of(view);
        let (condemned, promised) = (BTreeSet::new(), BTreeMap::new());
        let allowances = Allowances::of(view);
        let mut nodes = Self { view, nodes: nodes.collect(), neighbours, condemned, allowances, promised };
        for (_, pod) in view.pods.iter().filter(|(_, pod)| !pod::is_terminal(pod)) {
            let candidate = pod::node(pod).and_then(|node| nodes.nodes.get_mut(node));
            candidate.into_iter().for_each(|candidate| candidate.take(pod, &Request::of(pod)));
        }
        nodes
    }

    /// The node for a pod, on which it then counts; or upstream's words for why there is none.
    pub(super) fn place(&mut self, pod: &'a Pod) -> Result<Placement<'a>, Refused<'a>> {
        let claims = match volumes::claims(self.view, pod) {
            Ok(claims) => claims,
            Err(why) => return Err(self.refused_everywhere(pod, &why)),
        };
        let spread = Spread::concerns(pod).then(|| Spread::of(pod, self.with_pods(), &Gone::new()));
        let trial = Trial { pod, request: Request::of(pod), claims, spread };
        let mut best: Option<(Score, &'a str)> = None;
        let mut refusing = Vec::new();
        for (name, candidate) in &self.nodes {
            let verdicts = self.verdicts_of(&trial, candidate, &Gone::new());
            if !verdicts.is_empty() {
                refusing.push((*name, verdicts));
                continue;
            }
            let score = candidate.score(&trial, &self.neighbours);
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, name));
            }
        }
        let Some((_, name)) = best else { return Err(self.refused(&trial, &refusing)) };
        self.take(name, &trial);
        Ok(Placement { node: name.to_owned(), open: trial.claims.open })
    }

    /// From now on the pod counts on the node.
    fn take(&mut self, node: &str, trial: &Trial<'a>) {
        let Some(candidate) = self.nodes.get_mut(node) else { return };
        candidate.take(trial.pod, &trial.request);
        self.neighbours.add(trial.pod, candidate.node);
    }

    /// What is said where every node refuses. A pod that others make room for counts already.
    fn refused(&mut self, trial: &Trial<'a>, refusing: &[(&'a str, Vec<Verdict>)]) -> Refused<'a> {
        let outcome = preempt::outcome(self, trial, refusing);
        match &outcome {
            Outcome::Preempts { node, victims } => {
                let uids = victims.iter().filter_map(|victim| victim.metadata.uid.clone());
                self.condemned.extend(uids);
                self.allowances.spend(victims);
                let promised = self.promised.entry(node.clone()).or_insert(i32::MIN);
                *promised = (*promised).max(preempt::priority(trial.pod));
                self.take(node, trial);
            }
            Outcome::Waits => self.take(preempt::nominated(trial.pod).unwrap_or_default(), trial),
            Outcome::Nothing(_) => {}
        }
        let mut counts = Counts::default();
        refusing.iter().for_each(|(_, verdicts)| counts.add(verdicts));
        let attempt = match &outcome {
            Outcome::Nothing(attempt) => attempt,
            _ => &Attempt::Made,
        };
        let message = refusal::message(self.nodes.len(), &refusal::filters(&counts), attempt);
        Refused { message, outcome }
    }

    /// One reason that holds for every node, said once.
    fn refused_everywhere(&self, pod: &Pod, why: &str) -> Refused<'a> {
        let mut counts = Counts::default();
        counts.add_helpless(self.nodes.len());
        let never = pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never");
        let attempt = if never { Attempt::Never } else { Attempt::Vain(counts) };
        let message = refusal::message(self.nodes.len(), why, &attempt);
        Refused { message, outcome: Outcome::Nothing(attempt) }
    }

    /// The pods that count on a node and may be driven away.
    pub(super) fn pods_on(&self, node: &str) -> Vec<&'a Pod> {
        let pods = self.nodes.get(node).map(|candidate| candidate.pods.as_slice()).unwrap_or_default();
        let condemned = |pod: &Pod| pod.metadata.uid.as_ref().is_some_and(|uid| self.condemned.contains(uid));
        pods.iter().copied().filter(|pod| !condemned(pod)).collect()
    }

    /// The uids of those that are driven away already.
    pub(super) fn condemned(&self) -> &BTreeSet<String> {
        &self.condemned
    }

    /// What budgets leave to be spent.
    pub(super) fn allowances(&self) -> &Allowances<'a> {
        &self.allowances
    }

    /// Whether this plan makes room on a node for somebody more important.
    pub(super) fn is_promised(&self, node: &str, priority: i32) -> bool {
        self.promised.get(node).is_some_and(|promised| *promised > priority)
    }

    /// Why the node would not do if these were gone.
    pub(super) fn verdicts(&self, trial: &Trial<'a>, node: &str, gone: &Gone<'_>) -> Vec<Verdict> {
        let candidate = self.nodes.get(node);
        candidate.map(|candidate| self.verdicts_of(trial, candidate, gone)).unwrap_or_default()
    }

    fn with_pods(&self) -> impl Iterator<Item = (&'a Node, &[&'a Pod])> + Clone {
        self.nodes.values().map(|candidate| (candidate.node.as_ref(), candidate.pods.as_slice()))
    }

    /// Why the node will not do: the first filter that refuses speaks, as upstream runs them.
    fn verdicts_of(&self, trial: &Trial<'a>, candidate: &Candidate<'a>, gone: &Gone<'_>) -> Vec<Verdict> {
        if let Some(verdict) = candidate.repels(trial.pod) {
            return vec![verdict];
        }
        let without;
        let free = match gone.is_empty() {
            true => &candidate.free,
            false => {
                without = candidate.free_without(gone);
                &without
            }
        };
        if free.has_port_conflict(&trial.request) {
            return vec![Verdict::passing("node(s) didn't have free ports for the requested pod ports")];
        }
        let short = fit::verdicts(free, &trial.request);
        if !short.is_empty() {
            return short;
        }
        let later = volumes::conflict(trial.pod, &trial.claims, &self.neighbours, gone)
            .or_else(|| volumes::verdict(self.view, &trial.claims, candidate.node))
            .or_else(|| self.uneven(trial, candidate.node, gone))
            .or_else(|| self.neighbours.verdict(trial.pod, candidate.node, gone));
        later.into_iter().collect()
    }

    fn uneven(&self, trial: &Trial<'a>, node: &Node, gone: &Gone<'_>) -> Option<Verdict> {
        let spread = trial.spread.as_ref()?;
        match gone.is_empty() {
            true => spread.verdict(node),
            false => Spread::of(trial.pod, self.with_pods(), gone).verdict(node),
        }
    }
}

impl<'a> Candidate<'a> {
    fn take(&mut self, pod: &'a Pod, request: &Request) {
        self.free.take(request);
        self.pods.push(pod);
        if let Some(owner) = controller_of(&pod.metadata) {
            *self.siblings.entry(owner.uid.clone()).or_default() += 1;
        }
    }

    fn free_without(&self, gone: &Gone<'_>) -> Free {
        let mut free = Free::of(self.node);
        let stays = |pod: &&&Pod| !gone.contains(pod.metadata.uid.as_deref().unwrap_or_default());
        self.pods.iter().filter(stays).for_each(|pod| free.take(&Request::of(pod)));
        free
    }

    /// What the node itself has against the pod, whoever else is on it.
    fn repels(&self, pod: &Pod) -> Option<Verdict> {
        let spec = self.node.spec.as_ref();
        if spec.and_then(|spec| spec.unschedulable) == Some(true) && !tolerates(pod, &unschedulable()) {
            return Some(Verdict::final_("node(s) were unschedulable"));
        }
        let hard = |taint: &&Taint| ["NoSchedule", "NoExecute"].contains(&taint.effect.as_str());
        let mut taints = spec.iter().flat_map(|spec| spec.taints.iter().flatten()).filter(hard);
        if taints.any(|taint| !tolerates(pod, taint)) {
            return Some(Verdict::final_("node(s) had untolerated taint(s)"));
        }
        let allowed = affinity::allows(pod, self.node);
        (!allowed).then(|| Verdict::final_("node(s) didn't match Pod's node affinity/selector"))
    }

    /// Less is better: first where others make room for it, then where its volumes were begun, where it is welcome and
    /// likes to be, where the places are emptiest, where fewest of its siblings are, then where most is left.
    fn score(&self, trial: &Trial<'_>, neighbours: &Neighbours<'_>) -> Score {
        let pod = trial.pod;
        let elsewhere = preempt::nominated(pod) != self.node.metadata.name.as_deref();
        let taints = self.node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        let unwelcome =
            taints.filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(pod, taint)).count();
        let begun = volumes::was_chosen(&trial.claims, self.node);
        let liking = affinity::liking(pod, self.node) + neighbours.liking(pod, self.node);
        let crowd = trial.spread.as_ref().map_or(0, |spread| spread.crowd(self.node));
        let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str()).unwrap_or_default();
        let siblings = self.siblings.get(owner).copied().unwrap_or(0);
        let used = self.free.percent_used_with(&trial.request);
        (elsewhere, !begun, unwelcome, -liking, crowd, siblings, used)
    }
}

/// How well a node suits a pod; the least is the best.
type Score = (bool, bool, usize, i64, usize, usize, usize);

fn unschedulable() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

/// Whether one of the pod's tolerations covers a taint.
pub(crate) fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    crate::taints::toleration(pod, taint).is_some()
}

/// Whether a node altered in anything the filters read; its heartbeat is not that.
pub(super) fn differ(old: &Any, new: &Node) -> bool {
    let Any::Node(old) = old else { return true };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.spec != new.spec || old.metadata.labels != new.metadata.labels || allocatable(old) != allocatable(new)
}
