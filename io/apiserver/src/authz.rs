//! Whether a user may do what a request asks: administrators everything, nodes what is theirs, everyone what roles say.
//!
//! Decides from the request's attributes alone; never reads its body. [`Rights::refresh`] before a request takes in every
//! role committed so far, so that who was just given a right has it. Nothing denies: what nobody allows is forbidden.

mod node;
mod role_watch;

use std::sync::{Arc, RwLock};

use kelson_machinery::status::{Attempt, GroupName, Status};
use kelson_rbac::{Decision, Policy, Rule, Who};
use kelson_store::{Store, StoreError};

use crate::authn::User;
use crate::pki::ADMIN_GROUP;
pub(crate) use node::{NODE_PREFIX, NODES, node_name};
use role_watch::RoleWatch;

/// Who may do what, now.
pub(crate) struct Rights {
    policy: RwLock<Policy>,
    watch: RoleWatch,
    node: node::Nodes,
}

impl Rights {
    /// The rights that the stored roles and bindings give.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let rights =
            Self { policy: RwLock::default(), watch: RoleWatch::new(store), node: node::Nodes::default() };
        rights.refresh().await?;
        Ok(rights)
    }

    /// Takes in what was committed before now.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.watch.take_in(&self.policy).await
    }

    /// Whether `user` may do this, and by which binding.
    pub fn decide(&self, user: &User, attempt: &Attempt<'_>) -> Decision {
        if user.is_in(ADMIN_GROUP) {
            return Decision { allowed: true, reason: String::new() };
        }
        if node_name(user).is_some_and(|node| self.node.allows(node, attempt)) {
            return Decision { allowed: true, reason: String::new() };
        }
        self.policy().decide(who(user), attempt)
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
        self.policy.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A user as rules see one.
pub(crate) fn who(user: &User) -> Who<'_> {
    Who { name: &user.name, groups: &user.groups }
}

#[cfg(test)]
mod tests;
