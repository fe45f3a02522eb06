//! Requests from outside: every host and path leads to exactly the ready endpoints that the oldest Ingress says, told by
//! a second reading of the rules that looks at each of them in turn.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kelson_machinery::meta;
use kelson_plans::Key;
use kelson_routes::{Decision, RouteTable, Target};
use serde_json::Value;

use super::Judgement;
use super::services::Expected;
use crate::world::{World, resource};

const HOSTS: [&str; 5] = ["shop.test", "www.shop.test", "blog.shop.test", "other.test", ""];
const PATHS: [&str; 8] = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/cart", "/cart/1"];
/// Aliases followed one after the other, as `kelson_routes` does.
const ALIASES: usize = 8;

/// Where a request is to go.
#[derive(Debug, PartialEq)]
enum Answer {
    /// No rule is for it: 404.
    NotFound,
    /// Nothing there: 503.
    Unavailable,
    Endpoints(BTreeSet<SocketAddr>),
    Outside(String),
}

pub(super) fn all(world: &World) -> Judgement {
    let ours = ours(world);
    for host in HOSTS {
        for path in PATHS {
            let wanted = answer(world, &ours, host, path);
            for node in &world.nodes {
                let found = asked(&node.plane.routes, host, path);
                if found != wanted {
                    let name = &node.name;
                    return Err(format!(
                        "{host}{path} on {name} leads to {found:?}, but {wanted:?}: {ours:?}"
                    ));
                }
            }
        }
    }
    certificates(world, &ours)?;
    ours.iter().try_for_each(|(key, ingress)| {
        match meta::get_list(ingress, &["status", "loadBalancer", "ingress"]).len() {
            1 => Ok(()),
            _ => Err(format!("{key} does not say where it is served: {}", ingress["status"])),
        }
    })
}

fn asked(table: &RouteTable, host: &str, path: &str) -> Answer {
    match table.decide(host, path) {
        Decision::NotFound => Answer::NotFound,
        Decision::Backend(route) => match &route.backend.target {
            Target::Endpoints(all) => Answer::Endpoints(all.iter().copied().collect()),
            Target::External { name, .. } => Answer::Outside(name.to_string()),
            Target::Unavailable(_) => Answer::Unavailable,
        },
    }
}

/// The Ingresses of our class or of none, the oldest first.
fn ours(world: &World) -> Vec<(&Key, &Value)> {
    let all = world.api.all(&resource("ingresses")).map(|(key, ingress)| (key, &***ingress));
    let is_ours =
        |ingress: &Value| matches!(meta::get_str(ingress, &["spec", "ingressClassName"]), "" | "kelson");
    let mut ours: Vec<(&Key, &Value)> = all.filter(|(_, ingress)| is_ours(ingress)).collect();
    ours.sort_by_key(|(key, ingress)| (meta::get_str(ingress, &["metadata", "creationTimestamp"]), *key));
    ours
}

/// The hosts of a rule that match, the closest first.
fn patterns(host: &str) -> Vec<String> {
    let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    [Some(host.to_owned()).filter(|host| !host.is_empty()), parent, Some(String::new())]
        .into_iter()
        .flatten()
        .collect()
}

fn answer(world: &World, ours: &[(&Key, &Value)], host: &str, path: &str) -> Answer {
    let by_rule = || patterns(host).into_iter().find_map(|pattern| by_path(ours, &pattern, path));
    let by_host = || patterns(host).into_iter().find_map(|pattern| default_of(ours, &pattern));
    let by_default = || ours.iter().find_map(|(key, ingress)| defaults(key, ingress));
    match by_rule().or_else(by_host).or_else(by_default) {
        None => Answer::NotFound,
        Some((namespace, backend)) => backends(world, namespace, backend),
    }
}

type Found<'a> = (&'a str, &'a Value);

