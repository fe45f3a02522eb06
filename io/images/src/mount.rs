//! A container's root: the image's layers, read-only, under a directory of its own that takes the writes.
//!
//! Layers are handed to the kernel one by one through the new mount API, so their number is not limited by the page a
//! `mount(2)` option string must fit in. Where the kernel cannot (before 6.5), the option string is used.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount as mount_old, umount2};

use crate::ImageError;
use crate::error::file;

/// Mounts `layers` (lowest first) under a writable one; the root's path.
pub fn mount(layers: &[PathBuf], container: &Path) -> Result<PathBuf, ImageError> {
    let root = container.join("root");
    if is_mounted(&root) {
        return Ok(root);
    }
    let [upper, work, none] = ["upper", "work", "none"].map(|name| container.join(name));
    for place in [&root, &upper, &work, &none] {
        fs::create_dir_all(place).map_err(file("make", place))?;
    }
    // overlayfs wants at least one lower layer; an image without any stands on an empty directory.
    let lowest_last: Vec<&Path> = layers.iter().rev().map(PathBuf::as_path).collect();
    let lower = if lowest_last.is_empty() { vec![none.as_path()] } else { lowest_last };
    let mounted =
        mount_new(&lower, &upper, &work, &root).or_else(|_| mount_by_options(&lower, &upper, &work, &root));
    mounted.map_err(|source| ImageError::Mount { path: root.clone(), source })?;
    Ok(root)
}

/// Unmounts the root, if it is mounted, and deletes the container's directories.
pub fn unmount(container: &Path) -> Result<(), ImageError> {
    let root = container.join("root");
    if is_mounted(&root) {
        umount2(&root, MntFlags::MNT_DETACH).map_err(|errno| file("unmount", &root)(errno.into()))?;
    }
    for name in ["root", "upper", "work", "none"] {
        let place = container.join(name);
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("remove", &place)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether something is mounted exactly here: a directory's device differs from its parent's.
fn is_mounted(place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::symlink_metadata(path).map(|m| m.dev()).ok();
    matches!((device(place), place.parent().and_then(device)), (Some(here), Some(above)) if here != above)
}

fn mount_by_options(lower: &[&Path], upper: &Path, work: &Path, root: &Path) -> io::Result<()> {
    let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
    Ok(mount_old(Some("overlay"), root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?)
}

// The constants of linux/mount.h this uses.
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

fn mount_new(lower: &[&Path], upper: &Path, work: &Path, root: &Path) -> io::Result<()> {
    // SAFETY: fsopen takes a NUL-terminated name and flags and returns a new descriptor or -1.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"overlay".as_ptr(), FSOPEN_CLOEXEC) })?;
    for layer in lower {
        configure(&context, "lowerdir+", layer)?;
    }
    configure(&context, "upperdir", upper)?;
    configure(&context, "workdir", work)?;
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: the create command reads no key and no value.
    check(unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0)
    })?;
    // SAFETY: fsmount takes the descriptor and flags and returns a new descriptor or -1.
    let mounted =
        owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) })?;
    let target = c_path(root)?;
    // SAFETY: both paths are NUL-terminated and outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mounted.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
}

fn configure(context: &OwnedFd, key: &str, value: &Path) -> io::Result<()> {
    let (key, value) = (CString::new(key)?, c_path(value)?);
    // SAFETY: key and value are NUL-terminated and outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_SET_STRING,
            key.as_ptr(),
            value.as_ptr(),
            0,
        )
    })
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn owned(descriptor: libc::c_long) -> io::Result<OwnedFd> {
    check(descriptor)?;
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel just returned this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
