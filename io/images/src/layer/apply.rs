//! One entry of a layer onto the disk.
//!
//! Everything is relative to an open directory descriptor and does not follow links; what is in the way is removed
//! first, as a later entry replaces an earlier one. Owner first, then mode, then attributes, then times: each of them
//! may undo the ones after it.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, fstatat, mkdirat, mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use tar::EntryType;

use super::Bounds;
use super::beneath::{Inside, c_string, open_directory, refused};
use crate::tar_stream::Entry;

const OPAQUE: &CStr = c"trusted.overlay.opaque";
const COPY_BYTES: usize = 128 << 10;

/// A layer being unpacked.
pub struct Unpacking {
    root: OwnedFd,
    bounds: Bounds,
    entries: u64,
    bytes: u64,
    /// The directory used last: entries come sorted, so it mostly is the next one too.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories' times, set at the end: what is put into them changes them.
    times: BTreeMap<Vec<u8>, (i64, u32)>,
    buffer: Vec<u8>,
}

impl Unpacking {
    /// Into `root`.
    pub fn new(root: OwnedFd, bounds: Bounds) -> Self {
        let buffer = vec![0; COPY_BYTES];
        Self { root, bounds, entries: 0, bytes: 0, last: None, times: BTreeMap::new(), buffer }
    }

    /// Bytes and entries so far.
    pub fn totals(&self) -> (u64, u64) {
        (self.bytes, self.entries)
    }

    /// Puts one entry on the disk; its content is read from `content`.
    pub fn apply(&mut self, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.entries > self.bounds.entries_max || self.bytes > self.bounds.bytes_max {
            return Err(refused("the layer has more entries or bytes than any layer may have"));
        }
        let inside = Inside::parse(&entry.path)?;
        let Some(name) = inside.name else { return self.root_entry(entry) };
        let parent = self.parent(&inside.parent)?;
        match name.strip_prefix(b".wh.") {
            Some(hidden) => self.whiteout(&parent, hidden),
            None => self.place(&parent, &inside.parent, &name, entry, content),
        }?;
        self.last = Some((inside.parent, parent));
        Ok(())
    }

    /// Sets the times of directories.
    pub fn finish(&mut self) -> io::Result<()> {
        self.last = None;
        for (path, time) in std::mem::take(&mut self.times).into_iter().rev() {
            // A later entry may have put something else there.
            let Ok(directory) = open_directory(&self.root, &path) else { continue };
            nix::sys::stat::futimens(directory.as_raw_fd(), &spec(time), &spec(time))?;
        }
        Ok(())
    }

    fn root_entry(&mut self, entry: &Entry) -> io::Result<()> {
        if entry.kind != EntryType::Directory {
            return Err(refused("the root of a layer must be a directory"));
        }
        let here = open_directory(&self.root, b"")?;
        dress(&here, c".", entry)?;
        self.times.insert(Vec::new(), entry.mtime);
        Ok(())
    }

    /// The directory an entry goes into, made if no entry did.
    fn parent(&mut self, path: &[u8]) -> io::Result<OwnedFd> {
        if let Some((_, directory)) = self.last.take_if(|(last, _)| last == path) {
            return Ok(directory);
        }
        self.last = None;
        match open_directory(&self.root, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_parents(path),
            opened => opened,
        }
    }

    fn make_parents(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut directory = open_directory(&self.root, b"")?;
        for name in path.split(|byte| *byte == b'/') {
            match mkdirat(
                Some(directory.as_raw_fd()),
                c_string(name)?.as_c_str(),
                Mode::from_bits_truncate(0o755),
            ) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            directory = open_directory(&directory, name)?;
        }
        Ok(directory)
    }

