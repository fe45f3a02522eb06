//! Paths: one spelling for each (RFC 3986 §6.2.2), and which rule is for a path (spec G2.4, G2.5, G2.6).
//!
//! Invariant: `/a/../b` and `/%62` are matched as `/b`, so that no spelling slips past a rule. `%2F` stays what it is, a
//! byte within an element; nothing here changes what the backend is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// `path` in its one spelling: unreserved characters unescaped, other escapes in upper case, `.` and `..` resolved. What
/// does not begin with `/` comes back as it is.
pub fn normalize(path: &str) -> Cow<'_, str> {
    if !path.starts_with('/') {
        return Cow::Borrowed(path);
    }
    let unescaped = match path.contains('%') {
        true => Cow::Owned(unescape(path)),
        false => Cow::Borrowed(path),
    };
    match unescaped.contains("/.") {
        true => Cow::Owned(resolve_dots(&unescaped)),
        false => unescaped,
    }
}

fn unescape(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let escape = rest.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match escape.map(|digits| (digits, u8::from_str_radix(digits, 16).map(char::from))) {
            Some((_, Ok(c))) if is_unreserved(c) => plain.push(c),
            Some((digits, _)) => {
                plain.push('%');
                plain.push_str(&digits.to_ascii_uppercase());
            }
            None => plain.push('%'),
        }
        rest = &rest[at + 1 + escape.map_or(0, str::len)..];
    }
    plain.push_str(rest);
    plain
}

fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

/// Resolves `.` and `..`; above the root is the root.
fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut elements = path.split('/').skip(1).peekable();
    while let Some(element) = elements.next() {
        match element {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(element);
                continue;
            }
        }
        if elements.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Something for each path of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathMap<T> {
    exact: BTreeMap<Box<str>, T>,
    /// By prefix without its final `/`; the root is empty.
    prefix: BTreeMap<Box<str>, T>,
    /// Elements of the deepest prefix: how far a path is looked at.
    depth: usize,
}

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), prefix: BTreeMap::new(), depth: 0 }
    }
}

impl<T> PathMap<T> {
    /// Keeps `value` for exactly `path`; `false` when there is something already.
    pub(crate) fn insert_exact(&mut self, path: &str, value: T) -> bool {
        insert_new(&mut self.exact, &normalize(path), value)
    }

    /// Keeps `value` for `path` and what is below it; `false` when there is something already.
    pub(crate) fn insert_prefix(&mut self, path: &str, value: T) -> bool {
        let path = normalize(path);
        let prefix = path.strip_suffix('/').unwrap_or(&path);
        self.depth = self.depth.max(prefix.matches('/').count());
        insert_new(&mut self.prefix, prefix, value)
    }

    /// What is kept for `path`, which is normalized: an exact match, else the longest prefix by elements.
    pub(crate) fn find(&self, path: &str) -> Option<&T> {
        self.exact.get(path).or_else(|| self.longest_prefix(path))
    }

    fn longest_prefix(&self, path: &str) -> Option<&T> {
        if !path.starts_with('/') {
            return None;
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.take(self.depth + 1).filter_map(|end| self.prefix.get(&path[..end])).last()
    }
}

fn insert_new<T>(map: &mut BTreeMap<Box<str>, T>, key: &str, value: T) -> bool {
    let is_new = !map.contains_key(key);
    if is_new {
        map.insert(key.into(), value);
    }
    is_new
}

#[cfg(test)]
mod tests;
