//! OCI image layouts in a tar: `index.json` points to manifests, everything else is in `blobs/`.

use serde::Deserialize;

use super::{Archive, chosen};
use crate::blob::digest;
use crate::catalogue::Image;
use crate::config::architecture;
use crate::error::{ImageError, Result};
use crate::images::{Images, ImportOptions};
use crate::name::{Name, is_digest};

/// How many indexes may be nested in one another.
const NESTING_MAX: usize = 4;

/// An index: manifests, or further indexes.
#[derive(Debug, Deserialize)]
pub struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    annotations: Option<Annotations>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Default, Deserialize)]
struct Annotations {
    #[serde(rename = "io.containerd.image.name")]
    image_name: Option<String>,
    #[serde(rename = "org.opencontainers.image.ref.name")]
    reference: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// The archive's index; `None` if it has none.
pub fn index(archive: &Archive) -> Result<Option<Index>> {
    if !(archive.files.contains_key("index.json") && archive.files.contains_key("oci-layout")) {
        return Ok(None);
    }
    let bytes = archive.description("index.json")?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| archive.broken(&format!("its index.json: {error}")))
}

/// Imports every image for this platform. A name given by the user is the first one's.
pub fn import(
    images: &Images,
    archive: &Archive,
    index: &Index,
    options: &ImportOptions,
) -> Result<Vec<Image>> {
    let mut chosen = chosen(options)?;
    let mut imported = Vec::new();
    for descriptor in index.manifests.iter().filter(|descriptor| descriptor.fits()) {
        let Some(manifest) = manifest(archive, descriptor, NESTING_MAX)? else { continue };
        let mut names = descriptor.name().into_iter().collect::<Vec<_>>();
        names.extend(chosen.take().filter(|chosen| !names.contains(chosen)));
        if names.is_empty() {
            names.push(archive.made_up_name()?);
        }
        let config = blob(archive, &manifest.config)?;
        let layers: Vec<String> = manifest.layers.iter().map(Descriptor::path).collect();
        imported.push(archive.add(images, &config, &layers, names)?);
    }
    match imported.is_empty() {
        true => Err(archive.broken(&format!("it has no image for linux/{}", architecture()))),
        false => Ok(imported),
    }
}

/// The manifest a descriptor leads to, through indexes if need be.
fn manifest(archive: &Archive, descriptor: &Descriptor, nesting: usize) -> Result<Option<Manifest>> {
    let bytes = blob(archive, descriptor)?;
    let is_index = descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list");
    if !is_index {
        let parsed = serde_json::from_slice(&bytes);
        return parsed
            .map(Some)
            .map_err(|error| archive.broken(&format!("manifest {}: {error}", descriptor.digest)));
    }
    let Some(nesting) = nesting.checked_sub(1) else {
        return Err(archive.broken("its indexes are nested too deep"));
    };
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|error| archive.broken(&format!("index {}: {error}", descriptor.digest)))?;
    match index.manifests.iter().find(|inner| inner.fits()) {
        Some(inner) => manifest(archive, inner, nesting),
        None => Ok(None),
    }
}

/// A description, proved by its digest.
fn blob(archive: &Archive, descriptor: &Descriptor) -> Result<Vec<u8>> {
    if !is_digest(&descriptor.digest) {
        return Err(archive.broken(&format!("{:?} is no digest", descriptor.digest)));
    }
    let bytes = archive.description(&descriptor.path())?;
    let found = digest(&bytes);
    match descriptor.digest.starts_with("sha256:") && found != descriptor.digest {
        true => {
            Err(ImageError::Digest { what: descriptor.path(), found, expected: descriptor.digest.clone() })
        }
        false => Ok(bytes),
    }
}

impl Descriptor {
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }

    /// Whether it is for this platform, or does not say.
    fn fits(&self) -> bool {
        let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture();
        self.platform.as_ref().is_none_or(fits)
    }

    /// The full name its annotations give it. A bare tag names nothing.
    fn name(&self) -> Option<String> {
        let annotations = self.annotations.as_ref()?;
        let full = annotations
            .image_name
            .as_deref()
            .or(annotations.reference.as_deref().filter(|name| name.contains(['/', ':'])))?;
        Name::parse(full).ok().map(|name| name.to_string())
    }
}
