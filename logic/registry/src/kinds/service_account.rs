//! ServiceAccount: who a pod is to the API.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind, Subresource};
use crate::printed::{AGE, NAME};
use crate::walk::items;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use kelson_machinery::Object;
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["sa"],
    subresources: &[Subresource::Token],
    columns: &[
        NAME,
        Column::text(
            "Secrets",
            "Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount are allowed to use.",
        ),
        AGE,
    ],
    cells: print,
    ..base::<ServiceAccount>("serviceaccount")
};

fn print(account: &Object, now: Timestamp) -> Vec<Value> {
    vec![cells::name(account), items(&account["secrets"]).len().into(), cells::aged(account, now)]
}
