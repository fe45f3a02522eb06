//! `docker save`: a `manifest.json` that lists images, each with its configuration, names and layers.

use serde::Deserialize;

use super::{Archive, chosen};
use crate::catalogue::Image;
use crate::error::Result;
use crate::images::{Images, ImportOptions};
use crate::name::Name;

/// One image of the archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Manifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What the archive lists; `None` if it is none of these. A root file system may hold a `manifest.json` of its own.
pub fn manifests(archive: &Archive) -> Result<Option<Vec<Manifest>>> {
    if !archive.files.contains_key("manifest.json") {
        return Ok(None);
    }
    let bytes = archive.description("manifest.json")?;
    let found: Vec<Manifest> = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(if found.is_empty() { None } else { Some(found) })
}

/// Imports them all. A name given by the user is the first one's.
pub fn import(
    images: &Images,
    archive: &Archive,
    manifests: &[Manifest],
    options: &ImportOptions,
) -> Result<Vec<Image>> {
    let mut chosen = chosen(options)?;
    let mut imported = Vec::new();
    for manifest in manifests {
        let mut names = Vec::new();
        for tag in manifest.repo_tags.iter().flatten() {
            names.push(Name::parse(tag)?.to_string());
        }
        names.extend(chosen.take().filter(|chosen| !names.contains(chosen)));
        if names.is_empty() {
            names.push(archive.made_up_name()?);
        }
        let config = archive.description(&manifest.config)?;
        imported.push(archive.add(images, &config, &manifest.layers, names)?);
    }
    Ok(imported)
}
