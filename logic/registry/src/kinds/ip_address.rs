//! IPAddress: one cluster IP and who holds it (A5.16).

use crate::base::base;
use crate::cells;
use crate::ip;
use crate::kind::{Column, Kind};
use crate::metadata;
use crate::printed::NAME;
use crate::strategy::{self, immutable};
use crate::walk::{present, text};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::IPAddress;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta};
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["ip"],
    columns: &[
        NAME,
        Column::text("ParentRef", "ParentRef references the resource that an IPAddress is attached to."),
    ],
    cells: print,
    prepare_create: |address| meta::set_generation(address, 1),
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::count_generation(new, old, &["/spec"]);
    },
    validate,
    validate_update: |new, old| {
        let mut errors = metadata::validate_update(new, old);
        let path = Path::new("spec.parentRef");
        errors.extend(immutable(&new["spec"]["parentRef"], &old["spec"]["parentRef"], &path));
        errors
    },
    generation: true,
    ..base::<IPAddress>("ipaddress")
};

fn print(address: &Object, _now: Timestamp) -> Vec<Value> {
    let parent = &address["spec"]["parentRef"];
    let parts = ["group", "resource", "namespace", "name"].map(|field| text(&parent[field]));
    let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let shown = if shown.is_empty() { "<none>".to_owned() } else { shown.join("/") };
    vec![cells::name(address), shown.into()]
}

fn validate(address: &Object) -> Vec<FieldError> {
    // The name is the address; colons are fine in it.
    let mut errors = metadata::validate(address, false, |name| match ip::parse_sloppy(name) {
        Some(ip) if ip.to_string() == name => Ok(()),
        _ => Err(vec!["must be a valid IP address in canonical form".to_owned()]),
    });
    let (parent, path) = (&address["spec"]["parentRef"], Path::new("spec.parentRef"));
    if parent.is_null() {
        errors.push(FieldError::required(&path, ""));
        return errors;
    }
    for field in ["resource", "name"].into_iter().filter(|field| !present(&parent[*field])) {
        errors.push(FieldError::required(&path.child(field), ""));
    }
    errors
}
