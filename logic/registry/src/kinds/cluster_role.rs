//! ClusterRole: what may be done in the whole cluster.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::older;
use crate::printed::NAME;
use crate::rbac;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kelson_machinery::meta;

pub const KIND: Kind = Kind {
    older: older::CLUSTER_ROLE,
    columns: &[NAME, Column { r#type: "date", ..Column::text("Created At", "When it was made.") }],
    cells: |role, _| vec![cells::name(role), meta::creation_timestamp(role).unwrap_or_default().into()],
    validate: |role| rbac::validate_role(role, false),
    create_on_update: true,
    ..base::<ClusterRole>("clusterrole")
};
