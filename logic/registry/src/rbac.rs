//! Rules that the four kinds of role-based access control share.

use crate::metadata;
use crate::strategy::immutable;
use crate::walk::{items, present, text};
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;

/// Names of roles may hold what paths may: colons, for one.
pub fn name(name: &str) -> Result<(), Vec<String>> {
    if [".", ".."].contains(&name) {
        return Err(vec![format!("may not be '{name}'")]);
    }
    let wrong: Vec<String> = ["/", "%"]
        .into_iter()
        .filter(|part| name.contains(part))
        .map(|part| format!("may not contain '{part}'"))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// A Role or ClusterRole.
pub fn validate_role(role: &Object, namespaced: bool) -> Vec<FieldError> {
    let mut errors = metadata::validate(role, namespaced, name);
    for (index, rule) in items(&role["rules"]).iter().enumerate() {
        validate_rule(rule, namespaced, &Path::new("rules").index(index), &mut errors);
    }
    errors
}

fn validate_rule(rule: &Value, namespaced: bool, at: &Path, errors: &mut Vec<FieldError>) {
    if !present(&rule["verbs"]) {
        errors.push(FieldError::required(&at.child("verbs"), "verbs must contain at least one value"));
    }
    let urls = &rule["nonResourceURLs"];
    if present(urls) {
        let at = at.child("nonResourceURLs");
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&at, urls.clone(), detail));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| present(&rule[*field])) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&at, urls.clone(), detail));
        }
        return;
    }
    if !present(&rule["apiGroups"]) {
        errors.push(FieldError::required(
            &at.child("apiGroups"),
            "resource rules must supply at least one api group",
        ));
    }
    if !present(&rule["resources"]) {
        errors.push(FieldError::required(
            &at.child("resources"),
            "resource rules must supply at least one resource",
        ));
    }
}

/// A RoleBinding or ClusterRoleBinding.
pub fn validate_binding(binding: &Object, namespaced: bool) -> Vec<FieldError> {
    let mut errors = metadata::validate(binding, namespaced, name);
    let (role, at) = (&binding["roleRef"], Path::new("roleRef"));
    if text(&role["apiGroup"]) != "rbac.authorization.k8s.io" {
        let group = text(&role["apiGroup"]);
        errors.push(FieldError::not_supported(&at.child("apiGroup"), group, ["rbac.authorization.k8s.io"]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(&role["kind"])) {
        errors.push(FieldError::not_supported(&at.child("kind"), text(&role["kind"]), kinds.iter().copied()));
    }
    match text(&role["name"]) {
        "" => errors.push(FieldError::required(&at.child("name"), "")),
        given => errors.extend(metadata::checked(&at.child("name"), given, name(given))),
    }
    for (index, subject) in items(&binding["subjects"]).iter().enumerate() {
        validate_subject(subject, &Path::new("subjects").index(index), &mut errors);
    }
    errors
}

fn validate_subject(subject: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    if !present(&subject["name"]) {
        errors.push(FieldError::required(&at.child("name"), ""));
    }
    let (kind, group) = (text(&subject["kind"]), text(&subject["apiGroup"]));
    let expected = match kind {
        "ServiceAccount" => "",
        "User" | "Group" => "rbac.authorization.k8s.io",
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::not_supported(&at.child("kind"), kind, kinds));
            return;
        }
    };
    if group != expected {
        errors.push(FieldError::not_supported(&at.child("apiGroup"), group, [expected]));
    }
    if kind == "ServiceAccount" && !present(&subject["namespace"]) {
        errors.push(FieldError::required(&at.child("namespace"), ""));
    }
}

/// What a binding refers to is decided once.
pub fn validate_binding_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let changed = immutable(&new["roleRef"], &old["roleRef"], &Path::new("roleRef"));
    errors.extend(changed.map(|error| FieldError { detail: "cannot change roleRef".to_owned(), ..error }));
    errors
}

/// Subjects of one kind, joined by commas.
pub fn subjects(binding: &Object, kind: &str) -> Value {
    let names =
        items(&binding["subjects"]).iter().filter(|subject| text(&subject["kind"]) == kind).map(|subject| {
            match text(&subject["namespace"]) {
                "" => text(&subject["name"]).to_owned(),
                namespace => format!("{namespace}/{}", text(&subject["name"])),
            }
        });
    names.collect::<Vec<_>>().join(", ").into()
}

/// Bindings may leave out the groups that are always the same.
pub fn default_binding(binding: &mut Object) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if let Some(role) = crate::walk::member(binding, "roleRef")
        && !present(&role["apiGroup"])
    {
        crate::walk::put(role, "apiGroup", GROUP);
    }
    for subject in crate::walk::items_mut(binding, "subjects") {
        if ["User", "Group"].contains(&text(&subject["kind"])) && !present(&subject["apiGroup"]) {
            crate::walk::put(subject, "apiGroup", GROUP);
        }
    }
}
