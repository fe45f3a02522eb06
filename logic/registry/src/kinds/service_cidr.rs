//! ServiceCIDR: a range cluster IPs come from (A5.14).

use crate::base::base;
use crate::cells;
use crate::ip;
use crate::kind::{Column, Kind, Subresource};
use crate::metadata;
use crate::printed::{AGE, NAME};
use crate::strategy;
use crate::walk::{items, texts};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use serde_json::Value;

pub const KIND: Kind = Kind {
    subresources: &[Subresource::Status],
    columns: &[
        NAME,
        Column::text(
            "CIDRs",
            "CIDRs defines the IP blocks in CIDR notation (e.g. \"192.168.0.0/24\" or \"2001:db8::/64\") from which to assign service cluster IPs.",
        ),
        AGE,
    ],
    cells: print,
    prepare_create: strategy::create_with_status,
    prepare_update: strategy::update_with_status,
    validate,
    validate_update,
    generation: true,
    ..base::<ServiceCIDR>("servicecidr")
};

fn print(range: &Object, now: Timestamp) -> Vec<Value> {
    vec![cells::name(range), texts(&range["spec"]["cidrs"]).join(",").into(), cells::aged(range, now)]
}

fn validate(range: &Object) -> Vec<FieldError> {
    let mut errors = metadata::cluster(range);
    let (cidrs, path) = (&range["spec"]["cidrs"], Path::new("spec.cidrs"));
    let list = texts(cidrs);
    if list.is_empty() {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
    }
    if list.len() > 2 {
        errors.push(FieldError::invalid(&path, cidrs.clone(), "may only hold up to 2 values"));
    }
    for (index, cidr) in list.iter().enumerate() {
        errors.extend(ip::validate_cidr(cidr, &path.index(index)));
    }
    let families: Vec<bool> =
        list.iter().filter_map(|cidr| ip::parse_cidr(cidr)).map(|(ip, _)| ip.is_ipv6()).collect();
    if families.len() == 2 && families[0] == families[1] {
        let detail =
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(&path, cidrs.clone(), detail));
    }
    errors
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    let (after, before) = (items(&new["spec"]["cidrs"]), items(&old["spec"]["cidrs"]));
    let adds_family = before.len() == 1 && after.len() == 2 && after[0] == before[0];
    if after != before && !adds_family {
        let path = Path::new("spec.cidrs");
        errors.push(FieldError::invalid(&path, new["spec"]["cidrs"].clone(), "field is immutable"));
    }
    errors
}
