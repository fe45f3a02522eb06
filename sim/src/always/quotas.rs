//! Quotas hold: whatever is made, there is no more of it than its namespace's quotas allow.
//!
//! Counted by hand, from the pods that certainly count: neither ended nor asked to go.

use kelson_machinery::meta;
use kelson_machinery::quantity::Quantity;
use serde_json::Value;

use super::{Judgement, is_active};
use crate::api::{Api, Write};
use crate::world::resource;

/// Judges a write by which there may be more than before.
pub(super) fn look(write: &Write, api: &Api) -> Judgement {
    let Some(after) = write.after.as_ref() else { return Ok(()) };
    let plural = write.place.resource.plural.as_ref();
    let grown: &[&str] = match plural {
        "pods" if write.before.is_none() => &["pods", "requests.cpu"],
        "configmaps" | "persistentvolumeclaims" if write.before.is_none() => &[plural],
        "services" if node_ports(after) > write.before.as_ref().map_or(0, |before| node_ports(before)) => {
            &["services.nodeports"]
        }
        _ => return Ok(()),
    };
    let namespace = &write.place.key.namespace;
    let quotas = api.all(&resource("resourcequotas")).filter(|(key, _)| key.namespace == *namespace);
    for (key, quota) in quotas {
        for name in grown {
            let most = amount(&quota["spec"]["hard"][*name]);
            let (Some(most), Some(there)) = (most, there(name, quota, namespace, api)) else { continue };
            if there > most {
                return Err(format!(
                    "{} came past quota {key}: {name} is {there} of {most}",
                    write.place.key
                ));
            }
        }
    }
    Ok(())
}

/// How much there is of a limited name at least; `None` for names that are not judged here.
pub(crate) fn there(name: &str, quota: &Value, namespace: &str, api: &Api) -> Option<Quantity> {
    let scoped = !meta::get_list(quota, &["spec", "scopes"]).is_empty();
    let all = |plural: &str| {
        let all = api.all(&resource(plural)).filter(|(key, _)| key.namespace == namespace);
        all.map(|(_, object)| object.clone()).collect::<Vec<_>>()
    };
    let count = |count: usize| Quantity::whole(count as i64);
    let counts = |pod: &Value| is_active(pod) && (!scoped || pod["spec"]["activeDeadlineSeconds"].is_null());
    match name {
        "pods" => Some(count(all("pods").iter().filter(|pod| counts(pod)).count())),
        "requests.cpu" => {
            let pods = all("pods");
            let asked = pods
                .iter()
                .filter(|pod| counts(pod))
                .filter_map(|pod| amount(&pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]));
            Some(asked.fold(Quantity::whole(0), |sum, one| sum.plus(&one)))
        }
        "configmaps" => Some(count(all("configmaps").len())),
        "persistentvolumeclaims" => Some(count(all("persistentvolumeclaims").len())),
        "services.nodeports" => Some(count(all("services").iter().map(|service| node_ports(service)).sum())),
        _ => None,
    }
}

fn node_ports(service: &Value) -> usize {
    match meta::get_str(service, &["spec", "type"]) {
        "NodePort" | "LoadBalancer" => meta::get_list(service, &["spec", "ports"]).len(),
        _ => 0,
    }
}

fn amount(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}
