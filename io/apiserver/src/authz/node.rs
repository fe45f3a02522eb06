//! Nodes (`system:node:NAME` of `system:nodes`): who is one, and what is known to judge by.
//!
//! The judgement is `kelson_rbac::node`'s. What a node may do to the objects it may change is `admission::node`'s to
//! narrow, which sees them.

use std::sync::Arc;

use kelson_machinery::status::Attempt;
use kelson_rbac::Decision;
use kelson_rbac::node::{Known, PodGraph, Volumes};
use kelson_store::{Store, StoreError};

use super::follow::Follow;
use crate::authn::User;

/// The group of all nodes.
pub(crate) const NODES: &str = "system:nodes";
/// What a node's user name begins with.
pub(crate) const NODE_PREFIX: &str = "system:node:";

/// The node that a user is.
pub(crate) fn node_name(user: &User) -> Option<&str> {
    user.name.strip_prefix(NODE_PREFIX).filter(|node| !node.is_empty() && user.is_in(NODES))
}

/// What nodes may do, now.
pub(super) struct Nodes {
    rights: kelson_rbac::node::Nodes,
    pods: Follow<PodGraph>,
    volumes: Follow<Volumes>,
}

impl Nodes {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let pods = Follow::new(store.clone(), "/registry/core/pods/");
        let volumes = Follow::new(store, "/registry/core/persistentvolumes/");
        Self { rights: kelson_rbac::node::Nodes::default(), pods, volumes }
    }

    /// Takes in the pods and volumes committed before now.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.pods.take_in().await?;
        self.volumes.take_in().await
    }

    /// Whether a node may do this, by what was taken in last.
    pub fn decide(&self, node: &str, attempt: &Attempt<'_>) -> Decision {
        let (pods, volumes) = (self.pods.index(), self.volumes.index());
        self.rights.decide(node, attempt, Known { pods: &pods, volumes: &volumes })
    }
}
