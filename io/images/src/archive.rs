//! Archives as images: what `docker save` writes, an OCI layout in a tar, or the tar of a root file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use oci_spec::image::{
    ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder, ImageIndex, ImageManifest, RootFsBuilder,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tar::{Archive, EntryType};

use crate::error::file;
use crate::layer::{Layer, Layers};
use crate::{Image, ImageError, compression, digest, name};

/// Members of an archive that are read.
const MEMBERS_MAX: usize = 10_000;
/// Bytes of a manifest, index or configuration.
const JSON_BYTES_MAX: u64 = 8 << 20;
/// Names an OCI index may give its image.
const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// The name containerd and docker write, full.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Imports an archive of any of the three kinds.
pub fn import(layers: &Layers, path: &Path, name: Option<&str>) -> Result<Image, ImageError> {
    let archive = Members::extract(layers, path)?;
    if archive.has("manifest.json") {
        return archive.docker(layers, name);
    }
    if archive.has("index.json") && archive.has("oci-layout") {
        return archive.oci(layers, name);
    }
    let name =
        name.ok_or_else(|| archive.refused("a root file system has no name of its own; pass --name"))?;
    root_file_system(layers, path, name)
}

/// An image of one static executable at `/` with its own name.
pub fn import_binary(
    layers: &Layers,
    path: &Path,
    name: &str,
    arguments: &[String],
) -> Result<Image, ImageError> {
    let program = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.is_empty());
    let program = program.ok_or_else(|| refused(path, "its file name is not UTF-8"))?;
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let bytes = std::fs::read(path).map_err(file("read", path))?;
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_data(&mut header, program, bytes.as_slice()).map_err(file("read", path))?;
    let tar = builder.into_inner().map_err(file("read", path))?;
    let layer = layers.add(tar.as_slice(), None)?;
    let entrypoint = [vec![format!("/{program}")], arguments.to_vec()].concat();
    let config = ConfigBuilder::default().entrypoint(entrypoint).working_dir("/").build();
    image(config.expect("every field has a default"), vec![layer], name)
}

fn root_file_system(layers: &Layers, path: &Path, name: &str) -> Result<Image, ImageError> {
    let layer = layers.add(BufReader::new(File::open(path).map_err(file("open", path))?), None)?;
    let environment = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    let config = ConfigBuilder::default().cmd(vec!["/bin/sh".to_owned()]).env(environment).build();
    image(config.expect("every field has a default"), vec![layer], name)
}

/// An image with a configuration of our own making.
fn image(config: oci_spec::image::Config, layers: Vec<Layer>, name: &str) -> Result<Image, ImageError> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let root = RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build().expect("every field is set");
    let config =
        ImageConfigurationBuilder::default().config(config).rootfs(root).build().expect("every field is set");
    let id = digest::of(&serde_json::to_vec(&config).expect("a configuration serializes"));
    Ok(assemble(id, config, &layers, vec![name.to_owned()]))
}

/// Puts an image together from its parts.
pub fn assemble(id: String, config: ImageConfiguration, layers: &[Layer], names: Vec<String>) -> Image {
    Image {
        id,
        names,
        digests: Vec::new(),
        size: layers.iter().map(|layer| layer.size).sum(),
        layers: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
        config,
    }
}

