//! Strategic-merge facts: which lists merge by a key, which are sets, which maps are replaced whole.
//!
//! Invariant: one table for all kinds, by the field and what it stands in (upstream: patchStrategy and patchMergeKey in
//! the types' tags). A field that is not here has the default: lists are replaced, maps merged.

use kelson_machinery::patch::Merge;

/// The fact for the field at `path`: the first row whose pattern the path ends with.
pub fn of(path: &[&str]) -> Merge {
    FACTS.iter().find(|(pattern, _)| ends_with(path, pattern)).map(|(_, fact)| *fact).unwrap_or_default()
}

fn ends_with(path: &[&str], pattern: &[&str]) -> bool {
    // A leading "" ties the pattern to the document's root.
    match pattern {
        ["", rest @ ..] => path == rest,
        _ => path.ends_with(pattern),
    }
}

/// More particular rows first.
const FACTS: &[(&[&str], Merge)] = &[
    // metadata, of objects and of templates
    (&["metadata", "ownerReferences"], Merge::ByKey("uid")),
    (&["metadata", "finalizers"], Merge::Set),
    // pod specs
    (&["spec", "containers"], Merge::ByKey("name")),
    (&["spec", "initContainers"], Merge::ByKey("name")),
    (&["spec", "ephemeralContainers"], Merge::ByKey("name")),
    (&["spec", "volumes"], Merge::ByKey("name")),
    (&["spec", "imagePullSecrets"], Merge::ByKey("name")),
    (&["spec", "hostAliases"], Merge::ByKey("ip")),
    (&["spec", "topologySpreadConstraints"], Merge::ByKey("topologyKey")),
    (&["spec", "schedulingGates"], Merge::ByKey("name")),
    (&["spec", "resourceClaims"], Merge::ByKey("name")),
    (&["containers", "ports"], Merge::ByKey("containerPort")),
    (&["initContainers", "ports"], Merge::ByKey("containerPort")),
    (&["ephemeralContainers", "ports"], Merge::ByKey("containerPort")),
    (&["env"], Merge::ByKey("name")),
    (&["volumeMounts"], Merge::ByKey("mountPath")),
    (&["volumeDevices"], Merge::ByKey("devicePath")),
    // Pods
    (&["", "status", "podIPs"], Merge::ByKey("ip")),
    (&["", "status", "hostIPs"], Merge::ByKey("ip")),
    (&["", "status", "resourceClaimStatuses"], Merge::ByKey("name")),
    // Services, Nodes, ServiceAccounts
    (&["", "spec", "ports"], Merge::ByKey("port")),
    (&["", "status", "addresses"], Merge::ByKey("type")),
    (&["", "spec", "podCIDRs"], Merge::Set),
    (&["", "secrets"], Merge::ByKey("name")),
    (&["", "imagePullSecrets"], Merge::ByKey("name")),
    // conditions of every kind
    (&["", "status", "conditions"], Merge::ByKey("type")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Merge) {
        assert_eq!(of(&path.split('.').collect::<Vec<_>>()), expected, "{path}");
    }

    #[test]
    fn lists_merge_as_upstreams_types_say() {
        check("spec.containers", Merge::ByKey("name"));
        check("spec.template.spec.containers", Merge::ByKey("name"));
        check("spec.template.spec.containers.ports", Merge::ByKey("containerPort"));
        check("spec.template.spec.containers.env", Merge::ByKey("name"));
        check("spec.template.spec.tolerations", Merge::Default);
        check("spec.template.metadata.labels", Merge::Default);
        check("metadata.finalizers", Merge::Set);
        check("spec.ports", Merge::ByKey("port"));
        check("spec.clusterIPs", Merge::Default);
        check("status.conditions", Merge::ByKey("type"));
        check("status.loadBalancer.ingress", Merge::Default);
        check("subsets", Merge::Default);
        check("spec.strategy", Merge::Default);
    }
}