/// Of all paths that match the longest, the exact before the prefix, the older Ingress's before the younger's.
fn by_path<'a>(ours: &[(&'a Key, &'a Value)], pattern: &str, path: &str) -> Option<Found<'a>> {
    let mut best: Option<((bool, usize), Found<'a>)> = None;
    for (key, ingress) in ours {
        for rule in rules(ingress).filter(|rule| rule["host"].as_str().unwrap_or_default() == pattern) {
            for one in rule["http"]["paths"].as_array().into_iter().flatten() {
                let weight = weight(one, path);
                if weight.is_some_and(|weight| best.as_ref().is_none_or(|(best, _)| weight > *best)) {
                    best = weight.map(|weight| (weight, (key.namespace.as_str(), &one["backend"])));
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

fn rules(ingress: &Value) -> impl Iterator<Item = &Value> {
    ingress["spec"]["rules"].as_array().into_iter().flatten()
}

/// How closely a rule's path matches, if it does: exactly, or by so many elements.
fn weight(rule: &Value, path: &str) -> Option<(bool, usize)> {
    let wanted = rule["path"].as_str().unwrap_or_default();
    if rule["pathType"] == "Exact" {
        return (wanted == path).then_some((true, 0));
    }
    let elements = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let (wanted, path): (Vec<String>, Vec<String>) = (elements(wanted), elements(path));
    path.starts_with(&wanted).then_some((false, wanted.len()))
}

fn defaults<'a>(key: &'a Key, ingress: &'a Value) -> Option<Found<'a>> {
    let backend = &ingress["spec"]["defaultBackend"];
    (!backend.is_null()).then_some((key.namespace.as_str(), backend))
}

/// The default backend of the oldest Ingress that has one and names the host.
fn default_of<'a>(ours: &[(&'a Key, &'a Value)], pattern: &str) -> Option<Found<'a>> {
    let names = |ingress: &Value| rules(ingress).any(|rule| rule["host"] == pattern && !pattern.is_empty());
    ours.iter().filter(|(_, ingress)| names(ingress)).find_map(|(key, ingress)| defaults(key, ingress))
}

fn backends(world: &World, namespace: &str, backend: &Value) -> Answer {
    let name = backend["service"]["name"].as_str().unwrap_or_default();
    let port = &backend["service"]["port"];
    let mut key = Key::new(namespace, name);
    for _ in 0..ALIASES {
        let Some((key_there, service)) =
            world.api.all(&resource("services")).find(|(there, _)| **there == key)
        else {
            return Answer::Unavailable;
        };
        if meta::get_str(service, &["spec", "type"]) != "ExternalName" {
            let known = port["name"] == "http" || port["number"] == 80;
            let found = Expected::of(world, key_there, service).backends;
            return if known && !found.is_empty() { Answer::Endpoints(found) } else { Answer::Unavailable };
        }
        let alias = meta::get_str(service, &["spec", "externalName"]);
        let Some(inside) = alias.strip_suffix(".svc.cluster.local") else {
            // A name outside has no ports by name.
            let by_number = port["number"].is_u64();
            return if by_number { Answer::Outside(alias.to_owned()) } else { Answer::Unavailable };
        };
        let (name, namespace) = inside.split_once('.').unwrap_or((inside, ""));
        key = Key::new(namespace, name);
    }
    Answer::Unavailable
}

/// A client is shown the certificate of the oldest Ingress that has one for its host.
fn certificates(world: &World, ours: &[(&Key, &Value)]) -> Judgement {
    for host in HOSTS.into_iter().filter(|host| !host.is_empty()) {
        let named = |pattern: &String| {
            let tls = ours.iter().flat_map(|(key, ingress)| {
                let all = ingress["spec"]["tls"].as_array().into_iter().flatten();
                all.map(move |tls| (key, tls))
            });
            tls.filter(|(_, tls)| tls["hosts"][0] == pattern.as_str())
                .map(|(key, tls)| {
                    (key.namespace.clone(), tls["secretName"].as_str().unwrap_or_default().to_owned())
                })
                .next()
        };
        let wanted = patterns(host).iter().find_map(named);
        for node in &world.nodes {
            let shown = node.plane.routes.certificate(host);
            let shown = shown.map(|secret| (secret.namespace.to_string(), secret.name.to_string()));
            if shown != wanted {
                return Err(format!("{host} on {} is shown {shown:?}, but {wanted:?}", node.name));
            }
        }
    }
    Ok(())
}
