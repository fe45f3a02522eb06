//! The default roles and bindings, put right at start; and the ClusterRoles whose rules are gathered, kept gathered.
//!
//! What somebody added to a default stays, as upstream has it.

use std::sync::Arc;

use futures_util::future::try_join_all;
use kelson_machinery::status::{Reason, Status};
use kelson_machinery::{Object, meta};
use kelson_rbac::reconcile::{self, Step};
use kelson_rbac::{Kind, Rule, aggregated_rules, defaults, rules_of};

use crate::objects;
use crate::state::{Call, Core};
use crate::verbs::create::create_object;
use crate::verbs::delete::{DeleteOptions, delete_object};
use crate::verbs::update::{Mode, change};

/// Rounds of gathering: one role may gather from another, three deep in the defaults.
const ROUNDS: usize = 8;

/// Makes every default role and binding that is missing, and completes those that are there.
pub(crate) async fn ensure(core: &Arc<Core>) -> Result<(), Status> {
    // At once: the store makes one disk write of what waits for it.
    try_join_all(defaults::all().into_iter().map(|(kind, wanted)| one(core, kind, wanted))).await?;
    gather(core).await
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Role => "roles",
        Kind::ClusterRole => "clusterroles",
        Kind::RoleBinding => "rolebindings",
        Kind::ClusterRoleBinding => "clusterrolebindings",
    }
}

async fn one(core: &Arc<Core>, kind: Kind, wanted: Object) -> Result<(), Status> {
    let (namespace, name) = (meta::namespace(&wanted).to_owned(), meta::name(&wanted).to_owned());
    let call = super::call(core, plural(kind), &namespace, &name)?;
    let wanted = crate::incoming::decode(&call, wanted, Vec::new())?.0;
    let entry = core.store.get(&objects::key(call.kind, &namespace, &name)).await;
    let Some(entry) = entry.map_err(objects::store_failure)? else { return create(&call, wanted).await };
    let found = objects::decode(&entry)?;
    let step = match kind {
        Kind::Role | Kind::ClusterRole => reconcile::role(&wanted, &found),
        Kind::RoleBinding | Kind::ClusterRoleBinding => reconcile::binding(&wanted, &found),
    };
    match step {
        Step::Keep => Ok(()),
        Step::Update(after) => change(&call, Mode::Main, false, |_| Ok(after.clone())).await.map(drop),
        Step::Replace => {
            delete_object(&call, &name, &DeleteOptions::default()).await?;
            create(&call, wanted).await
        }
    }
}

async fn create(call: &Call, wanted: Object) -> Result<(), Status> {
    match create_object(call, wanted, false).await {
        Err(status) if status.reason != Reason::AlreadyExists => Err(status),
        _ => Ok(()),
    }
}

/// Writes the rules of every ClusterRole that gathers them, where they are not what it would gather now.
pub(crate) async fn gather(core: &Arc<Core>) -> Result<(), Status> {
    for _ in 0..ROUNDS {
        core.rights.refresh().await.map_err(objects::store_failure)?;
        let stale = stale(core);
        if stale.is_empty() {
            break;
        }
        for (name, rules) in stale {
            let call = super::call(core, "clusterroles", "", &name)?;
            let rules = serde_json::to_value(rules).expect("rules are plain lists of texts");
            let written = change(&call, Mode::Internal, false, |old| {
                let mut new = old.clone();
                meta::set(&mut new, &["rules"], rules.clone());
                Ok(new)
            });
            match written.await {
                Err(status) if status.reason != Reason::NotFound => return Err(status),
                _ => {}
            }
        }
    }
    Ok(())
}

/// ClusterRoles that gather, and the rules they lack or have too many of.
fn stale(core: &Core) -> Vec<(String, Vec<Rule>)> {
    let policy = core.rights.policy();
    let gathered = policy.cluster_roles().filter_map(|role| {
        let rules = aggregated_rules(role, policy.cluster_roles())?;
        (rules_of(role) != rules).then(|| (meta::name(role).to_owned(), rules))
    });
    gathered.collect()
}

/// Gathers anew after a request that changed a ClusterRole.
pub(crate) async fn after(call: &Call, only_read: bool) {
    if only_read || call.kind.group != kelson_rbac::GROUP || call.kind.plural != "clusterroles" {
        return;
    }
    if let Err(status) = gather(&call.core).await {
        tracing::warn!(error = %status, "could not gather the rules of aggregated ClusterRoles");
    }
}
