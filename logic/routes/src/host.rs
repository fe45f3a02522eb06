//! Hosts: what a client calls the site, and what a rule says about it (spec G1.2, G2.2, G2.3).
//!
//! Invariant: exact before wildcard before every host. Names are compared in lower case without port or final dot.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The host a client named, as rules are compared with: no port, lower case, no final dot. Whatever is passed comes back
/// as something; nonsense simply matches no rule but those for every host.
pub fn normalize(host: &str) -> Cow<'_, str> {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// `host` without `:port`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match (host.strip_prefix('['), host.split_once(':')) {
        (Some(inner), _) => inner.find(']').map_or(host, |end| &host[..end + 2]),
        (None, Some((name, _))) => name,
        (None, None) => host,
    }
}

/// What a rule says about hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostPattern {
    /// Every host.
    Any,
    /// This one.
    Exact(Box<str>),
    /// One label followed by a dot and this.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Parses `host` of a rule or a TLS section; `None` when it can match nothing.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        let host = normalize(host);
        match host.strip_prefix("*.") {
            _ if host.is_empty() => Some(Self::Any),
            Some(parent) if parent.is_empty() || parent.contains('*') => None,
            Some(parent) => Some(Self::Wildcard(parent.into())),
            None if host.contains('*') => None,
            None => Some(Self::Exact(host.into())),
        }
    }
}

/// Something for each host pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostMap<T> {
    exact: BTreeMap<Box<str>, T>,
    wildcard: BTreeMap<Box<str>, T>,
    any: Option<T>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), wildcard: BTreeMap::new(), any: None }
    }
}

impl<T> HostMap<T> {
    /// What is kept for `pattern`, made by `default` when there is nothing yet.
    pub(crate) fn entry(&mut self, pattern: HostPattern, default: impl FnOnce() -> T) -> &mut T {
        match pattern {
            HostPattern::Any => self.any.get_or_insert_with(default),
            HostPattern::Exact(host) => self.exact.entry(host).or_insert_with(default),
            HostPattern::Wildcard(parent) => self.wildcard.entry(parent).or_insert_with(default),
        }
    }

    /// What is kept for the patterns that match `host`, which is normalized: the most specific first.
    pub(crate) fn matching<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        [self.exact.get(host), wildcard, self.any.as_ref()].into_iter().flatten()
    }

    /// Everything that is kept.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.wildcard.values()).chain(&self.any)
    }
}

#[cfg(test)]
mod tests;
