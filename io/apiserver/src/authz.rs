//! Whether a user may do what a request asks: administrators everything, nodes what is theirs, everyone what roles say.
//!
//! Decides from the request's attributes alone; never reads its body. [`Rights::refresh`] before a request takes in every
//! role committed so far, so that who was just given a right has it; [`Rights::refresh_for`] does so for a node's pods.
//! Nothing denies: what nobody allows is forbidden.

mod follow;
mod indexes;
mod node;

use std::sync::Arc;

use kelson_machinery::status::{Attempt, GroupName, Status};
use kelson_rbac::{Decision, GROUP, Policy, Rule, Who};
use kelson_store::{Store, StoreError};

use crate::authn::User;
use crate::pki::ADMIN_GROUP;
use follow::Follow;
pub(crate) use node::{NODE_PREFIX, NODES, node_name};

/// Who may do what, now.
pub(crate) struct Rights {
    policy: Follow<Policy>,
    nodes: node::Nodes,
}

impl Rights {
    /// The rights that the stored roles and bindings give.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let policy = Follow::new(store.clone(), format!("/registry/{GROUP}/"));
        let rights = Self { policy, nodes: node::Nodes::new(store) };
        rights.refresh().await?;
        Ok(rights)
    }

    /// Takes in the roles that were committed before now.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.policy.take_in().await
    }

    /// Takes in what else was committed before now that the rights of this user depend on.
    pub async fn refresh_for(&self, user: &User) -> Result<(), StoreError> {
        match node_name(user) {
            Some(_) => self.nodes.refresh().await,
            None => Ok(()),
        }
    }

    /// Whether `user` may do this, and by which binding.
    pub fn decide(&self, user: &User, attempt: &Attempt<'_>) -> Decision {
        if user.is_in(ADMIN_GROUP) {
            return Decision { allowed: true, reason: String::new() };
        }
        let as_node = node_name(user).map(|node| self.nodes.decide(node, attempt));
        match as_node {
            Some(decision) if decision.allowed => decision,
            Some(refused) => either(refused, self.policy().decide(who(user), attempt)),
            None => self.policy().decide(who(user), attempt),
        }
    }

    /// [`Self::decide`] as upstream's 403.
    pub fn check(&self, user: &User, attempt: &Attempt<'_>) -> Result<(), Status> {
        let decision = self.decide(user, attempt);
        if decision.allowed {
            return Ok(());
        }
        let resource = GroupName::new(attempt.group, attempt.resource);
        let why = match decision.reason.as_str() {
            "" => attempt.sentence(),
            reason => format!("{}: {reason}", attempt.sentence()),
        };
        Err(Status::forbidden(&resource, attempt.name, &why))
    }

    /// All rules of a user in a namespace, and the roles that could not be found.
    pub fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        self.policy().rules_for(who(user), namespace)
    }

    /// The roles and bindings, while held no request is decided anew.
    pub fn policy(&self) -> std::sync::RwLockReadGuard<'_, Policy> {
        self.policy.index()
    }
}

/// Two opinions of which the first does not allow: the second counts, and the reasons of both are told, a line each.
fn either(first: Decision, second: Decision) -> Decision {
    if second.allowed || first.reason.is_empty() {
        return second;
    }
    let reason =
        if second.reason.is_empty() { first.reason } else { format!("{}\n{}", first.reason, second.reason) };
    Decision { allowed: false, reason }
}

/// A user as rules see one.
pub(crate) fn who(user: &User) -> Who<'_> {
    Who { name: &user.name, groups: &user.groups }
}

#[cfg(test)]
mod tests;
