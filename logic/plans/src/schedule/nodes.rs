//! The nodes as the scheduler sees them: what is free on each, and which suits a pod best.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use super::fit::{Free, Request};
use super::neighbours::Neighbours;
use super::refusal::{Refusal, Verdict};
use super::volumes::{self, Claims};
use super::{affinity, fit};
use crate::kinds::Any;
use crate::owners::controller_of;
use crate::pod;
use crate::view::View;

/// All nodes by name, each with what its pods leave free.
pub(super) struct Nodes<'a> {
    nodes: BTreeMap<&'a str, Candidate<'a>>,
    neighbours: Neighbours<'a>,
}

/// Where a pod is to go, and which of its claims have to be bound before it may.
pub(super) struct Placement<'a> {
    pub node: String,
    pub open: Vec<&'a Arc<k8s_openapi::api::core::v1::PersistentVolumeClaim>>,
}

struct Candidate<'a> {
    node: &'a Arc<Node>,
    free: Free,
    /// How many pods of each controller are on it: pods of one set are spread.
    siblings: BTreeMap<String, usize>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let candidate =
            |node: &'a Arc<Node>| Candidate { node, free: Free::of(node), siblings: BTreeMap::new() };
        let nodes = view.nodes.iter().map(|(key, node)| (key.name.as_str(), candidate(node)));
        let mut nodes = Self { nodes: nodes.collect(), neighbours: Neighbours::of(view) };
        for (_, pod) in view.pods.iter().filter(|(_, pod)| !pod::is_terminal(pod)) {
            let candidate = pod::node(pod).and_then(|node| nodes.nodes.get_mut(node));
            candidate.into_iter().for_each(|candidate| candidate.take(pod, &Request::of(pod)));
        }
        nodes
    }

    /// The node for a pod, on which it then counts; or upstream's words for why there is none.
    pub(super) fn place(&mut self, view: &'a View, pod: &'a Pod) -> Result<Placement<'a>, String> {
        let mut refusal = Refusal::default();
        let claims = match volumes::claims(view, pod) {
            Ok(claims) => claims,
            Err(why) => return Err(refusal.of_all(why, self.nodes.len())),
        };
        let request = Request::of(pod);
        let mut best: Option<(Score, &str)> = None;
        for (name, candidate) in &self.nodes {
            let verdicts = candidate.verdicts(view, pod, &request, &claims, &self.neighbours);
            if !verdicts.is_empty() {
                refusal.add(verdicts);
                continue;
            }
            let score = candidate.score(pod, &request, &claims);
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, name));
            }
        }
        let Some(name) = best.map(|(_, name)| name.to_owned()) else {
            return Err(refusal.message(self.nodes.len()));
        };
        let candidate = self.nodes.get_mut(name.as_str()).expect("the best is one of the nodes");
        candidate.take(pod, &request);
        self.neighbours.add(pod, candidate.node);
        Ok(Placement { node: name, open: claims.open })
    }
}

impl Candidate<'_> {
    fn take(&mut self, pod: &Pod, request: &Request) {
        self.free.take(request);
        if let Some(owner) = controller_of(&pod.metadata) {
            *self.siblings.entry(owner.uid.clone()).or_default() += 1;
        }
    }

    /// Why the node will not do: the first filter that refuses speaks, as upstream runs them.
    fn verdicts(
        &self,
        view: &View,
        pod: &Pod,
        request: &Request,
        claims: &Claims<'_>,
        neighbours: &Neighbours<'_>,
    ) -> Vec<Verdict> {
        let spec = self.node.spec.clone().unwrap_or_default();
        let taints = spec.taints.unwrap_or_default();
        if spec.unschedulable == Some(true) && !tolerates(pod, &unschedulable()) {
            return vec![Verdict::final_("node(s) were unschedulable")];
        }
        let hard = |taint: &&Taint| ["NoSchedule", "NoExecute"].contains(&taint.effect.as_str());
        if taints.iter().filter(hard).any(|taint| !tolerates(pod, taint)) {
            return vec![Verdict::final_("node(s) had untolerated taint(s)")];
        }
        if !affinity::allows(pod, self.node) {
            return vec![Verdict::final_("node(s) didn't match Pod's node affinity/selector")];
        }
        if self.free.has_port_conflict(request) {
            return vec![Verdict::passing("node(s) didn't have free ports for the requested pod ports")];
        }
        let short = fit::verdicts(&self.free, request);
        if !short.is_empty() {
            return short;
        }
        let later = volumes::verdict(view, claims, self.node).or_else(|| neighbours.verdict(pod, self.node));
        later.into_iter().collect()
    }

    /// Less is better: first where the pod's volumes were begun, where it is welcome and likes to be, then where fewest
    /// of its siblings are, then where most is left.
    fn score(&self, pod: &Pod, request: &Request, claims: &Claims<'_>) -> Score {
        let taints = self.node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        let unwelcome =
            taints.filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(pod, taint)).count();
        let begun = volumes::was_chosen(claims, self.node);
        let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str()).unwrap_or_default();
        let siblings = self.siblings.get(owner).copied().unwrap_or(0);
        (!begun, unwelcome, -affinity::liking(pod, self.node), siblings, self.free.percent_used_with(request))
    }
}

/// How well a node suits a pod; the least is the best.
type Score = (bool, usize, i64, usize, usize);

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