    fn place(
        &mut self,
        parent: &OwnedFd,
        parent_path: &[u8],
        name: &[u8],
        entry: &Entry,
        content: &mut impl Read,
    ) -> io::Result<()> {
        let c_name = c_string(name)?;
        match entry.kind {
            EntryType::Regular | EntryType::Continuous => self.file(parent, &c_name, entry, content),
            EntryType::Directory => {
                self.directory(parent, &c_name, entry)?;
                let path =
                    if parent_path.is_empty() { name.to_vec() } else { [parent_path, name].join(&b'/') };
                self.times.insert(path, entry.mtime);
                Ok(())
            }
            EntryType::Symlink => {
                let target = c_string(&entry.link)?;
                replacing(parent, &c_name, || {
                    symlinkat(target.as_c_str(), Some(parent.as_raw_fd()), c_name.as_c_str())
                })?;
                own(parent, &c_name, entry)?;
                stamp(parent, &c_name, entry)
            }
            EntryType::Link => self.hard_link(parent, &c_name, entry),
            EntryType::Char => device(parent, &c_name, entry, SFlag::S_IFCHR),
            EntryType::Block => device(parent, &c_name, entry, SFlag::S_IFBLK),
            EntryType::Fifo => device(parent, &c_name, entry, SFlag::S_IFIFO),
            EntryType::GNUSparse => Err(refused("sparse files are not supported")),
            other => Err(refused(&format!("entries of type {other:?} are not supported"))),
        }
    }

