//! Endpoints: the old form of a Service's backends, deprecated in favour of EndpointSlices (B5).

use crate::base::base;
use crate::cells;
use crate::ip;
use crate::kind::{Column, Kind};
use crate::metadata::{self, checked};
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::walk::{default_to, int, items, items_mut, present, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Endpoints;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, names};
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["ep"],
    columns: &[
        NAME,
        Column::text(
            "Endpoints",
            "The set of all endpoints is the union of all subsets. Addresses are placed into subsets according to the IPs they share.",
        ),
        AGE,
    ],
    cells: print,
    default: |endpoints| {
        items_mut(endpoints, "subsets").for_each(|subset| {
            items_mut(subset, "ports").for_each(|port| default_to(port, "protocol", "TCP"));
        });
    },
    validate,
    validate_update: metadata::validate_update,
    warnings,
    create_on_update: true,
    // A4.8
    deprecated: Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    ..base::<Endpoints>("endpoints")
};

const SHOWN_MAX: usize = 3;

fn print(endpoints: &Object, now: Timestamp) -> Vec<Value> {
    let shown = match present(&endpoints["subsets"]) {
        true => cells::joined_up_to(&places(&endpoints["subsets"]), SHOWN_MAX),
        false => "<none>".to_owned(),
    };
    vec![cells::name(endpoints), shown.into(), cells::aged(endpoints, now)]
}

fn places(subsets: &Value) -> Vec<String> {
    let mut places = Vec::new();
    for subset in items(subsets) {
        let addresses = items(&subset["addresses"]).iter().map(|address| text(&address["ip"]));
        if !present(&subset["ports"]) {
            places.extend(addresses.map(str::to_owned));
            continue;
        }
        for port in items(&subset["ports"]) {
            let addresses = items(&subset["addresses"]).iter().map(|address| text(&address["ip"]));
            places.extend(addresses.map(|address| with_port(address, int(&port["port"]))));
        }
    }
    places
}

fn with_port(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// B5.1 to B5.3.
fn validate(endpoints: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(endpoints);
    for (index, subset) in items(&endpoints["subsets"]).iter().enumerate() {
        let at = Path::new("subsets").index(index);
        if !present(&subset["addresses"]) && !present(&subset["notReadyAddresses"]) {
            errors.push(FieldError::required(&at, "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (index, address) in items(&subset[list]).iter().enumerate() {
                validate_address(address, &at.child(list).index(index), &mut errors);
            }
        }
        let ports = items(&subset["ports"]);
        for (index, port) in ports.iter().enumerate() {
            validate_port(port, ports.len() > 1, &at.child("ports").index(index), &mut errors);
        }
    }
    errors
}

fn validate_address(address: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let given = text(&address["ip"]);
    let wrong = ip::validate(given, &at.child("ip"));
    let valid = wrong.is_empty();
    errors.extend(wrong);
    let (host, node) = (text(&address["hostname"]), text(&address["nodeName"]));
    if !host.is_empty() {
        errors.extend(checked(&at.child("hostname"), host, names::dns1123_label(host)));
    }
    if !address["nodeName"].is_null() {
        errors.extend(checked(&at.child("nodeName"), node, names::dns1123_subdomain(node)));
    }
    if valid {
        errors.extend(ip::validate_not_special(given, &at.child("ip")));
    }
}

fn validate_port(port: &Value, named: bool, at: &Path, errors: &mut Vec<FieldError>) {
    let name = text(&port["name"]);
    if named && name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), ""));
    } else if !name.is_empty() {
        errors.extend(checked(&at.child("name"), name, names::dns1123_label(name)));
    }
    let number = int(&port["port"]);
    errors.extend(checked(&at.child("port"), number, names::port_number(number)));
    supported(port, "protocol", &["SCTP", "TCP", "UDP"], at, errors);
    if !port["appProtocol"].is_null() {
        let protocol = text(&port["appProtocol"]);
        errors.extend(checked(&at.child("appProtocol"), protocol, names::qualified_name(protocol)));
    }
}

fn warnings(new: &Object, _old: Option<&Object>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, subset) in items(&new["subsets"]).iter().enumerate() {
        for list in ["addresses", "notReadyAddresses"] {
            for (number, address) in items(&subset[list]).iter().enumerate() {
                let path = format!("subsets[{index}].{list}[{number}].ip");
                warnings.extend(ip::warnings(text(&address["ip"]), &path));
            }
        }
    }
    warnings
}
