//! One layer's tar into one directory, in the form overlayfs stacks: a whiteout is a 0:0 character device, an opaque
//! directory carries `trusted.overlay.opaque`.
//!
//! Everything in the tar is foreign. Nothing is written outside the directory: an entry whose path leads up, or whose
//! parent is a symbolic link, ends the import; so do too many entries or bytes. The tar crate sets owners, modes, times
//! and extended attributes; devices and pipes, which it leaves out, are made here.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tar::{Archive, Entry, EntryType};

/// Entries of one layer.
const ENTRIES_MAX: usize = 1_000_000;
/// Uncompressed bytes of one layer.
pub const LAYER_BYTES_MAX: u64 = 64 << 30;
/// Bytes of one path.
const PATH_BYTES_MAX: usize = 4096;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names AUFS reserved; they mean nothing to overlayfs.
const RESERVED: &[u8] = b".wh..wh.";

/// Unpacks a layer's uncompressed tar into an empty directory; the bytes of its files.
pub fn unpack_layer(tar: impl Read, root: &Path) -> io::Result<u64> {
    let mut archive = Archive::new(tar);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(true);
    archive.set_overwrite(true);
    let mut size = 0;
    for (count, entry) in archive.entries()?.enumerate() {
        if count >= ENTRIES_MAX {
            return Err(refused(Path::new("the layer"), &format!("has more than {ENTRIES_MAX} entries")));
        }
        size += unpack_entry(&mut entry?, root)?;
    }
    Ok(size)
}

fn unpack_entry<R: Read>(entry: &mut Entry<'_, R>, root: &Path) -> io::Result<u64> {
    let path = entry.path()?.into_owned();
    let Some(relative) = contained(&path)? else { return Ok(0) };
    let name = relative.file_name().map(OsStr::as_bytes).unwrap_or_default().to_owned();
    refuse_linked_parents(root, &relative)?;
    make_parents(root, &relative)?;
    let parent = relative.parent().unwrap_or(Path::new(""));
    if name == OPAQUE {
        xattr::set(root.join(parent), "trusted.overlay.opaque", b"y")?;
    } else if name.starts_with(RESERVED) {
        // Nothing to keep.
    } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
        whiteout(&root.join(parent).join(OsStr::from_bytes(hidden)), &path)?;
    } else {
        place(entry, root, &relative)?;
        return Ok(entry.size());
    }
    Ok(0)
}

/// The path without leading `/` and `./`; `None` for the root itself.
fn contained(path: &Path) -> io::Result<Option<PathBuf>> {
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(refused(path, &format!("is longer than {PATH_BYTES_MAX} bytes")));
    }
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(refused(path, "leads out of the layer"));
            }
        }
    }
    Ok(Some(relative).filter(|r| !r.as_os_str().is_empty()))
}

/// What is made through a symbolic link may land anywhere.
fn refuse_linked_parents(root: &Path, relative: &Path) -> io::Result<()> {
    let mut place = root.to_owned();
    for component in relative.parent().into_iter().flat_map(Path::components) {
        place.push(component);
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.is_symlink() => return Err(refused(relative, "goes through a symbolic link")),
            Ok(_) => return Err(refused(relative, "goes through something that is no directory")),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Makes the directories an entry stands in when the tar does not list them first.
fn make_parents(root: &Path, relative: &Path) -> io::Result<()> {
    let parent = root.join(relative.parent().unwrap_or(Path::new("")));
    if parent.exists() {
        return Ok(());
    }
    fs::create_dir_all(&parent)?;
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755))
}

fn whiteout(place: &Path, path: &Path) -> io::Result<()> {
    let harmless = place.file_name().is_some_and(|name| name != "." && name != "..");
    if !harmless {
        return Err(refused(path, "hides nothing that could be there"));
    }
    make_way(place)?;
    Ok(mknod(place, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?)
}

/// Removes what an earlier entry of the same name left, unless both are directories.
fn make_way(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(_) => Ok(()),
    }
}

fn place<R: Read>(entry: &mut Entry<'_, R>, root: &Path, relative: &Path) -> io::Result<()> {
    let kind = entry.header().entry_type();
    let place = root.join(relative);
    match kind {
        EntryType::Char | EntryType::Block | EntryType::Fifo => return device(entry, &place),
        EntryType::Link => refuse_linked_target(entry, root)?,
        EntryType::Directory => {}
        EntryType::XGlobalHeader => return Ok(()),
        _ => {}
    }
    if kind != EntryType::Directory || !place.is_dir() || place.is_symlink() {
        make_way(&place)?;
    }
    match entry.unpack_in(root)? {
        true => Ok(()),
        false => Err(refused(relative, "leads out of the layer")),
    }
}

/// A hard link may only name what this layer holds, by a path without symbolic links.
fn refuse_linked_target<R: Read>(entry: &Entry<'_, R>, root: &Path) -> io::Result<()> {
    let target = entry.link_name()?.ok_or_else(|| refused(root, "holds a hard link to nothing"))?;
    let relative = contained(&target)?.ok_or_else(|| refused(&target, "cannot be linked to"))?;
    refuse_linked_parents(root, &relative)?;
    match fs::symlink_metadata(root.join(&relative)) {
        Ok(found) if !found.is_dir() => Ok(()),
        _ => Err(refused(&target, "is linked to and is not there")),
    }
}

fn device<R: Read>(entry: &Entry<'_, R>, place: &Path) -> io::Result<()> {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let number = |part: Option<u32>| u64::from(part.unwrap_or(0));
    let device = match kind {
        SFlag::S_IFIFO => 0,
        _ => makedev(number(header.device_major()?), number(header.device_minor()?)),
    };
    let owner = |id: u64| u32::try_from(id).map_err(|_| refused(place, "has an owner that cannot be"));
    let (uid, gid) = (owner(header.uid()?)?, owner(header.gid()?)?);
    make_way(place)?;
    mknod(place, kind, Mode::empty(), device)?;
    lchown(place, Some(uid), Some(gid))?;
    fs::set_permissions(place, fs::Permissions::from_mode(header.mode()? & 0o7777))
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::other(format!("{} {why}", path.display()))
}
