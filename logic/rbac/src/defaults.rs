//! The roles and bindings every cluster begins with, as upstream's: names, rules, subjects, labels and annotations.
//!
//! Kept as tables in one file a subject; this one makes objects of them. What upstream has for kinds that are not served
//! here is kept too: a role is also what its name promises to manifests written elsewhere.

mod components;
mod controllers;
mod own;
mod people;
mod system;

use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

use crate::GROUP;
use crate::policy::Kind;
use crate::reconcile::AUTOUPDATE;
use crate::rule::Rule;

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";
const READ_WRITE: &str = "create delete deletecollection get list patch update watch";
const CORE: &[&str] = &[""];

/// One default: its kind and the object.
pub type Default = (Kind, Object);

/// Every default, roles before the bindings that refer to them.
pub fn all() -> Vec<Default> {
    let mut roles: Vec<Default> = Vec::new();
    let mut bindings: Vec<Default> = Vec::new();
    let cluster = people::roles().into_iter().chain(components::roles()).chain(own::roles());
    roles.extend(cluster.map(|(name, rules)| cluster_role(name, &rules)));
    roles.extend(people::gathered().map(|(name, from, labels)| gathering(name, from, labels)));
    let bound = people::bindings().chain(components::bindings()).chain(own::bindings());
    bindings.extend(bound.map(|(role, to)| cluster_binding(role, to)));
    for (name, rules) in controllers::roles() {
        let role = format!("system:controller:{name}");
        roles.push(cluster_role(&role, &rules));
        bindings.push(cluster_binding(&role, &[&format!("ServiceAccount kube-system {name}")]));
    }
    for (namespace, name, rules) in system::roles() {
        roles.push((Kind::Role, object("Role", namespace, name, json!({ "rules": written(&rules) }))));
    }
    for (namespace, name, role, to) in system::bindings() {
        let body = json!({"roleRef": reference("Role", role), "subjects": subjects(to)});
        bindings.push((Kind::RoleBinding, object("RoleBinding", namespace, name, body)));
    }
    for (role, label) in people::LABELLED {
        let found = roles.iter_mut().find(|(_, object)| meta::name(object) == *role);
        meta::set_label(&mut found.expect("the labelled roles are listed above").1, label, "true");
    }
    roles.extend(bindings);
    roles
}

/// Whether a component of ours has a role of its own, so that it need not be an administrator.
pub fn has_own_role(user: &str) -> bool {
    own::USERS.contains(&user)
}

/// The rules of `system:node`, which the node authorizer gives to nodes.
pub fn node_rules() -> Vec<Rule> {
    components::node()
}

/// Who may record Events.
fn events() -> Rule {
    Rule::on("create patch update", &["", "events.k8s.io"], "events")
}

fn cluster_role(name: &str, rules: &[Rule]) -> Default {
    (Kind::ClusterRole, object("ClusterRole", "", name, json!({ "rules": written(rules) })))
}

/// A ClusterRole whose rules are gathered from those with a label.
fn gathering(name: &str, from: &str, labels: &[&str]) -> Default {
    let selectors = json!({"clusterRoleSelectors": [{"matchLabels": {from: "true"}}]});
    let mut role = object("ClusterRole", "", name, json!({"aggregationRule": selectors, "rules": null}));
    for label in labels {
        meta::set_label(&mut role, label, "true");
    }
    (Kind::ClusterRole, role)
}

fn cluster_binding(role: &str, to: &[&str]) -> Default {
    let body = json!({"roleRef": reference("ClusterRole", role), "subjects": subjects(to)});
    (Kind::ClusterRoleBinding, object("ClusterRoleBinding", "", role, body))
}

fn written(rules: &[Rule]) -> Value {
    serde_json::to_value(rules).expect("rules are plain lists of texts")
}

fn reference(kind: &str, role: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": kind, "name": role})
}

/// `User name`, `Group name` or `ServiceAccount namespace name`.
fn subjects(to: &[&str]) -> Value {
    let subject = |text: &&str| {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["ServiceAccount", namespace, name] => {
                json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
            }
            [kind, name] => json!({"apiGroup": GROUP, "kind": kind, "name": name}),
            _ => Value::Null,
        }
    };
    to.iter().map(subject).collect()
}

fn object(kind: &str, namespace: &str, name: &str, body: Value) -> Object {
    let mut object = body;
    object["apiVersion"] = format!("{GROUP}/v1").into();
    object["kind"] = kind.into();
    meta::set_name(&mut object, name);
    if !namespace.is_empty() {
        meta::set_namespace(&mut object, namespace);
    }
    meta::set_label(&mut object, "kubernetes.io/bootstrapping", "rbac-defaults");
    meta::set_annotation(&mut object, AUTOUPDATE, "true");
    object
}

#[cfg(test)]
mod tests;
