//! Which labels a node may give itself.

use super::*;

#[track_caller]
fn check(label: &str, allowed: bool) {
    let (with, without) = (BTreeMap::from([(label, "x")]), BTreeMap::new());
    let expected = if allowed { vec![] } else { vec![label] };
    assert_eq!(forbidden(&with, &without), expected, "{label} added");
    assert_eq!(forbidden(&without, &with), expected, "{label} removed");
    assert_eq!(forbidden(&BTreeMap::from([(label, "y")]), &with), expected, "{label} altered");
    assert!(forbidden(&with, &with).is_empty(), "{label} kept");
}

#[test]
fn nodes_set_their_own_labels() {
    for own in ["disk", "example.com/disk", "kubernetes.io/hostname", "topology.kubernetes.io/zone"] {
        check(own, true);
    }
    for own in ["node.kubernetes.io/x", "a.node.kubernetes.io/x", "kubelet.kubernetes.io/x", "notk8s.io/x"] {
        check(own, true);
    }
    for others in ["node-role.kubernetes.io/control-plane", "kubernetes.io/role", "k8s.io/x", "a.k8s.io/x"] {
        check(others, false);
    }
    for others in ["node-restriction.kubernetes.io/a", "team.node-restriction.kubernetes.io/a"] {
        check(others, false);
    }
}
