//! RoleBinding: who may do what a role allows, in one namespace.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::older;
use crate::printed::{AGE, NAME};
use crate::rbac;
use crate::walk::text;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kelson_machinery::Object;
use serde_json::Value;

pub const KIND: Kind = Kind {
    older: older::ROLE_BINDING,
    columns: &[
        NAME,
        Column::text("Role", "The role that is granted."),
        AGE,
        Column::text("Users", "Users in the rolebinding").wide(),
        Column::text("Groups", "Groups in the rolebinding").wide(),
        Column::text("ServiceAccounts", "ServiceAccounts in the rolebinding").wide(),
    ],
    cells: print,
    default: rbac::default_binding,
    validate: |binding| rbac::validate_binding(binding, true),
    validate_update: rbac::validate_binding_update,
    create_on_update: true,
    ..base::<RoleBinding>("rolebinding")
};

fn print(binding: &Object, now: Timestamp) -> Vec<Value> {
    let role = &binding["roleRef"];
    vec![
        cells::name(binding),
        format!("{}/{}", text(&role["kind"]), text(&role["name"])).into(),
        cells::aged(binding, now),
        rbac::subjects(binding, "User"),
        rbac::subjects(binding, "Group"),
        rbac::subjects(binding, "ServiceAccount"),
    ]
}