/// The members of an archive, laid out aside under numbers, so that no name in it is ever a path of ours.
struct Members {
    archive: PathBuf,
    place: PathBuf,
    files: BTreeMap<String, PathBuf>,
    links: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct DockerManifest {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    names: Option<Vec<String>>,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

impl Members {
    /// Lays the archive's files out, unless it is no image archive: then none.
    fn extract(layers: &Layers, path: &Path) -> Result<Self, ImageError> {
        let place = layers.aside();
        std::fs::create_dir_all(&place).map_err(file("make", &place))?;
        let mut members =
            Self { archive: path.to_owned(), place, files: BTreeMap::new(), links: BTreeMap::new() };
        if members.is_image()? {
            members.lay_out()?;
        }
        Ok(members)
    }

    /// Whether a manifest or an index is among the members; a root file system has neither at its top.
    fn is_image(&self) -> Result<bool, ImageError> {
        let mut found = false;
        self.each(|name, _| {
            found |= name == "manifest.json" || name == "oci-layout";
            Ok(!found)
        })?;
        Ok(found)
    }

    fn lay_out(&mut self) -> Result<(), ImageError> {
        let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
        self.each(|name, entry| {
            if files.len() + links.len() >= MEMBERS_MAX {
                return Err(std::io::Error::other(format!("more than {MEMBERS_MAX} members")));
            }
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                let target = entry.link_name()?.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
                let from = if kind == EntryType::Symlink { parent_of(&name) } else { "" };
                links.insert(name.clone(), join(from, &target));
            } else if kind.is_file() {
                let path = self.place.join(files.len().to_string());
                std::io::copy(entry, &mut File::create(&path)?)?;
                files.insert(name, path);
            }
            Ok(true)
        })?;
        (self.files, self.links) = (files, links);
        Ok(())
    }

    /// Calls `visit` with every member's clean name until it has seen enough.
    fn each(
        &self,
        mut visit: impl FnMut(String, &mut dyn MemberRead) -> std::io::Result<bool>,
    ) -> Result<(), ImageError> {
        let damaged = |e: std::io::Error| self.refused(&format!("is no readable tar archive: {e}"));
        let opened = File::open(&self.archive).map_err(file("open", &self.archive))?;
        let mut archive = Archive::new(compression::plain(BufReader::new(opened)).map_err(damaged)?);
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = join("", &entry.path().map_err(damaged)?.to_string_lossy());
            if !visit(name, &mut entry).map_err(damaged)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn open(&self, name: &str) -> Result<BufReader<File>, ImageError> {
        let name = join("", name);
        let name = self.links.get(&name).unwrap_or(&name);
        let path = self.files.get(name).ok_or_else(|| self.refused(&format!("{name} is missing from it")))?;
        Ok(BufReader::new(File::open(path).map_err(file("open", path))?))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let unreadable = |e: std::io::Error| self.refused(&format!("{name}: {e}"));
        self.open(name)?.take(JSON_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > JSON_BYTES_MAX {
            return Err(self.refused(&format!("{name} is longer than {JSON_BYTES_MAX} bytes")));
        }
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, ImageError> {
        self.parse(name, &self.bytes(name)?)
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, ImageError> {
        serde_json::from_slice(bytes).map_err(|error| self.refused(&format!("{name}: {error}")))
    }

    fn docker(&self, layers: &Layers, rename: Option<&str>) -> Result<Image, ImageError> {
        let manifests: Vec<DockerManifest> = self.json("manifest.json")?;
        let [manifest] = manifests.as_slice() else {
            return Err(self.refused(&format!("it holds {} images; save them one by one", manifests.len())));
        };
        let named =
            manifest.names.iter().flatten().map(|n| name::normalize(n)).collect::<Result<Vec<_>, _>>()?;
        self.image(layers, &manifest.config, &manifest.layers, names(rename, named))
    }

    fn oci(&self, layers: &Layers, rename: Option<&str>) -> Result<Image, ImageError> {
        let mut index: ImageIndex = self.json("index.json")?;
        let mut named = Vec::new();
        // An index may lead to an index a platform; deeper nesting is nobody's.
        for _ in 0..3 {
            let descriptor =
                pick(&index).ok_or_else(|| self.refused("it holds no image for this machine"))?.clone();
            let annotation = |key| descriptor.annotations().as_ref().and_then(|a| a.get(key)).cloned();
            named.extend(annotation(CONTAINERD_NAME).or_else(|| annotation(REFERENCE)));
            let blob = blob_path(descriptor.digest().as_ref());
            if !descriptor.media_type().to_string().contains("index")
                && !descriptor.media_type().to_string().contains("list")
            {
                let manifest: ImageManifest =
                    self.parse(&blob, &self.verified(&blob, descriptor.digest().as_ref())?)?;
                let paths: Vec<String> =
                    manifest.layers().iter().map(|l| blob_path(l.digest().as_ref())).collect();
                let named = named.iter().filter_map(|n| name::normalize(n).ok()).collect();
                return self.image(
                    layers,
                    &blob_path(manifest.config().digest().as_ref()),
                    &paths,
                    names(rename, named),
                );
            }
            index = self.parse(&blob, &self.verified(&blob, descriptor.digest().as_ref())?)?;
        }
        Err(self.refused("its index leads nowhere"))
    }

    /// The bytes of a blob that are what its digest says.
    fn verified(&self, blob: &str, expected: &str) -> Result<Vec<u8>, ImageError> {
        let bytes = self.bytes(blob)?;
        let found = digest::of(&bytes);
        if found != expected {
            return Err(ImageError::Digest { what: blob.to_owned(), found, expected: expected.to_owned() });
        }
        Ok(bytes)
    }

    fn image(
        &self,
        layers: &Layers,
        config: &str,
        paths: &[String],
        names: Vec<String>,
    ) -> Result<Image, ImageError> {
        if names.is_empty() {
            return Err(self.refused("it names no image; pass --name"));
        }
        let bytes = self.bytes(config)?;
        let parsed: ImageConfiguration = self.parse(config, &bytes)?;
        let diff_ids = parsed.rootfs().diff_ids().clone();
        if diff_ids.len() != paths.len() {
            return Err(self.refused(&format!(
                "it lists {} layers, its configuration {}",
                paths.len(),
                diff_ids.len()
            )));
        }
        let mut added = Vec::new();
        for (path, diff_id) in paths.iter().zip(&diff_ids) {
            added.push(match layers.have(diff_id) {
                Some(layer) => layer,
                None => layers.add(self.open(path)?, Some(diff_id))?,
            });
        }
        Ok(assemble(digest::of(&bytes), parsed, &added, names))
    }

    fn refused(&self, reason: &str) -> ImageError {
        refused(&self.archive, reason)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

/// A member as it is read: its bytes and its header.
trait MemberRead: Read {
    fn header(&self) -> &tar::Header;
    fn link_name(&self) -> std::io::Result<Option<std::borrow::Cow<'_, Path>>>;
}

impl<R: Read> MemberRead for tar::Entry<'_, R> {
    fn header(&self) -> &tar::Header {
        tar::Entry::header(self)
    }

    fn link_name(&self) -> std::io::Result<Option<std::borrow::Cow<'_, Path>>> {
        tar::Entry::link_name(self)
    }
}

fn names(rename: Option<&str>, named: Vec<String>) -> Vec<String> {
    rename.map_or(named, |name| vec![name.to_owned()])
}

/// The descriptor for this machine, else the only one that names no platform.
fn pick(index: &ImageIndex) -> Option<&oci_spec::image::Descriptor> {
    let ours = oci_spec::image::Arch::default();
    let fits =
        |d: &&oci_spec::image::Descriptor| d.platform().as_ref().is_some_and(|p| *p.architecture() == ours);
    index.manifests().iter().find(fits).or_else(|| index.manifests().iter().find(|d| d.platform().is_none()))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn parent_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// `from/path` with `.` and `..` resolved; never above the top.
fn join(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn refused(path: &Path, reason: &str) -> ImageError {
    ImageError::Archive { path: path.to_owned(), reason: reason.to_owned() }
}
