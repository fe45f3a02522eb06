//! ClusterRoleBinding: who may do what a role allows, in the whole cluster.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::older;
use crate::printed::{AGE, NAME};
use crate::rbac;
use crate::walk::text;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kelson_machinery::Object;
use serde_json::Value;

pub const KIND: Kind = Kind {
    older: older::CLUSTER_ROLE_BINDING,
    columns: &[
        NAME,
        Column::text("Role", "The role that is granted."),
        AGE,
        Column::text("Users", "Users in the clusterrolebinding").wide(),
        Column::text("Groups", "Groups in the clusterrolebinding").wide(),
        Column::text("ServiceAccounts", "ServiceAccounts in the clusterrolebinding").wide(),
    ],
    cells: print,
    default: rbac::default_binding,
    validate: |binding| rbac::validate_binding(binding, false),
    validate_update: rbac::validate_binding_update,
    create_on_update: true,
    ..base::<ClusterRoleBinding>("clusterrolebinding")
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
