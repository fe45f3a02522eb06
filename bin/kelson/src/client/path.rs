//! From what a user writes (`pod`, `svc`, a manifest's kind) to the URL of the resource.

use anyhow::anyhow;
use kelson_machinery::Object;
use kelson_registry::Kind;

/// The kind a user means by a plural, singular or short name.
pub fn kind_called(name: &str) -> anyhow::Result<&'static Kind> {
    let wanted = name.to_ascii_lowercase();
    kelson_registry::kinds()
        .iter()
        .find(|kind| {
            kind.plural == wanted || kind.singular == wanted || kind.short_names.contains(&wanted.as_str())
        })
        .copied()
        .ok_or_else(|| anyhow!("the server doesn't have a resource type \"{name}\""))
}

/// The URL of the collection the manifest's object belongs to, in the version the manifest is written in, and the
/// name its kind goes by (`deployment.apps`).
pub fn collection_of(object: &Object, namespace: &str) -> anyhow::Result<(String, String)> {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind_name = object["kind"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (kind, _) = kelson_registry::by_kind(group, version, kind_name)
        .ok_or_else(|| anyhow!("no matches for kind \"{kind_name}\" in version \"{api_version}\""))?;
    let shown =
        if group.is_empty() { kind.singular.to_owned() } else { format!("{}.{group}", kind.singular) };
    Ok((collection(kind, group, version, namespace), shown))
}

/// The URL of a kind's collection in a namespace.
pub fn collection(kind: &Kind, group: &str, version: &str, namespace: &str) -> String {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    match kind.namespaced {
        true => format!("{root}/namespaces/{namespace}/{}", kind.plural),
        false => format!("{root}/{}", kind.plural),
    }
}
