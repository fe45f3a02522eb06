//! What PodDisruptionBudgets leave for preemption to spend. Leaf of `schedule`.
//!
//! A preference, not a rule: where nobody else will do, budgets are broken. Invariant: what one plan spends is not spent
//! again in it. As upstream has it, a budget that selects everything counts for nothing here.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::preempt::uid;
use crate::pod;
use crate::select;
use crate::view::View;

/// Each budget with how many of its pods may go.
#[derive(Clone)]
pub(super) struct Allowances<'a>(Vec<(&'a PodDisruptionBudget, i32)>);

impl<'a> Allowances<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let allowed = |budget: &PodDisruptionBudget| {
            budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
        };
        let budgets = view.pod_disruption_budgets.iter().map(|(_, budget)| budget.as_ref());
        Self(budgets.map(|budget| (budget, allowed(budget))).collect())
    }

    /// The uids of those whose going breaks a budget, if all of these went in this order.
    pub(super) fn broken_by(&self, pods: &[&'a Pod]) -> BTreeSet<&'a str> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let mut left = self.clone();
        pods.iter().filter(|pod| left.breaks(pod)).map(|pod| uid(pod)).collect()
    }

    /// These go.
    pub(super) fn spend(&mut self, pods: &[&Pod]) {
        for pod in pods.iter().filter(|pod| !pod::is_deleting(pod)) {
            self.breaks(pod);
        }
    }

    /// Whether a pod's going is more than a budget allows, after it went.
    fn breaks(&mut self, pod: &Pod) -> bool {
        let mut breaks = false;
        for (_, left) in self.0.iter_mut().filter(|(budget, _)| counts(budget, pod)) {
            *left -= 1;
            breaks |= *left < 0;
        }
        breaks
    }
}

/// Whether a pod's going costs the budget anything: it is about the pod, and has not let it go already.
fn counts(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let chosen = selector.is_some_and(|selector| {
        !select::is_empty(selector) && select::matches(selector, pod.metadata.labels.as_ref())
    });
    let gone = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let labelled = pod.metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    budget.metadata.namespace == pod.metadata.namespace
        && labelled
        && chosen
        && !gone.is_some_and(|gone| gone.contains_key(name))
}
