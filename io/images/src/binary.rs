//! An image of one static executable: no distribution, no registry, no network.
//!
//! This is how kelson puts itself into a container for its demonstration.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::catalogue::Image;
use crate::config::{ConfigFile, DEFAULT_PATH, ImageConfig};
use crate::error::{ImageError, Result};
use crate::images::Images;
use crate::name::Name;

/// Directories a container expects, with their modes.
const DIRECTORIES: [(&str, u32); 6] =
    [("dev/", 0o755), ("etc/", 0o755), ("proc/", 0o755), ("sys/", 0o755), ("tmp/", 0o1777), ("root/", 0o700)];
/// What every container finds its own of mounted over is there, or each would make it anew.
const FILES: [(&str, &str); 4] = [
    ("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n"),
    ("etc/hosts", ""),
    ("etc/hostname", ""),
    ("etc/resolv.conf", ""),
];
/// `PT_INTERP` of the ELF format: the program wants a loader.
const WANTS_LOADER: u32 = 3;

/// Makes the image; its entrypoint is `/<file's name>` and `arguments`.
pub fn import(images: &Images, path: &Path, name: &str, arguments: &[String]) -> Result<Image> {
    let name = Name::parse(name)?.to_string();
    let program = fs::read(path).map_err(ImageError::io("read", path))?;
    check_static(&program).map_err(|why| ImageError::Binary { path: path.to_owned(), why })?;
    let file_name = path.file_name().and_then(|name| name.to_str());
    let file_name =
        file_name.ok_or(ImageError::Binary { path: path.to_owned(), why: "its name is not plain text" })?;
    let temporary = images.shelf().temporary();
    let written = File::create(&temporary.0).and_then(|file| write_layer(file, file_name, &program));
    written.map_err(ImageError::io("write", &temporary.0))?;
    let file = File::open(&temporary.0).map_err(ImageError::io("open", &temporary.0))?;
    let layer = images.shelf().add_layer(file, file_name, None)?;
    let entrypoint = std::iter::once(format!("/{file_name}")).chain(arguments.iter().cloned()).collect();
    let config = ImageConfig { entrypoint, env: vec![DEFAULT_PATH.to_owned()], ..ImageConfig::default() };
    let config = ConfigFile::of(config, vec![layer.diff_id]);
    images.add_image(
        &serde_json::to_vec(&config).expect("a configuration is plain data"),
        vec![name],
        Vec::new(),
    )
}

/// The same program makes the same layer: no times, no owners.
fn write_layer(file: File, name: &str, program: &[u8]) -> std::io::Result<()> {
    let mut archive = Builder::new(file);
    for (directory, mode) in DIRECTORIES {
        archive.append_data(&mut header(EntryType::Directory, mode, 0), directory, std::io::empty())?;
    }
    for (name, text) in FILES {
        let bytes = text.as_bytes();
        archive.append_data(&mut header(EntryType::Regular, 0o644, bytes.len() as u64), name, bytes)?;
    }
    archive.append_data(&mut header(EntryType::Regular, 0o755, program.len() as u64), name, program)?;
    archive.into_inner()?.flush()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// An ELF executable of 64 bits, little-endian, without a program interpreter.
fn check_static(program: &[u8]) -> std::result::Result<(), &'static str> {
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return Err("it is no executable of this kind of machine (64-bit ELF)");
    }
    let table = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let (start, size, count) = table().ok_or("it is cut short")?;
    let kinds = (0..count).map(|n| number(start.checked_add(n.checked_mul(size)?)?, 4));
    match kinds.collect::<Option<Vec<_>>>() {
        None => Err("it is cut short"),
        Some(kinds) if kinds.contains(&(WANTS_LOADER as usize)) => {
            Err("it is linked dynamically and needs a loader and libraries that the image would not have")
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
