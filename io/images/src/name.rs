//! Image names: what people write, and the full name it stands for.
//!
//! `nginx` is `docker.io/library/nginx:latest`. The rules are those of the distribution project's reference grammar,
//! which Docker, containerd and Kubernetes share. Pure; linear in the input.

use std::fmt;

use crate::NameError;

/// The longest name taken, bytes.
const NAME_BYTES_MAX: usize = 4096;
/// The longest repository, registry included (the grammar's bound).
const REPOSITORY_BYTES_MAX: usize = 255;
/// The longest tag (the grammar's bound).
const TAG_BYTES_MAX: usize = 128;

/// A full image name. Parsing is the only way to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// `docker.io`, `localhost:5000`.
    pub registry: String,
    /// `library/nginx`.
    pub repository: String,
    /// `latest`; `None` when only a digest was given.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

/// The full name of what people write: `nginx:1.14.2` → `docker.io/library/nginx:1.14.2`.
pub fn normalize(name: &str) -> Result<String, NameError> {
    Name::parse(name).map(|name| name.to_string())
}

impl Name {
    /// Parses what people write.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Format { name: text.chars().take(NAME_BYTES_MAX).collect() };
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(bad());
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (path, tag) = split_tag(rest);
        let (registry, repository) = split_registry(path);
        if repository.chars().any(|c| c.is_ascii_uppercase())
            && is_repository(&repository.to_ascii_lowercase())
        {
            return Err(NameError::Uppercase { name: text.to_owned(), repository });
        }
        let good = is_registry(&registry)
            && is_repository(&repository)
            && registry.len() + 1 + repository.len() <= REPOSITORY_BYTES_MAX
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !good {
            return Err(bad());
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_owned);
        Ok(Self { registry, repository, tag, digest: digest.map(str::to_owned) })
    }

    /// `docker.io/library/nginx`.
    pub fn locator(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name by digest: `docker.io/library/nginx@sha256:…`.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}@{digest}", self.locator())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        // A digest says it all: a tag beside it names nothing more.
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(f, "@{digest}"),
            (None, Some(tag)) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// A colon behind the last slash starts the tag; one before it belongs to the registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last..].find(':') {
        Some(colon) => (&text[..last + colon], Some(&text[last + colon + 1..])),
        None => (text, None),
    }
}

fn split_registry(path: &str) -> (String, String) {
    let (registry, repository) = match path.split_once('/') {
        Some((first, rest)) if looks_like_registry(first) => (first, rest),
        _ => ("docker.io", path),
    };
    let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
    match registry == "docker.io" && !repository.contains('/') {
        true => (registry.to_owned(), format!("library/{repository}")),
        false => (registry.to_owned(), repository.to_owned()),
    }
}

fn looks_like_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

/// A host name or address, optionally with a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good_host = match bracketed {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => host.split('.').all(is_host_label),
    };
    good_host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host_label(label: &str) -> bool {
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = label.as_bytes();
    outer(bytes.first())
        && outer(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn is_repository(text: &str) -> bool {
    text.split('/').all(is_component)
}

/// Lower-case letters and digits, separated by one dot, one or two underscores or any number of dashes.
fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = |separator: &str| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    };
    alphanumeric(*first) && alphanumeric(*last) && separators.into_iter().all(good)
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= TAG_BYTES_MAX
        && bytes.first().is_some_and(|first| word(*first))
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

/// `sha256:` and 64 digits (or `sha512:` and 128).
pub(crate) fn is_digest(text: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match text.split_once(':') {
        Some(("sha256", digits)) => digits.len() == 64 && hex(digits),
        Some(("sha512", digits)) => digits.len() == 128 && hex(digits),
        _ => false,
    }
}
