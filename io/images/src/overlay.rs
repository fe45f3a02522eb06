//! Mounting layers over one another as a root file system.
//!
//! Layers are handed over as open descriptors (`/proc/self/fd/N`), one option each through the new mount calls, so that
//! neither the number of layers nor the length of paths meets the page-size limit of mount options. Kernels before 6.5
//! take them in one string, short enough for about two hundred layers. The working directory is never changed.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use crate::error::{ImageError, Result};

/// `FSCONFIG_SET_STRING` and `FSCONFIG_CMD_CREATE` of the kernel's `linux/mount.h`.
const SET_STRING: libc::c_uint = 1;
const CMD_CREATE: libc::c_uint = 6;
/// `FSOPEN_CLOEXEC`, `FSMOUNT_CLOEXEC`, `MOVE_MOUNT_F_EMPTY_PATH`.
const CLOEXEC: libc::c_uint = 1;
const MOVE_EMPTY_PATH: libc::c_uint = 4;

/// What a container's directory holds: the mount, what the container writes, overlayfs' own.
struct Places {
    root: PathBuf,
    upper: PathBuf,
    work: PathBuf,
}

impl Places {
    fn of(container: &Path) -> Self {
        Self { root: container.join("rootfs"), upper: container.join("upper"), work: container.join("work") }
    }
}

/// Whether a root file system was made for this container and not undone: where it is mounted is its user's affair.
pub fn is_made(container: &Path) -> bool {
    Places::of(container).upper.is_dir()
}

/// Layers under a writable one, made into one root file system.
pub struct Root {
    /// Where it is mounted, or may be.
    pub path: PathBuf,
    /// The mount, as long as it is attached nowhere.
    pub mount: Option<OwnedFd>,
}

impl Root {
    /// Mounts it at its path.
    pub fn attach(self) -> Result<PathBuf> {
        if let Some(mount) = &self.mount {
            create_directory(&self.path, 0o755)?;
            move_to(mount, &self.path)
                .map_err(|error| ImageError::io("mount the layers at", &self.path)(error.into()))?;
        }
        Ok(self.path)
    }
}

/// Makes `layers` (lowest first) and a writable one above into a root file system; attached already on kernels that
/// cannot do otherwise.
pub fn make(layers: &[PathBuf], container: &Path) -> Result<Root> {
    let places = Places::of(container);
    create_directory(&places.upper, 0o755)?;
    create_directory(&places.work, 0o700)?;
    let lower = layers.iter().rev().map(|layer| hold(layer)).collect::<Result<Vec<_>>>()?;
    let upper = hold(&places.upper)?;
    let work = hold(&places.work)?;
    let made = match by_parts(&lower, &upper, &work) {
        Err(Errno::ENOSYS | Errno::EINVAL) => {
            create_directory(&places.root, 0o755)?;
            in_one_string(&lower, &upper, &work, &places.root).map(|()| None)
        }
        done => done.map(Some),
    };
    let mount = made.map_err(|error| ImageError::io("mount the layers at", &places.root)(error.into()))?;
    Ok(Root { path: places.root, mount })
}

/// Unmounts and deletes what [`make`] made. Nothing there is fine.
pub fn unmount(container: &Path) -> Result<()> {
    let places = Places::of(container);
    loop {
        match umount2(&places.root, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT | Errno::ENOTDIR) => break,
            Err(error) => return Err(ImageError::io("unmount", &places.root)(error.into())),
        }
    }
    for place in [&places.root, &places.work, &places.upper] {
        match fs::remove_dir_all(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::io("delete", place)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn create_directory(place: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(place).map_err(ImageError::io("create", place))
}

/// Holds a directory open by path only.
fn hold(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let fd = open(path, flags, Mode::empty()).map_err(|error| ImageError::io("open", path)(error.into()))?;
    // SAFETY: `open` just returned this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn place(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn by_parts(lower: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd) -> nix::Result<OwnedFd> {
    let context = fsopen(c"overlay")?;
    for layer in lower {
        set(&context, c"lowerdir+", &place(layer))?;
    }
    set(&context, c"upperdir", &place(upper))?;
    set(&context, c"workdir", &place(work))?;
    set(&context, c"source", "kelson")?;
    create(&context)
}

fn in_one_string(lower: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd, root: &Path) -> nix::Result<()> {
    let lower: Vec<String> = lower.iter().map(place).collect();
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), place(upper), place(work));
    mount(Some("kelson"), root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
}

fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = Errno::result(result)? as RawFd;
    // SAFETY: the call just returned this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn fsopen(kind: &CStr) -> nix::Result<OwnedFd> {
    // SAFETY: a valid C string; the call keeps no pointer.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOEXEC) })
}

fn set(context: &OwnedFd, key: &CStr, value: &str) -> nix::Result<()> {
    let value = CString::new(value).map_err(|_| Errno::EINVAL)?;
    // SAFETY: an open descriptor and two valid C strings; the call keeps no pointer.
    let set = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), SET_STRING, key.as_ptr(), value.as_ptr(), 0)
    };
    Errno::result(set).map(drop)
}

fn create(context: &OwnedFd) -> nix::Result<OwnedFd> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: an open descriptor; this command takes no key and no value.
    let created =
        unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CMD_CREATE, none, none, 0) };
    Errno::result(created)?;
    // SAFETY: an open descriptor and two flags.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0) })
}

fn move_to(mount: &OwnedFd, root: &Path) -> nix::Result<()> {
    let root = CString::new(root.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: an open descriptor and two valid C strings; the call keeps no pointer.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            root.as_ptr(),
            MOVE_EMPTY_PATH,
        )
    };
    Errno::result(moved).map(drop)
}
