//! One rule of a role, and whether it allows a request.
//!
//! Matching is upstream's to the letter: `*` alone matches all, `*/sub` matches a subresource of anything, `pods` never
//! matches `pods/log`, and a path ending in `*` matches what begins like it.

use std::fmt;

use kelson_machinery::Object;
use kelson_machinery::status::Attempt;
use kelson_machinery::text::quote;
use serde::{Deserialize, Serialize};

const ALL: &str = "*";

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "nonResourceURLs", deserialize_with = "lenient")]
    pub non_resource_urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub resource_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub resources: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub verbs: Vec<String>,
}

/// A list that may be null.
fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The rules of a Role or ClusterRole; one that cannot be read allows nothing.
pub fn rules_of(role: &Object) -> Vec<Rule> {
    let rules = role["rules"].as_array().map_or(&[][..], Vec::as_slice);
    rules.iter().filter_map(|rule| Rule::deserialize(rule).ok()).collect()
}

impl Rule {
    /// A rule on resources; words are separated by spaces, groups given whole since one of them is empty.
    pub fn on(verbs: &str, groups: &[&str], resources: &str) -> Self {
        let mut rule = Self { api_groups: owned(groups), resources: words(resources), ..Self::default() };
        rule.verbs = words(verbs);
        rule.sorted()
    }

    /// A rule on paths that are no resource's.
    pub fn paths(verbs: &str, paths: &str) -> Self {
        Self { non_resource_urls: words(paths), verbs: words(verbs), ..Self::default() }.sorted()
    }

    /// The same for objects of these names alone.
    pub fn named(self, names: &str) -> Self {
        Self { resource_names: words(names), ..self }.sorted()
    }

    fn sorted(mut self) -> Self {
        for list in [&mut self.api_groups, &mut self.resources, &mut self.verbs, &mut self.resource_names] {
            list.sort();
        }
        self.non_resource_urls.sort();
        self
    }

    /// Whether this rule allows the request; whose it is does not count here.
    pub fn allows(&self, attempt: &Attempt<'_>) -> bool {
        if !has_or_all(&self.verbs, attempt.verb) {
            return false;
        }
        if attempt.resource.is_empty() {
            return self.non_resource_urls.iter().any(|own| path_covers(own, attempt.path));
        }
        has_or_all(&self.api_groups, attempt.group)
            && self.resources.iter().any(|own| resource_matches(own, attempt.resource, attempt.subresource))
            && (self.resource_names.is_empty() || has(&self.resource_names, attempt.name))
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn has(list: &[String], word: &str) -> bool {
    list.iter().any(|own| own == word)
}

/// Whether a list names a word, or everything.
pub(crate) fn has_or_all(list: &[String], word: &str) -> bool {
    list.iter().any(|own| own == ALL || own == word)
}

/// Whether a resource of a rule is this one. Nothing is put together for it: this runs for every rule of every request.
fn resource_matches(own: &str, resource: &str, subresource: &str) -> bool {
    if own == ALL {
        return true;
    }
    match (own.split_once('/'), subresource.is_empty()) {
        (None, true) => own == resource,
        (Some((parent, below)), false) => below == subresource && (parent == ALL || parent == resource),
        _ => false,
    }
}

/// Whether a path of a rule covers this one.
pub(crate) fn path_covers(own: &str, path: &str) -> bool {
    own == path || own.ends_with('*') && path.starts_with(own.trim_end_matches('*'))
}

/// As upstream's escalation messages write it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let said = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| {
            let quoted: Vec<String> = list.iter().map(|word| quote(word)).collect();
            format!("{name}:[{}]", quoted.join(" "))
        });
        write!(f, "{{{}}}", said.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests;
