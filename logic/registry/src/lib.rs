//! The kinds of the API, each declared once: names, defaults, validation, allocation, old versions, printed columns.
//!
//! Where it stands: above `machinery`, below `io/apiserver`, which asks `resolve` for what a path names and passes every
//! write through the `Kind`'s functions. Pure: no clock, no randomness, no other object than those passed in.

pub mod allocate;
mod base;
mod cells;
pub mod decode;
mod ip;
pub mod kind;
mod kinds;
mod merge;
mod metadata;
mod older;
mod pod_spec;
mod printed;
mod rbac;
mod resource_names;
pub mod scale;
pub mod schema;
mod storage;
mod strategy;
mod walk;
mod workload;

pub use decode::{DecodeError, Decoded};
pub use kind::{Column, Kind, OlderVersion, Subresource};
pub use kinds::ephemeral;
pub use pod_spec::qos;

/// Every kind, in the order discovery lists them within their groups.
pub fn kinds() -> &'static [&'static Kind] {
    kinds::ALL
}

/// What `/apis/<group>/<version>/…/<plural>` names; the older version when the path names one.
pub fn resolve(
    group: &str,
    version: &str,
    plural: &str,
) -> Option<(&'static Kind, Option<&'static OlderVersion>)> {
    find(group, version, |kind| kind.plural == plural)
}

/// What `apiVersion` and `kind` of a document name.
pub fn by_kind(
    group: &str,
    version: &str,
    kind: &str,
) -> Option<(&'static Kind, Option<&'static OlderVersion>)> {
    find(group, version, |candidate| candidate.kind == kind)
}

fn find(
    group: &str,
    version: &str,
    matches: impl Fn(&Kind) -> bool,
) -> Option<(&'static Kind, Option<&'static OlderVersion>)> {
    kinds().iter().copied().filter(|kind| matches(kind)).find_map(|kind| {
        if (kind.group, kind.version) == (group, version) {
            return Some((kind, None));
        }
        let older = kind.older.iter().find(|older| (older.group, older.version) == (group, version))?;
        Some((kind, Some(older)))
    })
}

#[cfg(test)]
mod tests;
