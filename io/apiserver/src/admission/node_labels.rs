//! Labels of its Node that a node may not set, since where pods are put follows from them (upstream's NodeRestriction).

use std::collections::{BTreeMap, BTreeSet};

/// Labels under Kubernetes' own names that nodes do set.
const OWN: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// The labels in which the two differ and which are not the node's to change, by name.
pub(super) fn forbidden<'a>(new: &Labels<'a>, old: &Labels<'a>) -> Vec<&'a str> {
    let keys: BTreeSet<&str> = new.keys().chain(old.keys()).copied().collect();
    keys.into_iter().filter(|key| new.get(key) != old.get(key) && !is_own(key)).collect()
}

fn is_own(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let within = |name: &str| domain == name || domain.strip_suffix(name).is_some_and(|it| it.ends_with('.'));
    if within("node-restriction.kubernetes.io") {
        return false;
    }
    let kubernetes = within("kubernetes.io") || within("k8s.io");
    !kubernetes || OWN.contains(&label) || within("kubelet.kubernetes.io") || within("node.kubernetes.io")
}

#[cfg(test)]
mod tests;