    fn file(
        &mut self,
        parent: &OwnedFd,
        name: &CStr,
        entry: &Entry,
        content: &mut impl Read,
    ) -> io::Result<()> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = replacing(parent, name, || {
            openat(Some(parent.as_raw_fd()), name, flags, Mode::from_bits_truncate(0o600))
        })?;
        // SAFETY: `openat` just returned this descriptor and nobody else owns it.
        let mut file = unsafe { File::from_raw_fd(fd) };
        loop {
            match content.read(&mut self.buffer)? {
                0 => break,
                read => file.write_all(&self.buffer[..read])?,
            }
        }
        drop(file);
        dress(parent, name, entry)?;
        stamp(parent, name, entry)
    }

    fn directory(&mut self, parent: &OwnedFd, name: &CStr, entry: &Entry) -> io::Result<()> {
        let mode = Mode::from_bits_truncate(0o700);
        match mkdirat(Some(parent.as_raw_fd()), name, mode) {
            Ok(()) => {}
            Err(Errno::EEXIST) => match look(parent, name)? {
                found if kind(&found) == SFlag::S_IFDIR => {}
                found => {
                    unlinkat(Some(parent.as_raw_fd()), name, UnlinkatFlags::NoRemoveDir)?;
                    mkdirat(Some(parent.as_raw_fd()), name, mode)?;
                    // Removed and made anew in one layer: nothing of the layers below shines through.
                    if is_whiteout(&found) {
                        make_opaque(parent, name)?;
                    }
                }
            },
            Err(error) => return Err(error.into()),
        }
        dress(parent, name, entry)
    }

    fn hard_link(&mut self, parent: &OwnedFd, name: &CStr, entry: &Entry) -> io::Result<()> {
        let target = Inside::parse(&entry.link)?;
        let target_name = c_string(&target.name.ok_or_else(|| refused("a hard link points to the root"))?)?;
        let directory = open_directory(&self.root, &target.parent)
            .map_err(|error| io::Error::new(error.kind(), format!("the target of the hard link: {error}")))?;
        let wanted = look(&directory, &target_name)
            .map_err(|_| refused("the target of the hard link is not in the layer"))?;
        if look(parent, name)
            .is_ok_and(|found| (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino))
        {
            return Ok(());
        }
        replacing(parent, name, || {
            linkat(
                Some(directory.as_raw_fd()),
                target_name.as_c_str(),
                Some(parent.as_raw_fd()),
                name,
                AtFlags::empty(),
            )
        })
    }

    /// `hidden` is what follows `.wh.`.
    fn whiteout(&mut self, parent: &OwnedFd, hidden: &[u8]) -> io::Result<()> {
        if hidden == b".wh..opq" {
            return make_opaque(parent, c".");
        }
        if hidden.starts_with(b".wh.") {
            // Other marks of the file system Docker once used; they say nothing about content.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(refused("a whiteout names nothing that could be removed"));
        }
        let name = c_string(hidden)?;
        match mknodat(Some(parent.as_raw_fd()), name.as_c_str(), SFlag::S_IFCHR, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            // The layer has something of that name itself: that stays, what is below it goes.
            Err(Errno::EEXIST) => match kind(&look(parent, &name)?) {
                SFlag::S_IFDIR => make_opaque(parent, &name),
                _ => Ok(()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

fn spec(time: (i64, u32)) -> TimeSpec {
    TimeSpec::new(time.0, i64::from(time.1))
}

fn look(parent: &OwnedFd, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(Some(parent.as_raw_fd()), name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn is_whiteout(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Does `make`; if something is in the way, removes it and does it again.
fn replacing<T>(parent: &OwnedFd, name: &CStr, make: impl Fn() -> nix::Result<T>) -> io::Result<T> {
    match make() {
        Err(Errno::EEXIST) => {
            remove(parent, name)?;
            Ok(make()?)
        }
        made => Ok(made?),
    }
}

/// Removes a file, or a directory with all that is in it. Never follows a link.
fn remove(parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    if kind(&look(parent, name)?) != SFlag::S_IFDIR {
        return Ok(unlinkat(Some(parent.as_raw_fd()), name, UnlinkatFlags::NoRemoveDir)?);
    }
    let directory = open_directory(parent, name.to_bytes())?;
    for child in children(&directory)? {
        remove(&directory, &child)?;
    }
    Ok(unlinkat(Some(parent.as_raw_fd()), name, UnlinkatFlags::RemoveDir)?)
}

fn children(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let listing = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    listing.map(|entry| c_string(entry?.file_name().as_bytes())).collect()
}

fn device(parent: &OwnedFd, name: &CStr, entry: &Entry, kind: SFlag) -> io::Result<()> {
    let number = match kind {
        SFlag::S_IFIFO => 0,
        _ => nix::sys::stat::makedev(entry.device.0.into(), entry.device.1.into()),
    };
    let mode = Mode::from_bits_truncate(0o600);
    replacing(parent, name, || mknodat(Some(parent.as_raw_fd()), name, kind, mode, number))?;
    dress(parent, name, entry)?;
    stamp(parent, name, entry)
}

fn own(parent: &OwnedFd, name: &CStr, entry: &Entry) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    Ok(fchownat(Some(parent.as_raw_fd()), name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Owner, mode and attributes of what is no link: the caller just made it, or saw that it is a directory.
fn dress(parent: &OwnedFd, name: &CStr, entry: &Entry) -> io::Result<()> {
    own(parent, name, entry)?;
    fchmodat(
        Some(parent.as_raw_fd()),
        name,
        Mode::from_bits_truncate(entry.mode),
        FchmodatFlags::FollowSymlink,
    )?;
    for (key, value) in entry.xattrs.iter().filter(|(key, _)| is_kept(key)) {
        match set_attribute(parent, name, &c_string(key)?, value) {
            // Not every file system keeps every attribute; the file is there all the same.
            Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => {}
            set => set?,
        }
    }
    Ok(())
}

/// Capabilities and the user's own. Not those overlayfs itself reads: they could point it elsewhere.
fn is_kept(key: &[u8]) -> bool {
    let overlay =
        [b"trusted.overlay.".as_slice(), b"user.overlay."].iter().any(|prefix| key.starts_with(prefix));
    !overlay && (key == b"security.capability" || key.starts_with(b"user.") || key.starts_with(b"trusted."))
}

fn make_opaque(parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    set_attribute(parent, name, OPAQUE, b"y")
}

/// Through the descriptor's place in /proc, as there is no call relative to a directory.
fn set_attribute(parent: &OwnedFd, name: &CStr, key: &CStr, value: &[u8]) -> io::Result<()> {
    let path = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
    let path = c_string(&path)?;
    // SAFETY: three valid pointers, and the length is that of `value`; lsetxattr does not keep them.
    let set = unsafe { libc::lsetxattr(path.as_ptr(), key.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Ok(Errno::result(set).map(drop)?)
}

fn stamp(parent: &OwnedFd, name: &CStr, entry: &Entry) -> io::Result<()> {
    let time = spec(entry.mtime);
    Ok(utimensat(Some(parent.as_raw_fd()), name, &time, &time, UtimensatFlags::NoFollowSymlink)?)
}
