//! Service: the kind this system is about. Rules are in the files beside this one, allocation in `crate::allocate`.

mod addresses;
mod defaults;
mod normalize;
mod print;
mod rules;
mod warnings;

pub use addresses::{is_headless, needs_cluster_ip};
pub use normalize::{needs_health_check, node_ports};

use crate::base::base;
use crate::kind::{Column, Kind, Subresource};
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::text;
use k8s_openapi::api::core::v1::Service;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[Subresource::Proxy, Subresource::Status],
    columns: &[
        NAME,
        Column::text("Type", "type determines how the Service is exposed."),
        Column::text(
            "Cluster-IP",
            "clusterIP is the IP address of the service and is usually assigned randomly.",
        ),
        Column::text(
            "External-IP",
            "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this service.",
        ),
        Column::text("Port(s)", "The list of ports that are exposed by this service."),
        AGE,
        Column::text(
            "Selector",
            "Route service traffic to pods with label keys and values matching this selector.",
        )
        .wide(),
    ],
    cells: print::cells,
    default: defaults::service,
    prepare_create,
    prepare_update: |new, old| {
        normalize::update(new, old);
        strategy::count_generation(new, old, &["/spec"]);
    },
    prepare_status_update: strategy::status_update,
    validate: rules::validate,
    validate_update: rules::validate_update,
    validate_status_update: rules::validate_status_update,
    warnings: warnings::of,
    selectable: &["spec.clusterIP", "spec.type"],
    select,
    create_on_update: true,
    // So that a condition can say which spec it speaks of.
    generation: true,
    ..base::<Service>("service")
};

fn prepare_create(service: &mut Object) {
    crate::walk::put(service, "status", json!({"loadBalancer": {}}));
    normalize::create(service);
    meta::set_generation(service, 1);
}

fn select(service: &Object, field: &str) -> Option<String> {
    let spec = &service["spec"];
    let value: &Value = match field {
        "spec.clusterIP" => &spec["clusterIP"],
        "spec.type" => &spec["type"],
        _ => return None,
    };
    Some(text(value).to_owned())
}

#[cfg(test)]
mod tests;
