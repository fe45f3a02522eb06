//! The name: what it is completed to, and whether cluster DNS leads it to the Service.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kelson_zones::Known;

use crate::asker::{Client, Search, name_server};
use crate::context::{Context, key};
use crate::missing;
use crate::near::near;
use crate::question::Target;
use crate::step::{Step, StepName};
use crate::words::{list, name, namespace};
use crate::world::Resolved;

/// A cluster name taken apart.
struct Parts<'a> {
    /// What stands before the Service: an endpoint's host name, or a port's.
    host: Option<&'a str>,
    service: &'a str,
    namespace: &'a str,
}

/// The Service the question is about.
pub(crate) fn service<'a>(context: &Context<'a>, client: &Client<'_>) -> Result<&'a Service, Step> {
    match &context.question.target {
        Target::Service(wanted) => {
            let place = &context.question.namespace;
            context.service(place, wanted).ok_or_else(|| missing::service(context, place, wanted))
        }
        Target::Name(asked) => {
            let place = client.namespace(context);
            let readings = readings(asked, place, &context.domain);
            let there = |parts: &Parts<'_>| context.service(parts.namespace, parts.service);
            if let Some(service) = readings.iter().find_map(there) {
                return Ok(service);
            }
            match readings.first() {
                Some(parts) if parts.host.is_none() || asked.contains(".svc") => {
                    Err(missing::service(context, parts.namespace, parts.service))
                }
                _ => Err(foreign(context, asked)),
            }
        }
    }
}

/// The name as the client spells it.
fn spelled(context: &Context<'_>, client: &Client<'_>, service: &Service) -> String {
    match &context.question.target {
        Target::Name(asked) => asked.clone(),
        Target::Service(wanted) if client.pod.is_none() => {
            format!("{wanted}.{}.svc.{}", namespace(&service.metadata), context.domain)
        }
        Target::Service(wanted) if client.namespace(context) == namespace(&service.metadata) => {
            wanted.clone()
        }
        Target::Service(wanted) => format!("{wanted}.{}", namespace(&service.metadata)),
    }
}

/// What the name is completed to and leads to; a headless Service without ready pods has no name at all, which later
/// steps explain better.
pub(crate) fn step(context: &Context<'_>, client: &Client<'_>, service: &Service) -> Option<Step> {
    let asked = spelled(context, client, service);
    let search = match client.search(context) {
        Ok(search) => search,
        Err(step) => return Some(step),
    };
    let candidates = search.candidates(&asked);
    let found = candidates.iter().find_map(|name| match context.zone.known(name) {
        Known::Addresses(addresses) => Some((name, Some(addresses))),
        Known::Alias(_) => Some((name, None)),
        _ => None,
    });
    match found {
        Some((full, Some(addresses))) => Some(resolved(context, &asked, full, &addresses)),
        Some((full, None)) => Some(Step::ok(StepName::Name, arrow(&asked, full, "an alias"))),
        None => unresolved(context, client, service, &asked, &search),
    }
}

/// The name leads to `addresses`, if cluster DNS says the same.
fn resolved(context: &Context<'_>, asked: &str, full: &str, addresses: &[IpAddr]) -> Step {
    let text: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let step = Step::ok(StepName::Name, arrow(asked, full, &list(&text)));
    let Some(server) = name_server(context) else { return step };
    let logs = "kubectl get pods,endpoints -n kube-system -l k8s-app=kube-dns";
    match context.world.facts.names.get(full) {
        Some(Resolved::Failed(why)) => Step::wrong(
            StepName::Name,
            format!("{full} should be {}, but cluster DNS at {server} does not say so: {why}", list(&text)),
            logs,
        ),
        Some(Resolved::NoSuchName) => Step::wrong(
            StepName::Name,
            format!(
                "{full} should be {}, but cluster DNS at {server} says there is no such name",
                list(&text)
            ),
            logs,
        ),
        Some(Resolved::Addresses(said)) if !addresses.iter().all(|address| said.contains(address)) => {
            let said: Vec<String> = said.iter().map(ToString::to_string).collect();
            Step::warning(StepName::Name, arrow(asked, full, &list(&text)))
                .details([format!("cluster DNS at {server} says {} just now", list(&said))])
        }
        _ => step,
    }
}

fn arrow(asked: &str, full: &str, what: &str) -> String {
    if asked.trim_end_matches('.') == full {
        format!("{full} is {what}")
    } else {
        format!("{asked} is completed to {full}, which is {what}")
    }
}

/// The Service is there, but its name leads nowhere.
fn unresolved(
    context: &Context<'_>,
    client: &Client<'_>,
    service: &Service,
    asked: &str,
    search: &Search,
) -> Option<Step> {
    let full = format!("{}.{}.svc.{}", name(&service.metadata), namespace(&service.metadata), context.domain);
    let readings = readings(asked, client.namespace(context), &context.domain);
    let this = readings.iter().find(|parts| is_of(service, parts));
    if let Some(host) = this.and_then(|parts| parts.host) {
        return Some(no_such_host(context, service, host, &full));
    }
    if !matches!(context.zone.known(&full), Known::Addresses(_) | Known::Alias(_)) {
        return None;
    }
    let tried = search.candidates(asked);
    let sentence =
        format!("{} cannot complete {asked}: its search path lacks svc.{}", client.called, context.domain);
    let next = format!("ask for {full}, or add its domain to the pod's dnsConfig");
    Some(Step::wrong(StepName::Name, sentence, next).details([format!("tried {}", tried.join(", "))]))
}

