//! Importing archives: what `docker save`, `ctr image export` and `tar` make.
//!
//! The archive is read in place (uncompressed first if it is not plain): once to see what files it has, then only what
//! is needed. What it says is believed only as far as digests prove it.

mod docker;
mod oci;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::EntryType;

use crate::catalogue::Image;
use crate::config::{ConfigFile, ImageConfig};
use crate::error::{ImageError, Result};
use crate::images::{Images, ImportOptions};
use crate::layer::decompress;
use crate::name::Name;
use crate::shelf::Temporary;
use crate::tar_stream::TarStream;

/// An image archive with more files than this is taken for a root file system.
const FILES_MAX: usize = 65_536;
/// The largest description (manifest, index, configuration) read.
const DESCRIPTION_BYTES_MAX: u64 = 8 << 20;

/// Imports whatever `path` is.
pub fn import(images: &Images, path: &Path, options: &ImportOptions) -> Result<Vec<Image>> {
    let (plain, _temporary) = uncompressed(images, path)?;
    let archive = Archive::open(path, &plain)?;
    if let Some(manifests) = docker::manifests(&archive)? {
        return docker::import(images, &archive, &manifests, options);
    }
    if let Some(index) = oci::index(&archive)? {
        return oci::import(images, &archive, &index, options);
    }
    Ok(vec![root_file_system(images, &archive, options)?])
}

/// The archive's plain bytes: the file itself, or a temporary one.
fn uncompressed(images: &Images, path: &Path) -> Result<(PathBuf, Option<Temporary>)> {
    let open = || File::open(path).map_err(ImageError::io("open", path));
    let mut magic = [0; 4];
    let read = open()?.read(&mut magic).map_err(ImageError::io("read", path))?;
    if !matches!(magic[..read], [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok((path.to_owned(), None));
    }
    let temporary = images.shelf().temporary();
    let mut file = File::create(&temporary.0).map_err(ImageError::io("create", &temporary.0))?;
    let mut stream = decompress(open()?).map_err(ImageError::io("uncompress", path))?;
    io::copy(&mut stream, &mut file).map_err(ImageError::io("uncompress", path))?;
    Ok((temporary.0.clone(), Some(temporary)))
}

/// A plain archive and where its files are.
struct Archive {
    /// What the user called it.
    path: PathBuf,
    /// The plain bytes.
    plain: PathBuf,
    /// Files by path, without a leading `./`; empty if there are too many for an image archive.
    files: BTreeMap<String, (u64, u64)>,
}

impl Archive {
    fn open(path: &Path, plain: &Path) -> Result<Self> {
        let mut archive = Self { path: path.to_owned(), plain: plain.to_owned(), files: BTreeMap::new() };
        let file = File::open(plain).map_err(ImageError::io("open", plain))?;
        let mut stream = TarStream::new(BufReader::with_capacity(256 << 10, file));
        let mut any = false;
        while let Some(entry) = stream.next_entry().map_err(|error| archive.broken(&error.to_string()))? {
            any = true;
            if archive.files.len() > FILES_MAX {
                archive.files.clear();
                break;
            }
            let path = String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned();
            match entry.kind {
                EntryType::Regular => drop(archive.files.insert(path, (entry.offset, entry.size))),
                // Old `docker save` archives link a layer to an equal one of another image.
                EntryType::Symlink | EntryType::Link => archive.alias(path, &entry.link),
                _ => {}
            }
        }
        match any {
            true => Ok(archive),
            false => Err(archive.broken("it is empty")),
        }
    }

    fn alias(&mut self, path: String, target: &[u8]) {
        let target = String::from_utf8_lossy(target);
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let joined = match target.strip_prefix("../") {
            Some(rest) => rest.to_owned(),
            None if directory.is_empty() => target.clone().into_owned(),
            None => format!("{directory}/{target}"),
        };
        let found = self.files.get(&joined).or_else(|| self.files.get(target.as_ref())).copied();
        if let Some(place) = found {
            self.files.insert(path, place);
        }
    }

    fn broken(&self, why: &str) -> ImageError {
        ImageError::Archive { path: self.path.clone(), why: why.to_owned() }
    }

    /// A file's content.
    fn read(&self, name: &str) -> Result<impl Read + use<>> {
        let (offset, size) =
            *self.files.get(name).ok_or_else(|| self.broken(&format!("it has no {name:?}")))?;
        let mut file = File::open(&self.plain).map_err(ImageError::io("open", &self.plain))?;
        file.seek(SeekFrom::Start(offset)).map_err(ImageError::io("read", &self.plain))?;
        Ok(file.take(size))
    }

    /// A description: JSON, not too long.
    fn description(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.read(name)?.take(DESCRIPTION_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(ImageError::io("read", &self.plain))?;
        match bytes.len() as u64 > DESCRIPTION_BYTES_MAX {
            true => Err(self.broken(&format!("{name:?} is longer than {DESCRIPTION_BYTES_MAX} bytes"))),
            false => Ok(bytes),
        }
    }

    /// Unpacks the layers a configuration lists, from the files `names`, and adds the image.
    fn add(&self, images: &Images, config: &[u8], layers: &[String], names: Vec<String>) -> Result<Image> {
        let file = ConfigFile::parse(config, names.first().map_or("without a name", String::as_str))?;
        if file.rootfs.diff_ids.len() != layers.len() {
            return Err(self.broken("its configuration lists other layers than its manifest"));
        }
        for (layer, diff_id) in layers.iter().zip(&file.rootfs.diff_ids) {
            if !images.shelf().has_layer(diff_id) {
                images.shelf().add_layer(self.read(layer)?, layer, Some(diff_id))?;
            }
        }
        images.add_image(config, names, Vec::new())
    }

    /// The name made of the file's: `busybox.tar.gz` → `docker.io/library/busybox:latest`.
    fn made_up_name(&self) -> Result<String> {
        let file =
            self.path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let stem = file.split(".tar").next().unwrap_or_default();
        let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = name.trim_matches('-');
        Name::parse(name).map(|name| name.to_string()).map_err(|_| self.broken("it has no name; give it one"))
    }
}

/// The name the user chose, in full.
fn chosen(options: &ImportOptions) -> Result<Option<String>> {
    let name = options.name.as_deref().map(Name::parse).transpose()?;
    Ok(name.map(|name| name.to_string()))
}

fn root_file_system(images: &Images, archive: &Archive, options: &ImportOptions) -> Result<Image> {
    let name = match chosen(options)? {
        Some(name) => name,
        None => archive.made_up_name()?,
    };
    let file = File::open(&archive.plain).map_err(ImageError::io("open", &archive.plain))?;
    let what = archive.path.display().to_string();
    let layer = images.shelf().add_layer(file, &what, None)?;
    let config = options.config.clone().unwrap_or_else(ImageConfig::shell);
    let config = serde_json::to_vec(&ConfigFile::of(config, vec![layer.diff_id]))
        .expect("a configuration is plain data");
    images.add_image(&config, vec![name], Vec::new())
}
