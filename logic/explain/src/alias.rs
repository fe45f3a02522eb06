//! ExternalName: the alias, and whether what it leads to is there.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kelson_zones::Known;

use crate::context::Context;
use crate::near::near;
use crate::step::{Step, StepName};
use crate::words::{full, in_namespace, list, name, namespace};
use crate::world::Resolved;

/// Most aliases followed.
const ALIASES_MAX: usize = 8;

/// What the alias leads to.
pub(crate) fn target(service: &Service) -> &str {
    let spec = service.spec.as_ref().and_then(|spec| spec.external_name.as_deref());
    spec.unwrap_or_default().trim_end_matches('.')
}

/// The step that says where the alias leads and whether somebody is there.
pub(crate) fn step(context: &Context<'_>, service: &Service) -> Step {
    let (called, target) = (full(&service.metadata), target(service));
    let place = in_namespace(namespace(&service.metadata));
    let edit = format!("kubectl edit service {}{place}", name(&service.metadata));
    if target.parse::<IpAddr>().is_ok() {
        return Step::wrong(
            StepName::Service,
            format!(
                "{called} is an alias for {target}, which is an address; an ExternalName must be a name, so DNS says there is none"
            ),
            "use a Service without selector and an EndpointSlice that lists the address",
        );
    }
    let mut at = target.to_owned();
    for _ in 0..ALIASES_MAX {
        match context.zone.known(&at) {
            Known::Alias(next) => at = next.to_string().trim_end_matches('.').to_owned(),
            Known::Addresses(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let sentence = format!("{called} is an alias for {target}, which is {}", list(&addresses));
                return Step::ok(StepName::Service, sentence).details([ports_remark(service)]);
            }
            Known::Empty | Known::Missing => {
                let sentence = format!(
                    "{called} is an alias for {target}, which no Service of the cluster has as its name"
                );
                return Step::wrong(StepName::Service, sentence, edit).details(close_to(context, &at));
            }
            Known::Foreign => return outside(context, &called, &at, edit),
        }
    }
    Step::wrong(StepName::Service, format!("{called} is an alias that leads round in a circle"), edit)
}

/// A target outside the cluster, which only looking could judge.
fn outside(context: &Context<'_>, called: &str, target: &str, edit: String) -> Step {
    let alias = format!("{called} is an alias for {target}, a name outside the cluster");
    match context.world.facts.names.get(target) {
        None => Step::ok(StepName::Service, alias),
        Some(Resolved::Addresses(addresses)) if !addresses.is_empty() => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Step::ok(StepName::Service, format!("{alias}, which is {}", list(&addresses))).details([
                "an HTTP server there sees the cluster's name in Host, unless the client is told another"
                    .to_owned(),
            ])
        }
        Some(Resolved::Addresses(_)) => {
            Step::wrong(StepName::Service, format!("{alias}, which exists and has no address"), edit)
        }
        Some(Resolved::NoSuchName) => {
            Step::wrong(StepName::Service, format!("{alias}, and there is no such name"), edit)
        }
        Some(Resolved::Failed(why)) => Step::wrong(
            StepName::Service,
            format!("{alias}, which does not resolve: {why}"),
            format!("kelson lookup {target}"),
        ),
    }
}

fn ports_remark(service: &Service) -> String {
    let has_ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).is_some_and(|p| !p.is_empty());
    if has_ports {
        "its own ports say nothing: clients connect to the target's port".to_owned()
    } else {
        "clients connect to the target's port".to_owned()
    }
}

/// Names of Services close to a target that is not there.
fn close_to(context: &Context<'_>, target: &str) -> Option<String> {
    let names: Vec<String> = context
        .world
        .services
        .iter()
        .map(|s| format!("{}.{}.svc.{}", name(&s.metadata), namespace(&s.metadata), context.domain))
        .collect();
    let close = near(target, names.iter().map(String::as_str));
    (!close.is_empty()).then(|| format!("close to it: {}", list(&close)))
}
