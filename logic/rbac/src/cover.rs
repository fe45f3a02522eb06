//! Whether somebody's rules cover others, so that nobody grants what they do not have; and what to say if not.
//!
//! The granted rules are taken apart until each allows one thing; that thing must be covered by one rule of the granter.

use std::collections::{BTreeMap, BTreeSet};

use kelson_machinery::text::quote;

use crate::rule::{Rule, has_or_all, path_covers};
use crate::subject::Who;

/// What of `granted` the rules of `held` do not cover, taken apart. Empty: all is covered.
pub fn missing(held: &[Rule], granted: &[Rule]) -> Vec<Rule> {
    let parts = granted.iter().flat_map(parts);
    parts.filter(|part| !held.iter().any(|own| covers(own, part))).collect()
}

/// Upstream's words for an attempt to grant what one does not have; `problems` are roles that could not be found.
pub fn say_missing(who: Who<'_>, missing: &[Rule], problems: &[String]) -> String {
    let groups: Vec<String> = who.groups.iter().map(|group| quote(group)).collect();
    let lines: BTreeSet<String> = compact(missing).iter().map(Rule::to_string).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let mut said = format!(
        "user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        quote(who.name),
        groups.join(" "),
        lines.join("\n")
    );
    if !problems.is_empty() {
        said += &format!("; resolution errors: [{}]", problems.join(" "));
    }
    said
}

/// Rules of one verb on one resource or path, which together are this one.
fn parts(rule: &Rule) -> Vec<Rule> {
    let mut parts = Vec::new();
    for (group, resource) in pairs(&rule.api_groups, &rule.resources) {
        for verb in &rule.verbs {
            let one = Rule {
                api_groups: vec![group.clone()],
                resources: vec![resource.clone()],
                verbs: vec![verb.clone()],
                ..Rule::default()
            };
            match rule.resource_names.as_slice() {
                [] => parts.push(one),
                names => parts.extend(
                    names.iter().map(|name| Rule { resource_names: vec![name.clone()], ..one.clone() }),
                ),
            }
        }
    }
    for (path, verb) in pairs(&rule.non_resource_urls, &rule.verbs) {
        let (non_resource_urls, verbs) = (vec![path.clone()], vec![verb.clone()]);
        parts.push(Rule { non_resource_urls, verbs, ..Rule::default() });
    }
    parts
}

fn pairs<'a>(left: &'a [String], right: &'a [String]) -> impl Iterator<Item = (&'a String, &'a String)> {
    left.iter().flat_map(move |one| right.iter().map(move |other| (one, other)))
}

fn covers(own: &Rule, part: &Rule) -> bool {
    let all = |list: &[String], wanted: &[String]| wanted.iter().all(|word| has_or_all(list, word));
    let names = own.resource_names.is_empty()
        || !part.resource_names.is_empty()
            && part.resource_names.iter().all(|name| own.resource_names.contains(name));
    all(&own.verbs, &part.verbs)
        && all(&own.api_groups, &part.api_groups)
        && part.resources.iter().all(|resource| covers_resource(&own.resources, resource))
        && names
        && part
            .non_resource_urls
            .iter()
            .all(|path| own.non_resource_urls.iter().any(|own| path_covers(own, path)))
}

fn covers_resource(own: &[String], resource: &str) -> bool {
    has_or_all(own, resource)
        || resource
            .split_once('/')
            .is_some_and(|(_, below)| own.iter().any(|own| own.strip_prefix("*/") == Some(below)))
}

/// Parts on the same resource in one rule, as upstream shows them.
fn compact(parts: &[Rule]) -> Vec<Rule> {
    let mut simple: BTreeMap<(String, String), Rule> = BTreeMap::new();
    let mut compacted = Vec::new();
    for part in parts {
        match (part.api_groups.as_slice(), part.resources.as_slice()) {
            ([group], [resource]) if part.resource_names.is_empty() => {
                match simple.get_mut(&(group.clone(), resource.clone())) {
                    Some(known) => known.verbs.extend(part.verbs.iter().cloned()),
                    None => drop(simple.insert((group.clone(), resource.clone()), part.clone())),
                }
            }
            _ => compacted.push(part.clone()),
        }
    }
    compacted.extend(simple.into_values());
    compacted
}

#[cfg(test)]
mod tests;
