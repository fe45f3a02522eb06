//! Image references and pull policies.
//!
//! Decides whether an image has to be pulled; never pulls. The grammar is the distribution reference's, checked by hand.

use k8s_openapi::api::core::v1::Container;

use crate::reports::ImageFacts;

/// Longest name of a repository, its registry included.
const NAME_MAX: usize = 255;

/// What the pull policy makes of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It was pulled for this run.
    Pulled,
    /// It is there and need not be pulled.
    Present,
    /// It has to be pulled first.
    Pull,
    /// It is not there and may not be pulled.
    MayNotPull(String),
    /// Its name cannot be read.
    Invalid(String),
}

/// Policy Always asks the registry for what may be newer; what was imported by hand has no registry to ask.
pub(crate) fn verdict(container: &Container, facts: Option<&ImageFacts>, pulled: bool) -> Verdict {
    let image = container.image.as_deref().unwrap_or_default();
    if let Err(why) = check(image) {
        let why = format!("couldn't parse image name \"{image}\": {why}");
        return Verdict::Invalid(format!("Failed to apply default image tag \"{image}\": {why}"));
    }
    match (policy(container), facts) {
        _ if pulled => Verdict::Pulled,
        ("Always", Some(facts)) if facts.imported => Verdict::Present,
        ("Always", _) | ("IfNotPresent", None) => Verdict::Pull,
        (_, Some(_)) => Verdict::Present,
        (_, None) => Verdict::MayNotPull(format!(
            "Container image \"{image}\" is not present with pull policy of Never"
        )),
    }
}

/// The container's pull policy; Always for `latest` and for no tag at all, as the API server defaults it.
fn policy(container: &Container) -> &str {
    let image = container.image.as_deref().unwrap_or_default();
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let tag = split_tag(name).1;
    match container.image_pull_policy.as_deref().filter(|policy| !policy.is_empty()) {
        Some(policy) => policy,
        None if digest.is_none() && tag.is_none_or(|tag| tag == "latest") => "Always",
        None => "IfNotPresent",
    }
}

/// A name and what follows its last colon, unless that colon belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag)),
        _ => (name, None),
    }
}

/// Whether `image` is a reference (`[registry[:port]/]path[:tag][@digest]`); the error is the reference library's text.
pub fn check(image: &str) -> Result<(), String> {
    const FORMAT: &str = "invalid reference format";
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let (name, tag) = split_tag(named);
    if name.len() > NAME_MAX {
        return Err("repository name must not be more than 255 characters".to_owned());
    }
    if image.len() == 64 && image.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(format!("invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"));
    }
    let (of_registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (true, rest),
        _ => (false, name),
    };
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let library = if of_registry || path.contains('/') { "" } else { "library/" };
        return Err(format!("invalid reference format: repository name ({library}{path}) must be lowercase"));
    }
    let fine = path.split('/').all(is_component) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    if fine { Ok(()) } else { Err(FORMAT.to_owned()) }
}

/// Whether the first part of a name is a host rather than a path component.
fn is_registry(first: &str) -> bool {
    let (host, port) = first.rsplit_once(':').map_or((first, None), |(host, port)| (host, Some(port)));
    let telling = first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|byte| byte.is_ascii_uppercase());
    let named = host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let literal = host.starts_with('[') && host.ends_with(']');
    telling
        && (named || literal)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (bytes, mut separator) = (component.as_bytes(), String::new());
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
    if !ends(bytes.first()) || !ends(bytes.last()) {
        return false;
    }
    for byte in bytes {
        match alphanumeric(*byte) {
            true if matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|it| it == b'-') =>
            {
                separator.clear()
            }
            true => return false,
            false => separator.push(char::from(*byte)),
        }
    }
    true
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    algorithm.starts_with(|first: char| first.is_ascii_alphabetic())
        && algorithm
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-' | b'_'))
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}
