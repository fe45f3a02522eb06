//! EndpointSlice: the backends of a Service, in pieces (B3).

use crate::base::base;
use crate::cells;
use crate::ip;
use crate::kind::{Column, Kind};
use crate::metadata::{self, checked};
use crate::pod_spec::spec::supported;
use crate::printed::{AGE, NAME};
use crate::strategy::{self, immutable};
use crate::walk::{default_to, int, items, items_mut, present, text, texts};
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::{Value, json};

pub const KIND: Kind = Kind {
    columns: &[
        NAME,
        Column::text(
            "AddressType",
            "addressType specifies the type of address carried by this EndpointSlice.",
        ),
        Column::text(
            "Ports",
            "ports specifies the list of network ports exposed by each endpoint in this slice.",
        ),
        Column::text("Endpoints", "endpoints is a list of unique endpoints in this slice."),
        AGE,
    ],
    cells: print,
    default,
    prepare_create: |slice| meta::set_generation(slice, 1),
    prepare_update: |new, old| {
        metadata::carry(new, old);
        strategy::count_generation(new, old, &["/addressType", "/endpoints", "/ports", "/metadata/labels"]);
    },
    validate,
    validate_update,
    warnings,
    generation: true,
    ..base::<EndpointSlice>("endpointslice")
};

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const HINTS_MAX: usize = 8;
const SHOWN_MAX: usize = 3;
const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];

fn print(slice: &Object, now: Timestamp) -> Vec<Value> {
    let shown = |parts: Vec<String>| match cells::joined_up_to(&parts, SHOWN_MAX) {
        text if text.is_empty() => "<unset>".to_owned(),
        text => text,
    };
    let ports = items(&slice["ports"]).iter().map(port_name).collect();
    let addresses = items(&slice["endpoints"]).iter().flat_map(|endpoint| texts(&endpoint["addresses"]));
    vec![
        cells::name(slice),
        text(&slice["addressType"]).into(),
        shown(ports).into(),
        shown(addresses.map(str::to_owned).collect()).into(),
        cells::aged(slice, now),
    ]
}

fn port_name(port: &Value) -> String {
    match (port["port"].as_i64(), port["name"].as_str()) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => "*".to_owned(),
    }
}

/// Both lists are always written back, as Go does for fields without `omitempty`.
fn default(slice: &mut Object) {
    default_to(slice, "endpoints", json!([]));
    for port in items_mut(slice, "ports") {
        default_to(port, "name", "");
        default_to(port, "protocol", "TCP");
    }
    for endpoint in items_mut(slice, "endpoints") {
        default_to(endpoint, "addresses", json!([]));
        default_to(endpoint, "conditions", json!({}));
    }
}

/// B3.1 to B3.5.
fn validate(slice: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(slice);
    supported(slice, "addressType", &TYPES, &Path::new(""), &mut errors);
    let kind = text(&slice["addressType"]);
    let (endpoints, at) = (items(&slice["endpoints"]), Path::new("endpoints"));
    if endpoints.len() > ENDPOINTS_MAX {
        errors.push(FieldError::too_many(&at, endpoints.len(), ENDPOINTS_MAX));
        return errors;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        validate_endpoint(endpoint, kind, &at.index(index), &mut errors);
    }
    validate_ports(&slice["ports"], &Path::new("ports"), &mut errors);
    errors
}

fn validate_endpoint(endpoint: &Value, kind: &str, at: &Path, errors: &mut Vec<FieldError>) {
    let (addresses, here) = (texts(&endpoint["addresses"]), at.child("addresses"));
    if addresses.is_empty() {
        errors.push(FieldError::required(&here, "must contain at least 1 address"));
    } else if addresses.len() > ADDRESSES_MAX {
        errors.push(FieldError::too_many(&here, addresses.len(), ADDRESSES_MAX));
    }
    for (index, address) in addresses.into_iter().enumerate() {
        validate_address(address, kind, &here.index(index), errors);
    }
    let (node, host) = (text(&endpoint["nodeName"]), text(&endpoint["hostname"]));
    if !endpoint["nodeName"].is_null() {
        errors.extend(checked(&at.child("nodeName"), node, names::dns1123_subdomain(node)));
    }
    if !endpoint["hostname"].is_null() {
        errors.extend(checked(&at.child("hostname"), host, names::dns1123_label(host)));
    }
    for list in ["forZones", "forNodes"] {
        validate_hints(&endpoint["hints"][list], &at.child("hints").child(list), errors);
    }
}

fn validate_address(address: &str, kind: &str, at: &Path, errors: &mut Vec<FieldError>) {
    if kind == "FQDN" {
        let plain = address.strip_suffix('.').unwrap_or(address);
        errors.extend(checked(at, address, names::dns1123_subdomain(plain)));
        if !plain.contains('.') {
            let detail = "should be a domain with at least two segments separated by dots";
            errors.push(FieldError::invalid(at, address, detail));
        }
        return;
    }
    let wrong = ip::validate(address, at);
    if !wrong.is_empty() {
        errors.extend(wrong);
        return;
    }
    let family = ip::parse_sloppy(address).map(|ip| if ip.is_ipv4() { "IPv4" } else { "IPv6" });
    if TYPES.contains(&kind) && family != Some(kind) {
        errors.push(FieldError::invalid(at, address, format!("must be an {kind} address")));
        return;
    }
    errors.extend(ip::validate_not_special(address, at));
}

fn validate_hints(hints: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let list = items(hints);
    if list.len() > HINTS_MAX {
        errors.push(FieldError::too_many(at, list.len(), HINTS_MAX));
        return;
    }
    let mut seen = Vec::new();
    for (index, hint) in list.iter().enumerate() {
        let name = text(&hint["name"]);
        let at = at.index(index).child("name");
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&at, name));
        } else {
            seen.push(name);
            errors.extend(checked(&at, name, names::label_value(name)));
        }
    }
}

fn validate_ports(ports: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let list = items(ports);
    if list.len() > PORTS_MAX {
        errors.push(FieldError::too_many(at, list.len(), PORTS_MAX));
        return;
    }
    let mut seen = Vec::new();
    for (index, port) in list.iter().enumerate() {
        let at = at.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            errors.extend(checked(&at.child("name"), name, names::dns1123_label(name)));
        }
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        seen.push(name);
        if !port["port"].is_null() {
            let number = int(&port["port"]);
            errors.extend(checked(&at.child("port"), number, names::port_number(number)));
        }
        supported(port, "protocol", &["SCTP", "TCP", "UDP"], &at, errors);
        if present(&port["appProtocol"]) {
            let protocol = text(&port["appProtocol"]);
            errors.extend(checked(&at.child("appProtocol"), protocol, names::qualified_name(protocol)));
        }
    }
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    errors.extend(immutable(&new["addressType"], &old["addressType"], &Path::new("addressType")));
    errors
}

fn warnings(new: &Object, _old: Option<&Object>) -> Vec<String> {
    if text(&new["addressType"]) == "FQDN" {
        return vec!["addressType: FQDN endpoints are deprecated".to_owned()];
    }
    let mut warnings = Vec::new();
    for (index, endpoint) in items(&new["endpoints"]).iter().enumerate() {
        for (number, address) in texts(&endpoint["addresses"]).into_iter().enumerate() {
            warnings.extend(ip::warnings(address, &format!("endpoints[{index}].addresses[{number}]")));
        }
    }
    warnings
}
