//! Pods that want to be near others, or far from them. Part of `schedule`.
//!
//! A place is a pair of topology key and value; a pod is in every place that its node's labels name. What is required
//! refuses a node, what is preferred orders the nodes that are left.

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm, WeightedPodAffinityTerm};
use std::sync::Arc;

use super::refusal::Verdict;
use super::spread::Gone;
use crate::key::Key;
use crate::pod;
use crate::select;
use crate::storage;
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

    /// Why the pods around, without those that are `gone`, do not go with this one on the node.
    pub(super) fn verdict(&self, pod: &Pod, node: &Node, gone: &Gone<'_>) -> Option<Verdict> {
        if !near(pod).iter().all(|term| self.is_near(pod, term, node, gone)) {
            return Some(Verdict::final_("node(s) didn't match pod affinity rules"));
        }
        if far(pod)
            .iter()
            .any(|term| self.matching(pod, term, gone).any(|other| same_place(term, node, other)))
        {
            return Some(Verdict::passing("node(s) didn't match pod anti-affinity rules"));
        }
        let shunned = self.present(gone).any(|(other, place)| {
            far(other).iter().any(|term| self.means(other, term, pod) && same_place(term, node, place))
        });
        shunned.then(|| Verdict::passing("node(s) didn't satisfy existing pods anti-affinity rules"))
    }

    /// How gladly the pod and those around would have it on the node: the weights of what is preferred, for each pod.
    pub(super) fn liking(&self, pod: &Pod, node: &Node) -> i64 {
        let nobody = Gone::new();
        let own = |terms: &[WeightedPodAffinityTerm]| -> i64 {
            let met = terms.iter().map(|weighted| {
                let term = &weighted.pod_affinity_term;
                let around = self.matching(pod, term, &nobody).filter(|other| same_place(term, node, other));
                i64::from(weighted.weight) * around.count() as i64
            });
            met.sum()
        };
        let others = |terms: fn(&Pod) -> &[WeightedPodAffinityTerm]| -> i64 {
            let met = self.pods.iter().flat_map(|(other, place)| {
                terms(other).iter().map(move |weighted| {
                    let term = &weighted.pod_affinity_term;
                    let meant = same_place(term, node, place) && self.means(other, term, pod);
                    if meant { i64::from(weighted.weight) } else { 0 }
                })
            });
            met.sum()
        };
        own(liked(pod)) - own(disliked(pod)) + others(liked) - others(disliked)
    }

    /// Whether a pod around uses one of these claims of the namespace.
    pub(super) fn use_any(&self, namespace: &str, claims: &[String], gone: &Gone<'_>) -> bool {
        self.present(gone).any(|(other, _)| {
            other.metadata.namespace.as_deref() == Some(namespace)
                && storage::claims_of(other).iter().any(|(name, _)| claims.contains(name))
        })
    }

    fn present(&self, gone: &Gone<'_>) -> impl Iterator<Item = &(&'a Pod, &'a Arc<Node>)> {
        let absent = |pod: &Pod| gone.contains(pod.metadata.uid.as_deref().unwrap_or_default());
        self.pods.iter().filter(move |(other, _)| gone.is_empty() || !absent(other))
    }

    /// Whether a pod that the term means is in the node's place; the first of a kind that seeks its own need not wait.
    fn is_near(&self, pod: &Pod, term: &PodAffinityTerm, node: &Node, gone: &Gone<'_>) -> bool {
        let mut meant = self.matching(pod, term, gone).peekable();
        match meant.peek() {
            None => self.means(pod, term, pod) && place(term, node).is_some(),
            Some(_) => meant.any(|other| same_place(term, node, other)),
        }
    }

    /// The nodes of the pods that a term of `pod` means.
    fn matching(&self, pod: &Pod, term: &PodAffinityTerm, gone: &Gone<'_>) -> impl Iterator<Item = &Node> {
        let meant = self.present(gone).filter(move |(other, _)| self.means(pod, term, other));
        meant.map(|(_, node)| node.as_ref())
    }

    /// Whether a term of `of` means the other pod.
    fn means(&self, of: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
        let labels = other.metadata.labels.as_ref();
        let chosen = term.label_selector.as_ref().is_some_and(|selector| select::matches(selector, labels));
        chosen
            && matches_keys(of, term, other)
            && self.reaches(of, term, other.metadata.namespace.as_deref().unwrap_or_default())
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

/// Whether the other has the values that `of` has for the labels that must match, and not those that must not.
fn matches_keys(of: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
    let value = |pod: &Pod, key: &String| pod.metadata.labels.as_ref().and_then(|it| it.get(key)).cloned();
    let alike = |key: &String| value(of, key).map(|own| value(other, key) == Some(own));
    let matching = term.match_label_keys.iter().flatten().all(|key| alike(key) != Some(false));
    matching && term.mismatch_label_keys.iter().flatten().all(|key| alike(key) != Some(true))
}

macro_rules! terms {
    ($($name:ident: $affinity:ident, $field:ident, $term:ident;)*) => {
        $(fn $name(pod: &Pod) -> &[$term] {
            let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.$affinity.as_ref());
            affinity.and_then(|it| it.$field.as_deref()).unwrap_or_default()
        })*
    };
}

terms! {
    near: pod_affinity, required_during_scheduling_ignored_during_execution, PodAffinityTerm;
    far: pod_anti_affinity, required_during_scheduling_ignored_during_execution, PodAffinityTerm;
    liked: pod_affinity, preferred_during_scheduling_ignored_during_execution, WeightedPodAffinityTerm;
    disliked: pod_anti_affinity, preferred_during_scheduling_ignored_during_execution, WeightedPodAffinityTerm;
}

fn place<'a>(term: &PodAffinityTerm, node: &'a Node) -> Option<&'a String> {
    node.metadata.labels.as_ref()?.get(&term.topology_key)
}

fn same_place(term: &PodAffinityTerm, one: &Node, other: &Node) -> bool {
    place(term, one).is_some_and(|value| place(term, other) == Some(value))
}
