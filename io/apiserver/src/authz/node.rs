//! Nodes (`system:node:NAME` of `system:nodes`) have the rules of `system:node`, each for itself: they change their own
//! Node, Lease and CSINode and no other's. What they may do to pods is `admission::node`'s to narrow, which sees the pod.
//!
//! Unlike upstream's, reading Secrets and ConfigMaps is not narrowed to those that pods of the node name.

use kelson_machinery::status::Attempt;
use kelson_rbac::{Rule, defaults};

use crate::authn::User;

/// The group of all nodes.
pub(crate) const NODES: &str = "system:nodes";
/// What a node's user name begins with.
pub(crate) const NODE_PREFIX: &str = "system:node:";

/// The node that a user is.
pub(crate) fn node_name(user: &User) -> Option<&str> {
    user.name.strip_prefix(NODE_PREFIX).filter(|node| !node.is_empty() && user.is_in(NODES))
}

/// What nodes may do.
pub(super) struct Nodes {
    rules: Vec<Rule>,
}

impl Default for Nodes {
    fn default() -> Self {
        let mut rules = defaults::node_rules();
        // Our agent follows what its pods mount by watching, where the kubelet asks again and again.
        let read = "get list watch";
        rules.push(Rule::on(read, &[""], "persistentvolumeclaims persistentvolumes namespaces"));
        Self { rules }
    }
}

impl Nodes {
    /// Whether a node may do this.
    pub fn allows(&self, node: &str, attempt: &Attempt<'_>) -> bool {
        self.rules.iter().any(|rule| rule.allows(attempt)) && is_own(node, attempt)
    }
}

/// Whether an attempt to change what belongs to one node is that node's. Creations have no name yet.
fn is_own(node: &str, attempt: &Attempt<'_>) -> bool {
    let changes = !matches!(attempt.verb, "get" | "list" | "watch" | "create");
    match attempt.resource {
        "leases" => {
            attempt.namespace == "kube-node-lease" && (attempt.verb == "create" || attempt.name == node)
        }
        "nodes" | "csinodes" => !changes || attempt.name == node,
        _ => true,
    }
}