/// A name before the Service's that no ready endpoint has.
fn no_such_host(context: &Context<'_>, service: &Service, host: &str, full: &str) -> Step {
    let key = key(service);
    let ports = context.snapshot.endpoints.range(key.port("")..).take_while(|(port, _)| port.service == key);
    let endpoints = ports.flat_map(|(_, endpoints)| endpoints.iter()).filter(|endpoint| endpoint.ready);
    let mut hosts: Vec<String> = endpoints
        .map(|e| {
            e.hostname
                .as_ref()
                .map_or_else(|| e.address.to_string().replace(['.', ':'], "-"), ToString::to_string)
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    let pod = context.pod(&key.namespace, host);
    let sentence = match pod {
        Some(_) if !hosts.iter().any(|known| known == host) => {
            format!(
                "{full} has no ready endpoint called {host}: the pod is not ready, or sets no hostname and subdomain"
            )
        }
        _ => format!("{full} has no ready endpoint called {host}"),
    };
    let step = Step::wrong(
        StepName::Name,
        sentence,
        format!(
            "kubectl get endpointslices -n {} -l kubernetes.io/service-name={} -o yaml",
            key.namespace, key.name
        ),
    );
    if hosts.is_empty() { step } else { step.details([format!("it has {}", list(&hosts))]) }
}

fn is_of(service: &Service, parts: &Parts<'_>) -> bool {
    name(&service.metadata) == parts.service && namespace(&service.metadata) == parts.namespace
}

/// What `[host.]service[.namespace[.svc[.domain]]]` can mean for somebody in `place`, the usual meaning first; nothing when
/// it is no name of the cluster.
fn readings<'a>(asked: &'a str, place: &'a str, domain: &str) -> Vec<Parts<'a>> {
    let asked = asked.trim_end_matches('.');
    let beneath = asked.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    let inner = beneath.unwrap_or(asked).strip_suffix(".svc");
    let labels: Vec<&str> = inner.or(beneath).unwrap_or(asked).split('.').collect();
    match (labels.as_slice(), inner.is_some()) {
        (_, false) if beneath.is_some() => Vec::new(),
        ([service], false) => vec![Parts { host: None, service, namespace: place }],
        ([service, namespace], is_whole) => {
            let host =
                (!is_whole).then_some(Parts { host: Some(service), service: namespace, namespace: place });
            std::iter::once(Parts { host: None, service, namespace }).chain(host).collect()
        }
        ([host, service, namespace], _) => vec![Parts { host: Some(host), service, namespace }],
        _ => Vec::new(),
    }
}

/// A name that is none of the cluster's.
fn foreign(context: &Context<'_>, asked: &str) -> Step {
    let domain = &context.domain;
    let asked = asked.trim_end_matches('.');
    let other = asked.split_once(".svc.");
    if let Some((before, after)) = other {
        let hint = if near(after, [domain.as_str()]).is_empty() { "" } else { ", which is close to it" };
        return Step::wrong(
            StepName::Name,
            format!("{asked} is no name of this cluster: its domain is {domain}, not {after}{hint}"),
            format!("ask for {before}.svc.{domain}"),
        );
    }
    Step::wrong(
        StepName::Name,
        format!("{asked} is no name of this cluster, whose Services are NAME.NAMESPACE.svc.{domain}"),
        format!("kelson lookup {asked}"),
    )
}

#[cfg(test)]
mod tests {
    use super::readings;

    #[test]
    fn names_are_taken_apart() {
        let check = |asked: &str, expected: &[(Option<&str>, &str, &str)]| {
            let got = readings(asked, "here", "cluster.local");
            let got: Vec<_> = got.iter().map(|p| (p.host, p.service, p.namespace)).collect();
            assert_eq!(got, expected, "{asked}");
        };
        check("web", &[(None, "web", "here")]);
        check("web.shop", &[(None, "web", "shop"), (Some("web"), "shop", "here")]);
        check("web.shop.svc", &[(None, "web", "shop")]);
        check("web.shop.svc.cluster.local", &[(None, "web", "shop")]);
        check("web.shop.svc.cluster.local.", &[(None, "web", "shop")]);
        check("db-0.db.shop.svc.cluster.local", &[(Some("db-0"), "db", "shop")]);
        check("db-0.db.shop.svc", &[(Some("db-0"), "db", "shop")]);
        check("www.example.org", &[(Some("www"), "example", "org")]);
        check("web.shop.cluster.local", &[]);
        check("web.shop.svc.example.org", &[]);
    }
}
