//! Which form the client wants its answer in, from `Accept`.
//!
//! Chooses the first form listed that we can produce, as upstream does. Never looks at the object.

use kelson_machinery::status::Status;

/// The media types we produce, for the refusal's text.
pub(crate) const PRODUCED: [&str; 2] = ["application/json", "application/yaml"];
/// Media ranges looked at in one `Accept` header.
const RANGES_MAX: usize = 32;

/// How objects are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    /// As they are.
    #[default]
    Whole,
    /// As rows of a `meta.k8s.io` Table of this version.
    Table(MetaVersion),
    /// As `PartialObjectMetadata` (or its list) of this version.
    Metadata(MetaVersion),
}

/// A version of the group `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    /// The `apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    #[default]
    Json,
    Yaml,
}

/// What was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Accept {
    pub shape: Shape,
    pub encoding: Encoding,
}

/// One media range: type, and its parameters in lower-cased names.
pub(crate) struct Range<'a> {
    pub media: &'a str,
    pub parameters: Vec<(&'a str, &'a str)>,
}

impl Range<'_> {
    /// A parameter's value; empty when missing.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}

/// The media ranges of an `Accept` header, in the client's order.
pub(crate) fn ranges(header: &str) -> impl Iterator<Item = Range<'_>> {
    header.split(',').take(RANGES_MAX).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(k, v)| (k.trim(), v.trim().trim_matches('"')));
        Range { media, parameters: parameters.collect() }
    })
}

impl Accept {
    /// Chooses from an `Accept` header; a missing one accepts everything. Refuses with upstream's 406.
    pub fn negotiate(header: Option<&str>) -> Result<Self, Status> {
        match header.map(str::trim) {
            None | Some("") => Ok(Self::default()),
            Some(header) => ranges(header).find_map(|range| choose(&range)).ok_or_else(refusal),
        }
    }

    /// As [`Self::negotiate`] for answers that have one shape only (subresources, discovery).
    pub fn plain(self) -> Result<Self, Status> {
        if self.shape == Shape::Whole { Ok(self) } else { Err(refusal()) }
    }
}

fn refusal() -> Status {
    Status::not_acceptable(&PRODUCED)
}

fn choose(range: &Range<'_>) -> Option<Accept> {
    let encoding = match range.media {
        "*/*" | "application/*" | "application/json" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let version = match (range.parameter("g"), range.parameter("v")) {
        ("", "") => None,
        ("meta.k8s.io", "v1") => Some(MetaVersion::V1),
        ("meta.k8s.io", "v1beta1") => Some(MetaVersion::V1Beta1),
        _ => return None,
    };
    let shape = match (range.parameter("as"), version) {
        ("", None) => Shape::Whole,
        ("Table", Some(version)) => Shape::Table(version),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", Some(version)) => Shape::Metadata(version),
        _ => return None,
    };
    Some(Accept { shape, encoding })
}

#[cfg(test)]
mod tests;
