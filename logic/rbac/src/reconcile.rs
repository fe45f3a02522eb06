//! What must change so that a default role or binding is there: given what the cluster has, what to store instead.
//!
//! As upstream at its start: what is missing is added, what somebody added stays, and whoever sets the annotation
//! `rbac.authorization.kubernetes.io/autoupdate` to `false` is left alone.

use kelson_machinery::{Object, meta};
use serde_json::Value;

use crate::aggregate::is_aggregated;
use crate::cover::missing;
use crate::rule::rules_of;

/// The annotation that says whether a default is kept up to date.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is to be done about one default.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Store this in place of what is there.
    Update(Object),
    /// What is there refers to another role, which cannot be changed: delete it and create the default.
    Replace,
}

/// A Role or ClusterRole.
pub fn role(wanted: &Object, found: &Object) -> Step {
    if is_left_alone(found) {
        return Step::Keep;
    }
    let mut after = found.clone();
    put_metadata(wanted, &mut after);
    if is_aggregated(wanted) {
        let selectors = ["aggregationRule", "clusterRoleSelectors"];
        put_missing(wanted, &mut after, &selectors);
    } else {
        let lacking = missing(&rules_of(found), &rules_of(wanted));
        if !lacking.is_empty() {
            let mut rules = rules_of(found);
            rules.extend(lacking);
            after["rules"] = serde_json::to_value(rules).expect("rules are plain lists of texts");
        }
    }
    changed(found, after)
}

/// A RoleBinding or ClusterRoleBinding.
pub fn binding(wanted: &Object, found: &Object) -> Step {
    if is_left_alone(found) {
        return Step::Keep;
    }
    if ["kind", "name"].iter().any(|field| wanted["roleRef"][*field] != found["roleRef"][*field]) {
        return Step::Replace;
    }
    let mut after = found.clone();
    put_metadata(wanted, &mut after);
    put_missing(wanted, &mut after, &["subjects"]);
    changed(found, after)
}

fn is_left_alone(found: &Object) -> bool {
    meta::annotation(found, AUTOUPDATE) == Some("false")
}

fn changed(found: &Object, after: Object) -> Step {
    if *found == after { Step::Keep } else { Step::Update(after) }
}

/// Labels and annotations of the default; those that are there otherwise keep their value.
fn put_metadata(wanted: &Object, after: &mut Object) {
    for field in ["labels", "annotations"] {
        for (key, value) in meta::get_map(wanted, &["metadata", field]) {
            if meta::get(after, &["metadata", field, key]).is_none() {
                meta::set(after, &["metadata", field, key], value);
            }
        }
    }
}

/// Entries of a list that are not there.
fn put_missing(wanted: &Object, after: &mut Object, path: &[&str]) {
    let lacking: Vec<Value> = meta::get_list(wanted, path)
        .iter()
        .filter(|one| !meta::get_list(after, path).contains(one))
        .cloned()
        .collect();
    if !lacking.is_empty() {
        let mut all = meta::get_list(after, path).to_vec();
        all.extend(lacking);
        meta::set(after, path, all);
    }
}

#[cfg(test)]
mod tests;
