//! Nobody grants what they do not have: checked as roles and bindings are written, in upstream's words.
//!
//! Whoever may `escalate` roles or `bind` a role is exempt, and so are administrators. Never looks at other kinds.

use kelson_machinery::status::{Attempt, Status};
use kelson_machinery::{Object, meta};
use kelson_rbac::{GROUP, Kind, Rule, is_aggregated, missing, rules_of, say_missing};

use crate::authz::who;
use crate::objects;
use crate::pki::ADMIN_GROUP;
use crate::state::Call;

/// Refuses to store `new` (in place of `old`) when it gives somebody more than the user has.
pub(crate) fn check(call: &Call, new: &Object, old: Option<&Object>) -> Result<(), Status> {
    if call.kind.group != GROUP || call.user.is_in(ADMIN_GROUP) {
        return Ok(());
    }
    if old.is_some_and(|old| differs_only_for_collection(new, old)) {
        return Ok(());
    }
    match Kind::of_plural(call.kind.plural) {
        Some(Kind::Role | Kind::ClusterRole) => role(call, new, old),
        Some(Kind::RoleBinding | Kind::ClusterRoleBinding) => binding(call, new),
        None => Ok(()),
    }
}

/// Whether a change is one that garbage collection makes: owners and finalizers alone.
fn differs_only_for_collection(new: &Object, old: &Object) -> bool {
    let plain = |object: &Object| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "resourceVersion", "managedFields", "generation"] {
            meta::remove(&mut object, &["metadata", field]);
        }
        object
    };
    new != old && plain(new) == plain(old)
}

fn role(call: &Call, new: &Object, old: Option<&Object>) -> Result<(), Status> {
    let (plural, name) = (call.kind.plural, meta::name(new));
    if may(call, "escalate", plural, name) {
        return Ok(());
    }
    confirm(call, name, &rules_of(new))?;
    if is_aggregated(new) || old.is_some_and(is_aggregated) {
        let everything = [Rule::on("*", &["*"], "*"), Rule::paths("*", "*")];
        let why = "must have cluster-admin privileges to use an aggregationRule";
        return confirm(call, name, &everything).map_err(|_| forbidden(call, name, why));
    }
    Ok(())
}

fn binding(call: &Call, new: &Object) -> Result<(), Status> {
    let text = |field: &str| meta::get_str(new, &["roleRef", field]);
    let plural = if text("kind") == "ClusterRole" { "clusterroles" } else { "roles" };
    if may(call, "bind", plural, text("name")) {
        return Ok(());
    }
    let rules = {
        let policy = call.core.rights.policy();
        policy.rules_of_reference(text("kind"), text("name"), call.namespace()).map(<[Rule]>::to_vec)
    };
    match rules {
        Ok(rules) => confirm(call, meta::name(new), &rules),
        Err(_) => {
            let singular = plural.trim_end_matches('s');
            Err(Status::not_found(&kelson_machinery::status::GroupName::new(GROUP, singular), text("name")))
        }
    }
}

fn may(call: &Call, verb: &str, resource: &str, name: &str) -> bool {
    let namespace = call.namespace();
    let attempt = Attempt {
        user: &call.user.name,
        verb,
        group: GROUP,
        resource,
        namespace,
        name,
        ..Attempt::default()
    };
    call.core.rights.decide(&call.user, &attempt).allowed
}

fn confirm(call: &Call, name: &str, granted: &[Rule]) -> Result<(), Status> {
    let (held, problems) = call.core.rights.rules(&call.user, call.namespace());
    let lacking = missing(&held, granted);
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(forbidden(call, name, &say_missing(who(&call.user), &lacking, &problems))),
    }
}

fn forbidden(call: &Call, name: &str, why: &str) -> Status {
    Status::forbidden(&objects::resource(call.kind), name, why)
}
