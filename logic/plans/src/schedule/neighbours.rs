//! Pods that want to be near others, or far from them. Part of `schedule`.
//!
//! A place is a pair of topology key and value; a pod is in every place that its node's labels name. Only required
//! terms count here.

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm};
use std::sync::Arc;

use super::refusal::Verdict;
use crate::key::Key;
use crate::pod;
use crate::select;
use crate::view::View;

/// The pods that are on nodes, with their nodes.
pub(super) struct Neighbours<'a> {
    view: &'a View,
    pods: Vec<(&'a Pod, &'a Arc<Node>)>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let placed = view.pods.iter().map(|(_, pod)| pod.as_ref()).filter(|pod| !pod::is_terminal(pod));
        let placed = placed.filter_map(|pod| Some((pod, view.nodes.get(&Key::cluster(pod::node(pod)?))?)));
        Self { view, pods: placed.collect() }
    }

    pub(super) fn add(&mut self, pod: &'a Pod, node: &'a Arc<Node>) {
        self.pods.push((pod, node));
    }

    /// Why the pods around do not go with this one on the node.
    pub(super) fn verdict(&self, pod: &Pod, node: &Node) -> Option<Verdict> {
        if !near(pod).iter().all(|term| self.is_near(pod, term, node)) {
            return Some(Verdict::final_("node(s) didn't match pod affinity rules"));
        }
        if far(pod).iter().any(|term| self.matching(pod, term).any(|other| same_place(term, node, other))) {
            return Some(Verdict::passing("node(s) didn't match pod anti-affinity rules"));
        }
        let shunned = self.pods.iter().any(|(other, place)| {
            far(other).iter().any(|term| self.means(other, term, pod) && same_place(term, node, place))
        });
        shunned.then(|| Verdict::passing("node(s) didn't satisfy existing pods anti-affinity rules"))
    }

    /// Whether a pod that the term means is in the node's place; the first of a kind that seeks its own need not wait.
    fn is_near(&self, pod: &Pod, term: &PodAffinityTerm, node: &Node) -> bool {
        let mut meant = self.matching(pod, term).peekable();
        match meant.peek() {
            None => self.means(pod, term, pod) && place(term, node).is_some(),
            Some(_) => meant.any(|other| same_place(term, node, other)),
        }
    }

    /// The nodes of the pods that a term of `pod` means.
    fn matching(&self, pod: &Pod, term: &PodAffinityTerm) -> impl Iterator<Item = &Node> {
        let meant = self.pods.iter().filter(move |(other, _)| self.means(pod, term, other));
        meant.map(|(_, node)| node.as_ref())
    }

    /// Whether a term of `of` means the other pod.
    fn means(&self, of: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
        let labels = other.metadata.labels.as_ref();
        let chosen = term.label_selector.as_ref().is_some_and(|selector| select::matches(selector, labels));
        chosen && self.reaches(of, term, other.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// The namespaces that are listed or selected; without either the pod's own.
    fn reaches(&self, of: &Pod, term: &PodAffinityTerm, namespace: &str) -> bool {
        let listed = term.namespaces.as_deref().unwrap_or_default();
        let selected = term.namespace_selector.as_ref().is_some_and(|selector| {
            let object = self.view.namespaces.get(&Key::cluster(namespace));
            object.is_some_and(|object| select::matches(selector, object.metadata.labels.as_ref()))
        });
        match listed.is_empty() && term.namespace_selector.is_none() {
            true => of.metadata.namespace.as_deref() == Some(namespace),
            false => selected || listed.iter().any(|name| name == namespace),
        }
    }
}

fn near(pod: &Pod) -> &[PodAffinityTerm] {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.pod_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref());
    required.unwrap_or_default()
}

fn far(pod: &Pod) -> &[PodAffinityTerm] {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.pod_anti_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref());
    required.unwrap_or_default()
}

fn place<'a>(term: &PodAffinityTerm, node: &'a Node) -> Option<&'a String> {
    node.metadata.labels.as_ref()?.get(&term.topology_key)
}

fn same_place(term: &PodAffinityTerm, one: &Node, other: &Node) -> bool {
    place(term, one).is_some_and(|value| place(term, other) == Some(value))
}
